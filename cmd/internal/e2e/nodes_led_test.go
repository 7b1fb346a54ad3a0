package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
)

// ledNodes is a hub of two nodes whose area north is strict, and has a leader of its
// own.
type ledNodes struct {
	t      *testing.T
	ledger *ledger
	datas  []string
	doors  []*door // of the brokers
	nodes  []*serve
	gates  []*gate
}

// startLedNodes starts two nodes, and a device at each, and waits until one leads.
func startLedNodes(t *testing.T) *ledNodes {
	t.Helper()
	s := &ledNodes{t: t, ledger: startLedger(t), datas: []string{t.TempDir(), t.TempDir()}, doors: []*door{newDoor(t), newDoor(t)}, nodes: make([]*serve, 2)}
	s.ledger.north = "lease: 2s, topology: local, mode: strict"
	s.start(0)
	s.start(1)
	for i := range s.nodes {
		s.gates = append(s.gates, s.member(i))
	}
	return s
}

func (s *ledNodes) start(i int) {
	s.t.Helper()
	s.nodes[i] = s.ledger.node(fmt.Sprint("hub-", i+1), s.datas[i], "speech: {engine: tone}")
	s.doors[i].lead(s.t, s.nodes[i].ready.MQTT)
}

// member is a device that goes to the one node first, and to the other where it must.
func (s *ledNodes) member(i int) *gate {
	s.t.Helper()
	dir := s.t.TempDir()
	file, id := filepath.Join(dir, "device.yaml"), fmt.Sprint("gate-", i+1)
	text := fmt.Sprintf("device: %s\narea: north\nhub: [\"mqtt://%s\", \"mqtt://%s\"]\ndata: %s\npeers: {bind: \"127.0.0.1:0\", listen: \"127.0.0.1:0\", web: \"127.0.0.1:0\"}\n",
		id, s.doors[i].addr(), s.doors[1-i].addr(), filepath.Join(dir, "data"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	g := &gate{id: id, wav: filepath.Join(dir, "heard.wav")}
	g.program = run(s.t, tacetDevice(s.t), "run", "--sim", "--config", file, "--wav", g.wav)
	g.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready device="+id) })
	return g
}

// led waits until each of the nodes shows the same live device as the leader, in a later
// term than that, and answers it and the other one.
func (s *ledNodes) led(after uint64, nodes ...*serve) (leads, other *gate, term uint64) {
	s.t.Helper()
	var by area.Lead
	eventually(s.t, "every node shows who leads north", func() bool {
		for i, n := range nodes {
			var a area.Area
			n.get("/areas/north", &a)
			if l := a.Leader; l == nil || l.Mode != area.LeaderLocal || !l.Live || l.Term <= after || i > 0 && (l.Host != by.Host || l.Term != by.Term) {
				return false
			}
			by = *a.Leader
		}
		return true
	})
	if leads, other = s.gates[0], s.gates[1]; by.Host == other.id {
		leads, other = other, leads
	}
	return leads, other, by.Term
}

// owner is which of the nodes has the area.
func (s *ledNodes) owner() (i int) {
	s.t.Helper()
	eventually(s.t, "a node has north", func() bool {
		for i = range s.nodes {
			if s.nodes[i].owns() {
				return true
			}
		}
		return false
	})
	return i
}

// unplug has no device reach a node until both nodes have noticed.
func (s *ledNodes) unplug() {
	s.t.Helper()
	for _, d := range s.doors {
		d.lead(s.t, "")
	}
	eventually(s.t, "no node hears the leader", func() bool {
		for _, n := range s.nodes {
			var a area.Area
			if n.get("/areas/north", &a); a.Leader == nil || a.Leader.Live {
				return false
			}
		}
		return true
	})
	for i, d := range s.doors {
		d.lead(s.t, s.nodes[i].ready.MQTT)
	}
}

// TestALedAreaOfTwoNodes: the node that has the area is killed with -9 while a device
// plays that the area's leader has granted it. It plays to the end, and what either node
// had accepted is played once; the other node follows the leader, and so does the killed
// one when it is back. Then no device reaches either node for a while, and the leader
// goes on; at last it is killed, and the other device leads, by the hub's vote.
func TestALedAreaOfTwoNodes(t *testing.T) {
	t.Parallel()
	s := startLedNodes(t)
	leads, other, term := s.led(0, s.nodes...)
	has := s.owner()
	stays := s.nodes[1-has]
	w := stays.watch()
	at := func(n *serve, g *gate, text string) area.WorkID {
		t.Helper()
		return n.announce(map[string]any{"to": map[string]string{"device": g.id}, "message": text})
	}
	first := at(s.nodes[has], other, longText)
	whole := other.over(first)
	w.order(first, func(o area.Order) bool { return o.State == area.OrderPlayed })

	id := at(stays, other, longText)
	w.order(id, func(o area.Order) bool { return o.State == area.OrderPlaying })
	next := at(s.nodes[has], leads, "Go")
	w.order(next, func(o area.Order) bool { return o.State == area.OrderAssigned })
	s.nodes[has].signal(syscall.SIGKILL)
	s.nodes[has].wait()
	s.doors[has].lead(t, "")
	if heard := other.over(id); heard < whole*3/4 { // who is cut off is so in his first half
		t.Errorf("%d samples of it were heard, undisturbed %d", heard, whole)
	}
	leads.over(next)
	w.order(id, func(o area.Order) bool { return o.State == area.OrderPlayed })
	w.order(next, func(o area.Order) bool { return o.State == area.OrderPlayed && o.Attempt == 1 })
	if now, _, in := s.led(0, stays); now != leads || in != term {
		t.Errorf("%s leads in term %d, before it was %s in term %d", now.id, in, leads.id, term)
	}
	s.start(has)
	s.led(term-1, s.nodes...)

	s.unplug()
	if now, _, in := s.led(0, s.nodes...); now != leads || in != term {
		t.Errorf("then %s leads in term %d", now.id, in)
	}
	again := stays.announce(map[string]any{"to": map[string]string{"device": other.id}, "message": "Go"})
	w.order(again, func(o area.Order) bool { return o.State == area.OrderPlayed })

	leads.signal(syscall.SIGKILL)
	leads.wait()
	if now, _, _ := s.led(term, s.nodes...); now != other {
		t.Errorf("%s leads", now.id)
	}
	last := s.nodes[has].announce(`{"to":{"area":"north"},"message":"Go"}`)
	s.nodes[has].shows(last, "played", ended(area.OrderPlayed))
	oneVoice(t, nil, s.gates...)
	for _, n := range s.nodes {
		n.proofAt("the record of all plays is there", func(v proof.Verdict) bool { return v.Plays >= 5 })
		if v, code := n.hub.proof("--url", n.ready.HTTP); code != 0 || v.Broken != "" || !v.OneVoice || v.Plays < 5 {
			t.Errorf("proof of %s: exit %d, %+v", n.ready.Node, code, v)
		}
		if splits := n.metric("tacet_arbiter_splits_total"); splits != 0 {
			t.Errorf("%s has declared %v splits", n.ready.Node, splits)
		}
	}
}
