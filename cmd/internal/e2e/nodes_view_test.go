package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDashboardOfNodes: the page of a node shows the other one, its death and its
// return, and says that the hub is degraded where the nodes cannot reach each other;
// axe-core finds nothing wrong with what it says of them.
func TestDashboardOfNodes(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	data := t.TempDir()
	one := l.node("hub-1", data)
	one.owned()
	two := l.node("hub-2", t.TempDir())
	p := two.browse("nodes.mjs", "hub-1")
	if s := p.step("two"); !has(s.Text, "hub-1", "north", "hub-2 (this one)", "2 are one hub") || !has(s.Look, "hub-2", "ready") {
		t.Errorf("two nodes: the page shows %q, and of the hub %q", s.Text, s.Look)
	}
	one.signal(syscall.SIGKILL)
	one.wait()
	for _, look := range looks { // each takes its time
		p.judged("gone, " + look)
	}
	if s := p.step("gone"); !has(s.Text, "hub-1", "died", "ago", "1 of 2 alive") {
		t.Errorf("one node died: the page shows %q", s.Text)
	}
	l.node("hub-1", data)
	if s := p.step("back"); !has(s.Text, "start 2", "2 are one hub") {
		t.Errorf("it is back: the page shows %q", s.Text)
	}
	l.signal(syscall.SIGKILL)
	l.wait()
	if s := p.step("away"); !has(s.Text, "no answer", "degraded") || !has(s.Look, "hub-2", "degraded") || s.Loud != "dot w" {
		t.Errorf("the server is away: the page shows %q, and of the hub %q with %q", s.Text, s.Look, s.Loud)
	}
	for _, look := range looks {
		p.judged("away, " + look)
	}
	if c := p.step("end").Complaints; len(c) > 0 {
		t.Errorf("the browser complained: %s", brief(c))
	}
	same(t, "exit code", p.wait(), 0)
}

// owned waits until a node has north.
func (s *serve) owned() {
	s.hub.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !s.owns(); <-tick.C {
		if time.Now().After(end) {
			s.hub.t.Fatalf("%s does not get north", s.ready.Node)
		}
	}
}

// has tells whether a text has all the words.
func has(text string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
