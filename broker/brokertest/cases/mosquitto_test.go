package cases

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var mosquittoPath = flag.String("mosquitto", "", "a Mosquitto to hold against the table as well, by its path")

// mosquitto is a Mosquitto in a process of its own, on a port that was free.
type mosquitto struct {
	path, dir, addr string
	cmd             *exec.Cmd
}

// startMosquitto starts one as a case wants it, as far as that can be said in
// its configuration.
func startMosquitto(set setup, _ string, _ *record) (server, error) {
	dir, err := os.MkdirTemp("", "tacet-cases-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // it gives up being root
		return nil, err
	}
	m := &mosquitto{path: *mosquittoPath, dir: dir}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m.addr = free.Addr().String()
	_ = free.Close()
	if err := m.configure(set); err != nil {
		return nil, err
	}
	return m, m.start()
}

func (m *mosquitto) configure(set setup) error {
	_, port, _ := net.SplitHostPort(m.addr)
	conf := "listener " + port + " 127.0.0.1\nuser root\n"
	if set.durable {
		conf += "persistence true\npersistence_location " + m.dir + "/\n"
	}
	if len(set.people) == 0 {
		return os.WriteFile(filepath.Join(m.dir, "conf"), []byte(conf+"allow_anonymous true\n"), 0o600)
	}
	passwords, rules := filepath.Join(m.dir, "passwords"), ""
	if err := os.WriteFile(passwords, nil, 0o600); err != nil {
		return err
	}
	for _, p := range append(pair, set.people...) {
		if out, err := exec.Command("mosquitto_passwd", "-b", passwords, p.name, password).CombinedOutput(); err != nil {
			return fmt.Errorf("mosquitto_passwd: %w: %s", err, out)
		}
		rules += "user " + p.name + "\n"
		for _, f := range p.publish {
			word := "write"
			if deny, ok := strings.CutPrefix(f, "!"); ok {
				word, f = "deny", deny
			}
			rules += "topic " + word + " " + f + "\n"
		}
		for _, f := range p.subscribe {
			rules += "topic read " + f + "\n"
		}
	}
	acl := filepath.Join(m.dir, "acl")
	if err := os.WriteFile(acl, []byte(rules), 0o600); err != nil {
		return err
	}
	conf += "allow_anonymous false\npassword_file " + passwords + "\nacl_file " + acl + "\n"
	return os.WriteFile(filepath.Join(m.dir, "conf"), []byte(conf), 0o600)
}

func (m *mosquitto) start() error {
	m.cmd = exec.Command(m.path, "-c", filepath.Join(m.dir, "conf"))
	m.cmd.Stdout, m.cmd.Stderr = io.Discard, io.Discard
	return m.cmd.Start()
}

// dial waits for it to listen.
func (m *mosquitto) dial() (conn net.Conn, err error) {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for range 250 {
		if conn, err = net.Dial("tcp", m.addr); err == nil {
			return conn, nil
		}
		<-again.C
	}
	return nil, err
}

func (m *mosquitto) restart() error {
	m.end()
	return m.start()
}

func (m *mosquitto) end() {
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	_ = m.cmd.Wait()
}

func (m *mosquitto) close() {
	m.end()
	_ = os.RemoveAll(m.dir)
}

// TestMosquitto prints what a Mosquitto makes of the table. It judges nothing,
// and does nothing without the flag.
func TestMosquitto(t *testing.T) {
	if *mosquittoPath == "" {
		return
	}
	t.Parallel()
	each(t, func(c testCase) bool { return c.on == anywhere || c.on == onSocket }, func(t *testing.T, c testCase) {
		if err := try(t, c, startMosquitto, "tcp", false, 10*time.Second); err != nil {
			t.Logf("fails: %v", err)
		} else {
			t.Log("passes")
		}
	})
}
