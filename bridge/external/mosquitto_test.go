package external

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker/area"
)

// durable has mosquitto write each change to the disk.
const durable = "persistence true\npersistence_location DIR/\nautosave_on_changes true\nautosave_interval 1\n"

// starting is how long a program may take to be there: Erlang reads hundreds of files.
const starting = 3 * time.Minute

// late is when a test gives up.
const late = 60 * time.Second

// peer is somebody else's broker on a port of its own; it can be killed, stalled
// and started again.
type peer struct {
	t       *testing.T
	dir     string
	port    int
	command []string
	env     []string
	cmd     *exec.Cmd
	ended   chan struct{} // closed when cmd has
	user    string        // empty: anybody may come in
	clients int
}

// newMosquitto starts one that keeps nothing on disk, unless more lines of its
// configuration say so.
func newMosquitto(t *testing.T, more ...string) *peer {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal("mosquitto is missing: apt-get install mosquitto")
	}
	b := newPeer(t)
	conf := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous %t\nmax_queued_messages 0\nmax_inflight_messages 100\nuser root\n", b.port, len(more) < 3)
	conf += strings.ReplaceAll(strings.Join(more, "\n"), "DIR", b.dir)
	if err := os.WriteFile(filepath.Join(b.dir, "mosquitto.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	b.command = []string{path, "-c", filepath.Join(b.dir, "mosquitto.conf")}
	b.start()
	t.Cleanup(b.kill)
	return b
}

// newPeer is a broker that has a port and a directory, and no program yet.
func newPeer(t *testing.T) *peer {
	t.Helper()
	return &peer{t: t, dir: t.TempDir(), port: seat(t)}
}

// start starts it and waits until it listens.
func (b *peer) start() {
	b.t.Helper()
	said, err := os.Create(filepath.Join(b.dir, "said"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer said.Close()
	cmd, ended := exec.Command(b.command[0], b.command[1:]...), make(chan struct{})
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = b.dir, append(os.Environ(), b.env...), said, said
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(ended) }()
	b.cmd, b.ended = cmd, ended
	again, end := time.NewTicker(10*time.Millisecond), time.After(starting)
	defer again.Stop()
	for {
		if c, err := net.Dial("tcp", b.addr()); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-again.C:
		case <-ended:
			b.t.Fatalf("%s has ended: %v: %s", b.command[0], cmd.ProcessState, b.lastWords())
		case <-end:
			b.t.Fatalf("%s does not listen: %s", b.command[0], b.lastWords())
		}
	}
}

// lastWords is the end of what it has said and logged.
func (b *peer) lastWords() (words string) {
	for _, name := range []string{"said", "ejabberd.log", "error.log"} {
		text, _ := os.ReadFile(filepath.Join(b.dir, name))
		words += string(text[max(0, len(text)-2000):])
	}
	return words
}

func (b *peer) addr() string { return fmt.Sprintf("127.0.0.1:%d", b.port) }

// server is the peer as the hub's client knows it.
func (b *peer) server(id string) Server {
	s := Server{URL: "mqtt://" + b.addr(), ClientID: id, Username: b.user}
	if b.user != "" {
		s.Password = "x"
	}
	return s
}

func (b *peer) kill() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		<-b.ended
	}
}

// stall has it stand still, and returns when all of it does.
func (b *peer) stall() {
	b.t.Helper()
	b.signal(syscall.SIGSTOP)
	for {
		var is syscall.WaitStatus
		_, err := syscall.Wait4(b.cmd.Process.Pid, &is, syscall.WUNTRACED, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil || !is.Stopped():
			b.t.Fatalf("%s does not stop: %v, %v", b.command[0], is, err)
		default:
			return
		}
	}
}

func (b *peer) goOn() { b.signal(syscall.SIGCONT) }

func (b *peer) signal(s syscall.Signal) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(s); err != nil {
		b.t.Fatal(err)
	}
}

// client connects as somebody else; it comes back by itself, with its session.
func (b *peer) client() mqtt.Client {
	b.t.Helper()
	b.clients++
	o := mqtt.NewClientOptions().AddBroker("tcp://" + b.addr()).SetClientID(fmt.Sprint("other-", b.clients)).SetCleanSession(false).
		SetMaxReconnectInterval(50 * time.Millisecond).SetResumeSubs(true).SetOrderMatters(true).SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond)
	if b.user != "" {
		o.SetUsername(b.user).SetPassword("x")
	}
	c := mqtt.NewClient(o)
	b.wait("connect", c.Connect())
	b.t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func (b *peer) wait(what string, k mqtt.Token) {
	b.t.Helper()
	if !k.WaitTimeout(late) || k.Error() != nil {
		b.t.Fatalf("%s: %v", what, k.Error())
	}
}

// journal is messages in the order in which they came.
type journal struct {
	mu   sync.Mutex
	all  []string
	more chan struct{} // closed when there is another
}

func newJournal() *journal { return &journal{more: make(chan struct{})} }

func (j *journal) add(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all = append(j.all, s)
	close(j.more)
	j.more = make(chan struct{})
}

func (j *journal) list() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.all)
}

// await waits until there is an entry.
func (j *journal) await(t *testing.T, want string) {
	t.Helper()
	timer := time.NewTimer(late)
	defer timer.Stop()
	for {
		j.mu.Lock()
		found, more := slices.Contains(j.all, want), j.more
		j.mu.Unlock()
		if found {
			return
		}
		select {
		case <-more:
		case <-timer.C:
			t.Fatalf("waited in vain for %q; came: %.2000q", want, j.list())
		}
	}
}

// count is how many entries begin so.
func (j *journal) count(prefix string) (n int) {
	for _, s := range j.list() {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}

// hear notes what a client gets, as "topic payload", with "!" behind what is
// retained.
func (b *peer) hear(c mqtt.Client, filter string, qos byte) *journal {
	b.t.Helper()
	j := newJournal()
	b.wait("subscribe", c.Subscribe(filter, qos, func(_ mqtt.Client, m mqtt.Message) {
		s := m.Topic() + " " + string(m.Payload())
		if m.Retained() {
			s += "!"
		}
		j.add(s)
	}))
	return j
}

func logTo(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// until waits until something is so that no event tells of.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(late); !so(); <-again.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// text is a message as the journal has it.
func text(m area.Message) string {
	s := m.Topic + " " + string(m.Payload)
	if m.Replay {
		s += "!"
	}
	if m.From != "" {
		s += " from " + m.From
	}
	return s
}
