package hubd

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/scheduler"
)

// redisServer is a redis-server of the test's own.
type redisServer struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd

	// timeout is after what silence a node is taken for gone, and for how long the nodes
	// wait for each other at a server that was emptied. Where no server comes back in a
	// test it is so long that a busy machine makes no node seem gone.
	timeout time.Duration
}

func startServer(t *testing.T) *redisServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "tacet-redis-") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	s := &redisServer{t: t, dir: dir, timeout: 20 * time.Second}
	t.Cleanup(func() { s.kill(); _ = os.RemoveAll(dir) })
	s.start()
	return s
}

func (s *redisServer) socket() string { return filepath.Join(s.dir, "s") }

func (s *redisServer) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", "--port", "0", "--unixsocket", s.socket(), "--save", "", "--appendonly", "no", "--dir", s.dir)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("redis-server: %v", err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		if c, err := net.Dial("unix", s.socket()); err == nil {
			_ = c.Close()
			return
		}
	}
	s.t.Fatal("redis-server does not listen")
}

func (s *redisServer) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	_ = os.Remove(s.socket())
}

// node is a hub process of the server's hub; north has a lease of 1 s.
func (s *redisServer) node(name, data string) func(*conf.Config) {
	return func(c *conf.Config) {
		c.Node, c.Data = name, data
		c.Redis.URL, c.Redis.Heartbeat, c.Redis.NodeTimeout = "unix://"+s.socket(), 200*time.Millisecond, s.timeout
		c.Areas = []conf.Area{wing("north", "North Wing")}
		c.Areas[0].Lease, c.Areas[0].Locations = time.Second, []conf.Location{{ID: "1"}, {ID: "2"}}
	}
}

func busyOf(b string) (busy area.Busy) {
	var a struct{ Busy area.Busy }
	_ = json.Unmarshal([]byte(b), &a)
	return a.Busy
}

func leadOf(b string) (l area.Lead) {
	var a struct{ Leader *area.Lead }
	if _ = json.Unmarshal([]byte(b), &a); a.Leader != nil {
		l = *a.Leader
	}
	return l
}

func ledBy(t *testing.T, node string, nodes ...Ready) {
	t.Helper()
	for _, r := range nodes {
		until(t, r.HTTP+"/api/v1/areas/north", func(b string) bool { l := leadOf(b); return l.Host == node && l.Live && l.Term != 0 && l.Since != nil })
	}
}

func idleAt(t *testing.T, r Ready) {
	t.Helper()
	until(t, r.HTTP+"/api/v1/areas/north", func(b string) bool { return busyOf(b).State == area.Idle })
}

// Two hub processes are one hub: an order that either accepts is played by a device
// of the other, presence is one list, groups reach both, and the area is handed on
// when its owner stops.
func TestTwoNodesAreOneHub(t *testing.T) {
	s := startServer(t)
	_, r1, stop1 := started(t, s.node("hub-1", t.TempDir()))
	idleAt(t, r1)
	h2, r2, _ := started(t, s.node("hub-2", t.TempDir()))
	idleAt(t, r2)
	if own := h2.arbiter.Stats().Own; own != 0 {
		t.Fatalf("both have north: hub-2 has %d areas", own)
	}
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/readyz", func(b string) bool { return strings.Contains(b, `"backplane":{"ok":true,"mode":"redis"}`) })
	}
	ledBy(t, "hub-1", r1, r2)
	player(t, r2.MQTT, "gate-2")
	until(t, r1.HTTP+"/api/v1/devices/gate-2", func(b string) bool {
		return strings.Contains(b, `"presence":"online"`) && strings.Contains(b, `"node":"hub-2"`)
	})
	for id, r := range map[string]Ready{"o-1": r1, "o-2": r2} {
		write(t, "POST", r.HTTP+"/api/v1/orders", `{"id":"`+id+`","to":{"area":"north"},"message":"hello","expires":"600s"}`)
	}
	for id, r := range map[string]Ready{"o-1": r1, "o-2": r2} {
		until(t, r.HTTP+"/api/v1/orders/"+id, func(b string) bool {
			return strings.Contains(b, `"state":"played","reason"`) && strings.Contains(b, `"device":"gate-2"`)
		})
	}

	c1, heard1 := dialHub(t, r1)
	c2, heard2 := dialHub(t, r2)
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/api/v1/presence?scope=group:g", func(b string) bool {
			return strings.Contains(b, `"connection_id":"`+c1.ID()+`","node":"hub-1"`) && strings.Contains(b, `"connection_id":"`+c2.ID()+`","node":"hub-2"`)
		})
	}
	tick := time.NewTicker(50 * time.Millisecond) // what is sent before hub-2 listens to the group is not for it
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); len(heard1) == 0 || len(heard2) == 0; <-tick.C {
		if _, err := c1.Invoke(t.Context(), "SendToGroup", "g", "Hello", "all"); err != nil || time.Now().After(end) {
			t.Fatalf("members have heard %d and %d times: %v", len(heard1), len(heard2), err)
		}
	}

	if err := stop1(); err != nil {
		t.Fatal(err)
	}
	ledBy(t, "hub-2", r2)
	write(t, "POST", r2.HTTP+"/api/v1/orders", `{"id":"o-3","to":{"area":"north"},"message":"hello","expires":"600s"}`)
	until(t, r2.HTTP+"/api/v1/orders/o-3", func(b string) bool { return strings.Contains(b, `"state":"played","reason"`) })
	if own := h2.arbiter.Stats().Own; own != 1 {
		t.Errorf("hub-2 has %d areas, want north", own)
	}
}

