package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/cmd/internal/hubd"
)

// ledger is a redis-server that joins hub processes.
type ledger struct {
	*program
	t     *testing.T
	dir   string
	north string // in place of what the area has else
}

func startLedger(t *testing.T) *ledger {
	t.Helper()
	dir, err := os.MkdirTemp("", "tacet-redis-") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l := &ledger{t: t, dir: dir, north: "lease: 1s"}
	l.start()
	return l
}

func (l *ledger) socket() string { return filepath.Join(l.dir, "s") }

func (l *ledger) start() {
	l.t.Helper()
	_ = os.Remove(l.socket())
	l.program = run(l.t, "redis-server", "--port", "0", "--unixsocket", l.socket(), "--save", "", "--appendonly", "no", "--dir", l.dir)
	l.line(0, "ready", func(s string) bool {
		return strings.Contains(s, "ready to accept connections") || strings.Contains(s, "Ready to accept connections")
	})
}

// flush has the server forget everything.
func (l *ledger) flush() {
	l.t.Helper()
	c, err := net.Dial("unix", l.socket())
	if err != nil {
		l.t.Fatal(err)
	}
	defer c.Close()
	answer := make([]byte, 64)
	if _, err := c.Write([]byte("FLUSHALL\r\n")); err != nil {
		l.t.Fatal(err)
	}
	if n, err := c.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "+OK") {
		l.t.Fatalf("FLUSHALL is answered %q %v", answer[:n], err)
	}
}

// node starts a hub process that the ledger joins with others; north has a lease of
// 1 s. More are lines of its configuration.
func (l *ledger) node(name, data string, more ...string) *serve {
	l.t.Helper()
	return l.nodeAt(name, data, "127.0.0.1:0", more...)
}

// nodeAt is node with an address of the web listener.
func (l *ledger) nodeAt(name, data, web string, more ...string) *serve {
	l.t.Helper()
	file := filepath.Join(l.t.TempDir(), "tacet.yaml")
	site := fmt.Sprintf("node: %s\nredis: {url: \"unix://%s\", heartbeat: 500ms, node_timeout: 5s}\nareas: [{id: north, %s}]\n%s\n", name, l.socket(), l.north, strings.Join(more, "\n"))
	if err := os.WriteFile(file, []byte(site), 0o600); err != nil {
		l.t.Fatal(err)
	}
	s := &serve{file: file, program: run(l.t, tacet(l.t), "serve", "--config", file, "--data", data, "--http", web, "--mqtt", "127.0.0.1:0")}
	s.line(0, "ready", func(text string) bool { return strings.HasPrefix(text, "ready ") })
	raw, err := os.ReadFile(filepath.Join(data, "ready.json"))
	if err != nil {
		l.t.Fatal(err)
	}
	var r hubd.Ready
	if err := json.Unmarshal(raw, &r); err != nil {
		l.t.Fatal(err)
	}
	same(l.t, "node", r.Node, name)
	s.hub = &hub{t: l.t, ready: r, data: data, web: &http.Client{Timeout: patience, Transport: &http.Transport{}}}
	l.t.Cleanup(s.web.CloseIdleConnections)
	return s
}

// lost tells whether a node does not have north now, and shows that nothing is granted.
func (s *serve) lost() bool {
	s.hub.t.Helper()
	var a area.Area
	s.get("/areas/north", &a)
	b, err := area.ParseBusy(a.Busy)
	return err == nil && b.State == area.Settling && !s.owns()
}

func (s *serve) owns() bool { return s.metric("tacet_arbiter_own") == 1 }

// players are devices of one area that play at two nodes, through doors that can be
// closed.
type players struct {
	t      *testing.T
	ledger *ledger
	datas  []string
	ways   []*door
	nodes  []*serve
	h      *history
	seed   uint64
	stop   func() // and wait until they have ended
}

