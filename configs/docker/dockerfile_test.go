package docker

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// top is the repository's.
const top = "../.."

// stages reads the Dockerfile as BuildKit does; its linter may have nothing to say.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	b, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := parser.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range tree.Warnings {
		t.Errorf("warning: %s", w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, msg string, _ []parser.Range) { t.Errorf("%s: %s", rule, msg) }})
	list, _, err := instructions.Parse(tree.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func of[T instructions.Command](s instructions.Stage) (list []T) {
	for _, c := range s.Commands {
		if one, ok := c.(T); ok {
			list = append(list, one)
		}
	}
	return list
}

// The image has a program, certificates and data, belongs to nobody in particular, and
// is asked how it is by the program itself.
func TestDockerfile(t *testing.T) {
	list := stages(t)
	if len(list) != 2 || list[1].BaseName != "scratch" {
		t.Fatalf("%d stages, the last from %s", len(list), list[len(list)-1].BaseName)
	}
	last := list[1]
	if u := of[*instructions.UserCommand](last); len(u) != 1 || u[0].User != "65532:65532" {
		t.Errorf("users %v", u)
	}
	if h := of[*instructions.HealthCheckCommand](last); len(h) != 1 || !slices.Equal(h[0].Health.Test, []string{"CMD", "/tacet", "health"}) {
		t.Errorf("health checks %v", h)
	}
	if r := of[*instructions.RunCommand](last); len(r) > 0 {
		t.Error("a command is run where there is no shell")
	}
	b, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := ""
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "go "); ok {
			version = strings.TrimSpace(v)
		}
	}
	file, _ := os.ReadFile("Dockerfile")
	if !strings.Contains(string(file), "ARG GO_VERSION="+version+"\n") {
		t.Errorf("go.mod wants Go %s, the Dockerfile has another", version)
	}
}

// image does what the Dockerfile says, in a directory: the build of the first stage by
// the commands that stand there, and the copies of the last.
func image(t *testing.T) (root string, env []string) {
	t.Helper()
	list := stages(t)
	out := t.TempDir()
	for _, c := range of[*instructions.RunCommand](list[0]) {
		line := strings.Join(c.CmdLine, " ")
		if strings.Contains(line, "go mod download") {
			continue // go build does
		}
		if !strings.Contains(line, "/out") {
			t.Fatalf("%q leaves nothing behind", line)
		}
		cmd := exec.Command("/bin/sh", "-c", strings.ReplaceAll(line, "/out", out))
		cmd.Dir, cmd.Env = top, append(os.Environ(), "TARGETOS=linux", "TARGETARCH="+goarch(t), "VERSION=1.2.3", "GOWORK=off")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, said)
		}
	}
	root = t.TempDir()
	for _, c := range of[*instructions.CopyCommand](list[1]) {
		from := c.SourcePaths[0]
		if in, ok := strings.CutPrefix(from, "/out"); ok {
			from = out + in
		}
		to := filepath.Join(root, c.DestPath)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if said, err := exec.Command("cp", "-a", "-L", from, to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if c.Chown != "" {
			if said, err := exec.Command("chown", "-R", c.Chown, to).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
		}
	}
	for _, e := range of[*instructions.EnvCommand](list[1]) {
		for _, kv := range e.Env {
			env = append(env, kv.Key+"="+kv.Value)
		}
	}
	for dir := root; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) { // as a container's root, for everybody to enter
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root, env
}

func goarch(t *testing.T) string {
	t.Helper()
	b, err := exec.Command("go", "env", "GOARCH").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// in is a command in the image, as its user.
func in(root string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command("/tacet", args...)
	cmd.Dir, cmd.Env = "/", env
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// TestImage: what the Dockerfile builds is one static program with the version that was
// asked for; in a root that has nothing else, as nobody, it serves, says that it is well,
// and ends in order.
func TestImage(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("to change the root takes root")
	}
	root, env := image(t)
	f, err := elf.Open(filepath.Join(root, "tacet"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program is not static")
		}
	}
	_ = f.Close()
	if said, err := in(root, env, "version").Output(); err != nil || !strings.HasPrefix(string(said), "tacet v1.2.3") {
		t.Errorf("it says %q, %v", said, err)
	}
	if b, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")); err != nil || !bytes.Contains(b, []byte("BEGIN CERTIFICATE")) {
		t.Errorf("certificates: %v", err)
	}
	env = append(slices.DeleteFunc(env, func(v string) bool { return strings.Contains(v, "_ADDR=") }), "TACET_HTTP_ADDR=127.0.0.1:0", "TACET_MQTT_ADDR=127.0.0.1:0")
	hub := in(root, env, "serve")
	hub.Stderr = t.Output()
	out, err := hub.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 256)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"health"}, {"health", "--ready"}} {
		if said, err := in(root, env, args...).Output(); err != nil || string(said) != "ready\n" {
			t.Errorf("%s says %q, %v", args, said, err)
		}
	}
	_, rest, _ := strings.Cut(string(line[:n]), "http=")
	url, _, _ := strings.Cut(rest, " ")
	if resp, err := http.Get(url + "/"); err != nil {
		t.Error(err)
	} else {
		page, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !bytes.Contains(page, []byte("<title>Tacet</title>")) {
			t.Errorf("the dashboard is %q", page)
		}
	}
	_ = hub.Process.Signal(syscall.SIGTERM)
	if err := hub.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if said, err := in(root, env, "health").CombinedOutput(); err == nil {
		t.Errorf("a hub that is gone is well: %s", said)
	} else if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 3 {
		t.Errorf("of a hub that is gone it says %v", err)
	}
}

// free is an address on which nobody listens now, and which nobody else is given as
// long as the test runs: a socket is bound to it, as to one that may be used again.
func free(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	err = errors.Join(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1), syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	if err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(at.(*syscall.SockaddrInet4).Port))
}

// TestBalancer: Debian's nginx takes the balancer's configuration and serves by it what
// is behind, whichever node that is at.
func TestBalancer(t *testing.T) {
	b, err := os.ReadFile("../compose/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	node := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host+" "+r.Header.Get("Upgrade")+" "+r.Header.Get("Connection"))
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- node.Serve(l) }()
	defer func() { _ = node.Close(); <-served }()
	dir, front := t.TempDir(), free(t)
	text := "daemon off; master_process off; pid " + dir + "/pid;\n" + strings.NewReplacer(
		"hub-1:8080", l.Addr().String(), "hub-2:8080", free(t), "listen 8080", "listen "+front,
		"http {", "http {\n client_body_temp_path "+dir+"/a; proxy_temp_path "+dir+"/b; fastcgi_temp_path "+dir+"/c; uwsgi_temp_path "+dir+"/d; scgi_temp_path "+dir+"/e;",
		"worker_connections 16384", "worker_connections 256").Replace(string(b))
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	nginx := exec.Command("/usr/sbin/nginx", "-p", dir, "-c", file, "-e", "stderr")
	nginx.Stderr, nginx.SysProcAttr = t.Output(), &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nginx.Process.Signal(syscall.SIGTERM); _ = nginx.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		req, _ := http.NewRequest(http.MethodGet, "http://"+front+"/x", nil)
		req.Header.Set("Upgrade", "websocket")
		req.Header.Set("Connection", "Upgrade")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			if time.Now().After(end) {
				t.Fatal(err)
			}
			continue
		}
		said, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if want := front + " websocket upgrade"; string(said) != want {
			t.Errorf("behind it comes %q, want %q", said, want)
		}
		return
	}
}