// dialHub is a member of group g, and what it hears.
func dialHub(t *testing.T, r Ready) (*signalrtest.Client, chan string) {
	t.Helper()
	c, err := signalrtest.Dial(t.Context(), r.HTTP+hubPath, signalrtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	heard := make(chan string, 10_000)
	c.On("Hello", func([]json.RawMessage) { heard <- "" })
	if _, err := c.Invoke(t.Context(), "JoinGroup", "g"); err != nil {
		t.Fatal(err)
	}
	return c, heard
}

// Without the server a node serves what it can, says so, and is whole again when the
// server is back, empty.
func TestTheServerOfTheNodesIsAway(t *testing.T) {
	s := startServer(t)
	s.timeout = 2 * time.Second
	_, r1, _ := started(t, s.node("hub-1", t.TempDir()))
	idleAt(t, r1)
	_, r2, _ := started(t, s.node("hub-2", t.TempDir()))
	idleAt(t, r2)
	player(t, r1.MQTT, "gate-1")
	s.kill()
	write(t, "POST", r2.HTTP+"/api/v1/orders", `{"id":"o-1","to":{"area":"north"},"message":"hello","expires":"300s"}`)
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/readyz", func(b string) bool {
			return strings.Contains(b, `"status":"degraded"`) && strings.Contains(b, `"areas":{"ok":false,"mode":"silent"},"backplane":{"ok":false,"mode":"redis"}`)
		})
		until(t, r.HTTP+"/api/v1/areas/north", func(b string) bool { return busyOf(b).State == area.Settling })
	}
	s.start()
	until(t, r2.HTTP+"/api/v1/orders/o-1", func(b string) bool { return strings.Contains(b, `"state":"played","reason"`) })
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/readyz", func(b string) bool {
			return strings.Contains(b, `"status":"ready"`) && strings.Contains(b, `"areas":{"ok":true}`)
		})
	}
	if _, body := get(t, r1.HTTP+"/api/v1/areas/north/proof"); !strings.Contains(body, `"overlaps":0`) {
		t.Errorf("the proof is %s", body)
	}
}

// A schedule that both nodes have makes one order of each firing.
func TestAFiringIsOneNodes(t *testing.T) {
	s := startServer(t)
	h1, _, _ := started(t, s.node("hub-1", t.TempDir()))
	h2, _, _ := started(t, s.node("hub-2", t.TempDir()))
	north, message := "north", "hello"
	work := area.OrderRequest{To: area.To{Area: &north}, Message: &message}
	by := scheduler.By{Schedule: "boarding", Key: "2026-01-01T12:00:00Z/"}
	first, err := h1.firings().Accept(t.Context(), work, by)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := h2.firings().Accept(t.Context(), work, by); area.CodeOf(err) != area.CodeExists {
		t.Errorf("the other node makes %+v, %v", o, err)
	}
	if again, err := h1.firings().Accept(t.Context(), work, by); err != nil || again.ID != first.ID {
		t.Errorf("once more: %s %v, want %s", again.ID, err, first.ID)
	}
	s.kill()
	by.Key = "2026-01-01T12:05:00Z/"
	if o, err := h1.firings().Accept(t.Context(), work, by); area.CodeOf(err) != area.CodeDegraded {
		t.Errorf("without the server: %+v, %v", o, err)
	}
}
