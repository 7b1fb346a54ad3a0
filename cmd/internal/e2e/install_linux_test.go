package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// clone is a copy of this machine, in which everything may be changed.
type clone struct {
	t    *testing.T
	pid  string // of a process in its namespace
	root string
}

func newClone(t *testing.T) *clone {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("to install a program one has to be root")
	}
	p := run(t, "unshare", "--mount", "--propagation", "private", "sh", "testdata/clone.sh")
	root, _ := p.line(0, "its folder", func(string) bool { return true })
	t.Cleanup(func() { p.stdin.Close() })
	return &clone{t: t, pid: strconv.Itoa(p.cmd.Process.Pid), root: root}
}

// command is a command inside.
func (b *clone) command(words ...string) (name string, args []string) {
	return "nsenter", append([]string{"--target", b.pid, "--mount", "chroot", b.root, "env", "PATH=/stub:" + os.Getenv("PATH"), "HOME=/root", "TACET_CONFIG="}, words...)
}

// do runs a command inside, with a text on its standard input, and answers all
// that it says.
func (b *clone) do(in string, words ...string) (said string, code int) {
	b.t.Helper()
	name, args := b.command(words...)
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		b.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// must runs a shell inside, which must succeed.
func (b *clone) must(script string) string {
	b.t.Helper()
	out, code := b.do("", "sh", "-c", script)
	if code != 0 {
		b.t.Errorf("%s exits %d: %s", script, code, out)
	}
	return out
}

// same looks whether nothing in there was changed.
func (b *clone) same(when string) {
	b.t.Helper()
	out, _ := b.do("", "sh", "-c", "ls -d /usr/local/bin/tacet-device /etc/tacet /var/lib/tacet /etc/systemd/system/tacet-device.service /pwned /stub/told 2>/dev/null; getent passwd tacet")
	if out != "" {
		b.t.Errorf("%s: it has changed %s", when, out)
	}
}

// install runs the script that a hub gives out, as the line on the operator's
// screen does.
func (b *clone) install(hub string, words ...string) (said string, code int) {
	b.t.Helper()
	return b.do("", append([]string{"sh", "-c", "curl -fsS " + hub + `/install.sh | sh -s -- "$@"`, "sh"}, words...)...)
}

// release signs the device's program, which has its leader beside it, and puts both
// where the hub serves them; it answers the public key.
func (m *manned) release(version string) string {
	t := m.program.t
	t.Helper()
	program, key := copied(t, versions[version](t)), filepath.Join(t.TempDir(), "key")
	public, errs, code := m.tacet("update", "key", key)
	if code == 0 {
		_, errs, code = m.tacet("update", "sign", program, "--key", key)
	}
	if code == 0 {
		_, errs, code = m.tacet("update", "publish", program, "--data", m.data)
	}
	if code != 0 {
		t.Fatalf("publish: %s", errs)
	}
	return strings.TrimSpace(public)
}

// TestInstall: a machine becomes a device of the hub by the line that enrol
// prints, once and again; what cannot be is refused in words, and changes nothing.
func TestInstall(t *testing.T) {
	t.Parallel()
	m, b := startManned(t), newClone(t)
	ann, hub := m.login("ann"), m.ready.HTTP
	enrol := func() string {
		t.Helper()
		return strings.TrimSpace(m.operate(ann, "device", "enrol", "gate-12", "--area", "north"))
	}
	refused := func(name, want string, words ...string) {
		t.Helper()
		if out, code := b.install(hub, words...); code == 0 || !strings.Contains(out, want) {
			t.Errorf("%s: it exits %d and says %q, want something with %q", name, code, out, want)
		}
		b.same(name)
	}
	code := enrol()
	refused("nothing is published", "tacet update publish", code)
	public := m.release("v1.0.0")
	refused("no code", "it needs a code")
	refused("a code for a shell", "letters, digits", "A;touch /pwned")
	refused("a code for a shell", "letters, digits", "$(touch /pwned)")
	refused("two codes", "more than one", code, code)
	refused("unknown option", "--frob", "--frob")
	refused("option without a value", "--key", code, "--key")
	refused("another scheme", "http://", code, "--hub", "ftp://x")
	refused("no hub", "could not be fetched", code, "--hub", "http://127.0.0.1:1")
	refused("unknown code", "could not be fetched", "AAAA-BBBB")
	refused("key that did not sign", "not signed", code, "--key", strings.Repeat("A", 43)+"=")
	b.must(`printf '#!/bin/sh\n[ "$1" = -m ] && echo armv7l || echo Linux\n' >/stub/uname && chmod 0755 /stub/uname`)
	refused("32 bits", "64 bits", code)
	b.must(`rm /stub/uname; printf '#!/bin/sh\necho install ok installed\n' >/stub/dpkg-query && chmod 0755 /stub/dpkg-query`)
	refused("package", "is installed here", code)
	b.must(`rm /stub/dpkg-query`)

	script, _ := b.do("", "curl", "-fsS", hub+"/install.sh")
	for at := 1; at < len(script)-len("main \"$@\"\n"); at += len(script)/25 + 1 {
		_, _ = b.do(script[:at], "sh", "-s", "--", code) // cut in the middle of a word the shell says what it likes
		b.same(fmt.Sprintf("cut after %d bytes", at))
	}
	for name, srv := range map[string]*httptest.Server{"cut off": torn(t, hub, false), "changed": torn(t, hub, true)} {
		out, exit := b.do("", "sh", "-c", "curl -fsS "+srv.URL+`/install.sh | sh -s -- "$@"`, "sh", code)
		if exit == 0 || !strings.Contains(out, "nothing was changed") {
			t.Errorf("a program that is %s: it exits %d and says %q", name, exit, out)
		}
		b.same("a program that is " + name)
	}

	out, exit := b.install(hub, code, "--key", public)
	if exit != 0 || !strings.Contains(out, "tacet: done: device: \"gate-12\" at "+hub) {
		t.Fatalf("it exits %d and says %s", exit, out)
	}
	b.must(`[ "$(stat -c '%U:%G %a' /var/lib/tacet /var/lib/tacet/secret /etc/tacet/device.yaml /usr/local/bin/tacet-device | tr '\n' ,)" = "tacet:tacet 700,tacet:tacet 600,root:tacet 640,root:root 755," ]`)
	b.must(`grep -qx 'ExecStart=/usr/local/bin/tacet-device run --config /etc/tacet/device.yaml --data /var/lib/tacet' /etc/systemd/system/tacet-device.service`)
	if told := b.must("cat /stub/told"); told != "daemon-reload\n--quiet enable tacet-device.service\nrestart tacet-device.service\n" {
		t.Errorf("systemd was told %q", told)
	}
	first := b.must("cat /etc/tacet/device.yaml")
	for _, want := range []string{`device: "gate-12"`, `area: "north"`, `username: "gate-12"`, `password_file: "/var/lib/tacet/secret"`, `updates: {keys: ["` + public + `"]}`} {
		if !strings.Contains(first, want+"\n") {
			t.Errorf("%s is not in the configuration:\n%s", want, first)
		}
	}
	secret := b.must("cat /var/lib/tacet/secret")
	m.secrets = append(m.secrets, strings.TrimSpace(secret), code)
	name, args := b.command("/usr/local/bin/tacet-device", "run", "--config", "/etc/tacet/device.yaml", "--data", "/var/lib/tacet", "--sim")
	p := run(t, name, args...)
	p.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready device=gate-12 hub=") })
	leadsBy(t, filepath.Join("/proc", b.pid, "root", b.root, "var/lib/tacet"), "v1.0.0") // what leads came in the same file

	// Again: with the code that is used, without one, with a new one.
	if out, exit := b.install(hub, code); exit == 0 || !strings.Contains(out, "could not be fetched") {
		t.Errorf("a used code: it exits %d and says %q", exit, out)
	}
	if out, exit := b.install(hub); exit != 0 || !strings.Contains(out, "done") {
		t.Errorf("without a code: it exits %d and says %q", exit, out)
	}
	if again := b.must("cat /etc/tacet/device.yaml"); again != first || b.must("cat /var/lib/tacet/secret") != secret {
		t.Errorf("it has changed the configuration to %q", again)
	}
	b.must(`printf 'audio: {volume: 40}\nhub:\n  - mqtt://old\n- mqtt://older\n# mine\n' >>/etc/tacet/device.yaml`)
	if out, exit := b.install(hub, enrol()); exit != 0 {
		t.Errorf("a new code: it exits %d and says %q", exit, out)
	}
	if again := b.must("cat /etc/tacet/device.yaml"); again != first+"audio: {volume: 40}\n# mine\n" {
		t.Errorf("with a new code the configuration is %q, it was %q", again, first)
	}
	if b.must("cat /var/lib/tacet/secret") == secret {
		t.Error("with a new code the secret is the old one")
	}
	m.silent()
}

// torn is a hub in whose middle something breaks: the program ends early, or is
// another one.
func torn(t *testing.T, hub string, whole bool) *httptest.Server {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), r.Method, hub+r.URL.Path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Host, req.Header = r.Host, r.Header.Clone()
		req.Header.Set("Accept-Encoding", "identity") // what has a length can be cut
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		if !strings.HasSuffix(r.URL.Path, "/program") {
			w.WriteHeader(res.StatusCode)
			_, _ = io.Copy(w, res.Body)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(res.ContentLength, 10))
		_, _ = io.CopyN(w, res.Body, res.ContentLength/2)
		if whole {
			_, _ = w.Write(make([]byte, res.ContentLength-res.ContentLength/2))
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}
