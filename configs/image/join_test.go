package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hub is a real one, in a process of its own, that knows an operator.
type hub struct {
	t         *testing.T
	tacet     string // the program
	http      string
	mqtt      string
	tokenFile string
}

func startHub(t *testing.T, dir string) *hub {
	t.Helper()
	h := &hub{t: t, tacet: filepath.Join(dir, "tacet"), tokenFile: filepath.Join(dir, "token")}
	build := exec.Command("go", "build", "-o", h.tacet, "./cmd/tacet")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const password = "the pass word of ann"
	hash := h.run(password, "user", "hash", "--stdin")
	config := filepath.Join(dir, "tacet.yaml")
	text := fmt.Sprintf("areas: [{id: north}]\nauth: {users: [{name: ann, password_hash: %q, roles: [operator]}]}\n", hash)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(h.tacet, "serve", "--config", config, "--data", filepath.Join(dir, "hub"), "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error means that it has ended
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(line) {
		if url, ok := strings.CutPrefix(word, "http="); ok {
			h.http = url
		}
		if url, ok := strings.CutPrefix(word, "mqtt="); ok {
			h.mqtt = url
		}
	}
	token := h.run(password, "user", "login", "ann", "--stdin", "--url", h.http)
	if err := os.WriteFile(h.tokenFile, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// run runs the operator's tool.
func (h *hub) run(in string, args ...string) string {
	h.t.Helper()
	cmd := exec.Command(h.tacet, args...)
	cmd.Stdin = strings.NewReader(in + "\n")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("tacet %s: %v\n%s", strings.Join(args, " "), err, &errs)
	}
	return strings.TrimSpace(string(out))
}

// emulatorsName is how the emulated machine calls this one.
func emulatorsName(url string) string { return strings.Replace(url, "127.0.0.1", "10.0.2.2", 1) }

// A card with a code joins a real hub: the code is traded at the first start and
// gone from the card, and the second start needs none.
func TestJoins(t *testing.T) {
	dir := t.TempDir()
	h := startHub(t, dir)
	code := h.run("", "device", "enrol", "gate-12", "--area", "north", "--url", h.http, "--token-file", h.tokenFile)
	image := filepath.Join(dir, "sd.img")
	var out, errs bytes.Buffer
	args := []string{"--source", ".", "--build", dir, "--sim", "--hub", emulatorsName(h.http), "--code", code, "--location", "12", "-o", image}
	if code := execute(t.Context(), args, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d, %s", code, &errs)
	}
	// The emulator has another name for this machine than the hub knows: somebody
	// edits the card.
	text := string(mtype(t, image, "tacet.yaml")) + "hub: [\"" + emulatorsName(h.mqtt) + "\"]\r\n"
	edit := exec.Command("mcopy", "-o", "-i", image+"@@4M", "-", "::tacet.yaml")
	edit.Stdin = strings.NewReader(text)
	if out, err := edit.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	unpack(t, dir, image)
	m := start(t, dir, image, "", "tacet.sim")
	m.want("ready device=gate-12 hub=mqtt://10.0.2.2:")
	for late := time.Now().Add(time.Minute); ; { // it hears the device's state beside its claim
		got := h.run("", "device", "list", "--url", h.http, "--token-file", h.tokenFile)
		if strings.Contains(got, "gate-12") && strings.Contains(got, "online") {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("the hub has %s", got)
		}
	}
	m.stop() // the power goes
	if text := string(mtype(t, image, "tacet.yaml")); strings.Contains(text, code) || !strings.Contains(text, "\nlocation: \"12\"") {
		t.Errorf("tacet.yaml is now\n%s", text)
	}
	// The partition was writable for the moment of that alone: the power cut found
	// it as an unmount leaves it.
	check := exec.Command("fsck.fat", "-n", partition(t, image, 4<<20, 128<<20))
	check.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if out, err := check.CombinedOutput(); err != nil || strings.Contains(string(out), "Dirty bit") {
		t.Errorf("fsck.fat: %v\n%s", err, out)
	}
	if text := string(mtype(t, image, "tacet-report.txt")); !strings.HasPrefix(text, "enrolled at ") {
		t.Errorf("tacet-report.txt is %q", text)
	}

	m = start(t, dir, image, "", "tacet.sim")
	m.want("ready device=gate-12 hub=mqtt://10.0.2.2:")
	m.stop()
}