// startPlayers starts two nodes, and six devices that play as often as they can.
func startPlayers(t *testing.T) *players {
	t.Helper()
	s := &players{
		t: t, ledger: startLedger(t), datas: []string{t.TempDir(), t.TempDir()}, ways: []*door{newDoor(t), newDoor(t)}, nodes: make([]*serve, 2),
		h: &history{begin: time.Now(), more: make(chan struct{}, 1)}, seed: uint64(time.Now().UnixNano()),
	}
	t.Logf("seed %d", s.seed)
	s.up(0)
	s.up(1)
	ctx, cancel := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	s.stop = func() { cancel(); tasks.Wait() }
	t.Cleanup(cancel)
	for i := range 6 {
		p := &player{h: s.h, n: i, id: area.DeviceID(fmt.Sprint("d-", i)), mid: fmt.Sprint("mid-", i), hub: "mqtt://" + s.ways[i%2].addr(), rng: mrand.New(mrand.NewPCG(s.seed, uint64(i)))}
		tasks.Go(func() {
			for ctx.Err() == nil {
				if err := p.life(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	return s
}

// up starts a node, with the data of its start before.
func (s *players) up(i int) {
	s.t.Helper()
	s.nodes[i] = s.ledger.node(fmt.Sprint("hub-", i+1), s.datas[i])
	s.ways[i].lead(s.t, s.nodes[i].ready.MQTT)
}

// killOwner kills the node that has the area with -9, closes its door, and answers
// which one it was.
func (s *players) killOwner() (i int) {
	s.t.Helper()
	if s.nodes[1].owns() {
		i = 1
	}
	s.nodes[i].signal(syscall.SIGKILL)
	s.nodes[i].wait()
	s.ways[i].lead(s.t, "")
	return i
}

// TestHistoryOfTwoNodes: what devices at two nodes see of one area is what one lock
// could have shown them, while devices die in a sound, the node that has the area is
// killed, and the server that joins the nodes is killed, stands still and forgets.
func TestHistoryOfTwoNodes(t *testing.T) {
	t.Parallel()
	const plays = 25
	two := startPlayers(t)
	l, h := two.ledger, two.h
	goes := func(after string) {
		t.Helper()
		begin, before := time.Now(), h.plays()
		h.until(t, before+1)
		first := time.Since(begin)
		h.until(t, before+plays)
		t.Logf("%s: plays again after %v", after, first.Round(10*time.Millisecond))
	}
	lost := func() { // nobody has north any more, and both nodes show it, be it one after the other: they may have it again
		t.Helper()
		var shown [2]bool
		eventually(t, "both nodes show that north is lost", func() bool {
			for i, n := range two.nodes {
				shown[i] = shown[i] || n.lost()
			}
			return shown[0] && shown[1]
		})
	}
	goes("the start")
	for range 2 {
		i := two.killOwner()
		goes("a killed owner")
		two.up(i)
	}

	l.signal(syscall.SIGKILL)
	l.wait()
	lost()
	l.start()
	goes("a killed server")

	l.signal(syscall.SIGSTOP)
	lost()
	l.signal(syscall.SIGCONT)
	goes("a server that stood still")

	l.flush()
	lost()
	goes("a server that forgot")

	two.stop()
	t.Logf("%d plays, %d deaths in a sound, %d sounds cut", h.stats.plays, h.stats.crashes, h.stats.cuts)
	if r := porcupine.CheckOperationsTimeout(mutexWithTokens, h.ops, patience); r != porcupine.Ok {
		t.Errorf("no lock shows such a history (%s): %s", r, worst(h.ops))
	}
}

func (h *history) plays() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stats.plays
}

// proofAt waits until a hub's verdict of north is as it should be: what has ended is
// written a moment later, and comes to other nodes after that.
func (h *hub) proofAt(what string, fits func(proof.Verdict) bool) (v proof.Verdict) {
	h.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		v = proof.Verdict{}
		h.get("/areas/north/proof", &v)
		if fits(v) {
			return v
		}
	}
	h.t.Fatalf("%s: %+v, %+v", what, v.Counts, v.Nodes)
	return v
}

// TestProofOfTwoNodes: the node that has an area is killed for good. What it has
// recorded is at the other one, whose verdict has all plays and says up to when the
// dead node is known; and after the server was away for a while too.
func TestProofOfTwoNodes(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	l.north = "lease: 3s" // plays are counted: none is cut off where the machine stands still for a second
	datas := []string{t.TempDir(), t.TempDir()}
	one, two := l.node("hub-1", datas[0]), l.node("hub-2", datas[1])
	owner, other := one, two
	w := two.watch()
	two.gate("gate-1", "north", "1")
	play := func() {
		t.Helper()
		if o := w.ended(two.announce(`{"to":{"area":"north"},"message":"Go"}`)); o.State != area.OrderPlayed {
			t.Fatal(story(o))
		}
	}
	for range 3 {
		play()
	}
	if two.owns() {
		owner, other = two, one
	}
	all := func(n uint64) func(proof.Verdict) bool {
		return func(v proof.Verdict) bool {
			return v.OneVoice && v.Plays >= n && v.Measured >= n && len(v.Incomplete()) == 0
		}
	}
	for _, s := range []*serve{one, two} {
		if v := s.proofAt("both alive", all(3)); v.Gaps != 0 || s == other && len(v.Nodes) != 2 {
			t.Errorf("%d gaps, %+v", v.Gaps, v.Nodes)
		}
	}

	l.signal(syscall.SIGKILL) // what is recorded now is copied later
	l.wait()
	l.start()
	play()
	before := other.proofAt("after the server was away", all(4))

	name := owner.ready.Node
	killed := time.Now()
	owner.signal(syscall.SIGKILL)
	owner.wait()
	if err := os.RemoveAll(filepath.Join(owner.data, "proof")); err != nil {
		t.Fatal(err)
	}
	v := other.proofAt("a dead node", func(v proof.Verdict) bool { return len(v.Incomplete()) == 1 })
	if dead := v.Incomplete()[0]; dead.Node != name || dead.Known == nil || dead.Known.Sub(killed).Abs() > patience {
		t.Errorf("%s was killed at %v: %+v", name, killed, dead)
	}
	if !v.OneVoice || v.Plays != before.Plays || v.Measured != before.Measured {
		t.Errorf("%+v, before the node died %+v", v.Counts, before.Counts)
	}
	out, _, code := other.tacet("area", "proof", "north", "--url", other.ready.HTTP)
	if code != 0 || !strings.Contains(out, "as far as it is known: of the record of node "+name) || !strings.Contains(out, "INCOMPLETE") {
		t.Errorf("exit %d: %s", code, out)
	}
	same(t, "findings of the day", other.metric("tacet_proof_overlaps"), 0)
}
