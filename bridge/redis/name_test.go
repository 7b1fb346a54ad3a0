package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
)

// TestWhoseNameItIs: a node's name is refused to whoever comes later, unless it is
// the next start of the same node, or the one before is dead or has left.
func TestWhoseNameItIs(t *testing.T) {
	type say struct {
		node  string // of the table below
		first bool
		twice bool // it is refused
	}
	for name, c := range map[string]struct {
		flush int // the server is emptied before this step; 0: never
		leave int // the first node leaves before this step
		steps []say
	}{
		"the same node again":          {steps: []say{{"old", true, false}, {"old", false, false}, {"old", false, false}}},
		"a newcomer":                   {steps: []say{{"old", true, false}, {"other", true, true}, {"old", false, false}}},
		"a newcomer, at once":          {steps: []say{{"old", true, false}, {"old", false, false}, {"other", true, true}, {"old", false, false}}},
		"no home is like another":      {steps: []say{{"homeless", true, false}, {"homeless 2", true, true}, {"homeless", false, false}}},
		"the next start":               {steps: []say{{"old", true, false}, {"old", false, false}, {"next", true, false}, {"next", false, false}, {"old", false, true}}},
		"a newcomer after it has left": {leave: 1, steps: []say{{"old", true, false}, {"other", true, false}, {"other", false, false}}},
		"an emptied server": {flush: 2, steps: []say{
			{"old", true, false}, {"old", false, false}, {"other", true, false}, {"old", false, false}, {"other", false, true}}},
		"an emptied server, and both are new": {flush: 1, steps: []say{
			{"old", true, false}, {"other", true, false}, {"old", false, false}, {"other", false, true}}},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEngine(t)
			plane := func(home string) *Plane {
				cfg := e.node("hub-1")
				cfg.Home = home
				return e.plane(cfg)
			}
			planes := map[string]*Plane{"old": plane("H1"), "next": plane("H1"), "other": plane("H2"), "homeless": plane(""), "homeless 2": plane("")}
			for i, s := range c.steps {
				if c.flush == i && i > 0 {
					e.do("FLUSHALL")
				}
				if c.leave == i && i > 0 {
					planes["old"].farewell()
				}
				if s.first {
					if err := planes[s.node].Free(t.Context()); errors.Is(err, backplane.ErrTwice) != s.twice {
						t.Errorf("step %d: whether the name is free for %s: %v", i, s.node, err)
					}
				}
				if err := planes[s.node].beat(t.Context(), s.first); errors.Is(err, backplane.ErrTwice) != s.twice || err != nil && !s.twice {
					t.Errorf("step %d: %s says its name: %v", i, s.node, err)
				}
			}
		})
	}
}

// TestNameOfADeadNode: after a node timeout without a word a name is anybody's.
func TestNameOfADeadNode(t *testing.T) {
	e := startEngine(t)
	cfg := e.node("hub-1")
	cfg.Heartbeat, cfg.NodeTimeout, cfg.Home = 100*time.Millisecond, 200*time.Millisecond, "H1"
	dead := e.plane(cfg)
	if err := dead.beat(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	cfg.Home, cfg.NodeTimeout = "H2", backplanetest.Patience
	other := e.plane(cfg)
	for end := time.Now().Add(time.Minute); ; {
		err := other.beat(t.Context(), true)
		if err == nil {
			break
		}
		if !errors.Is(err, backplane.ErrTwice) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
	if err := other.beat(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if err := dead.beat(t.Context(), false); !errors.Is(err, backplane.ErrTwice) {
		t.Errorf("who was silent for a node timeout, and finds another under his name: %v", err)
	}
}
