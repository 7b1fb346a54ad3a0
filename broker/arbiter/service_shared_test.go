package arbiter_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/turn"
)

// oneBus is a node's way to a broker that all nodes hear: it tells which of them
// published a message, as the client of an outside broker does.
type oneBus struct {
	*brokertest.Broker
	node string
}

func (b oneBus) Publish(ctx context.Context, batch ...area.Message) error {
	batch = slices.Clone(batch)
	for i := range batch {
		batch[i].From = area.FromNode + ":" + b.node + " " + batch[i].From
	}
	return b.Broker.Publish(ctx, batch...)
}

func (b oneBus) Subscribe(filter string, enqueue func(area.Message)) (func(), error) {
	return b.Broker.Subscribe(filter, func(m area.Message) {
		if node, from, ours := strings.Cut(strings.TrimPrefix(m.From, area.FromNode+":"), " "); ours {
			if m.From = from; node != b.node {
				m.Node = node
			}
		}
		enqueue(m)
	})
}

// unlinked is the connections of a broker that tells nothing of them.
type unlinked struct{}

func (unlinked) Disconnect(string, string) bool          { return false }
func (unlinked) Connections(func(uint64, string)) func() { return func() {} }

// eldest is the node that joined first of those that live.
func (s *site) eldest() string {
	if names := s.names(); len(names) > 0 {
		return slices.Min(names)
	}
	return ""
}

// tally counts what nodes have published, by topic.
type tally struct {
	mu sync.Mutex
	by map[string]map[string]int
}

func (y *tally) heard(m area.Message) {
	node, _, ours := strings.Cut(strings.TrimPrefix(m.From, area.FromNode+":"), " ")
	if !ours || m.Replay {
		return
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.by[m.Topic] == nil {
		y.by[m.Topic] = map[string]int{}
	}
	y.by[m.Topic][node]++
}

func (y *tally) of(node, topic string) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.by[topic][node]
}

// topics are those on which a node has published.
func (y *tally) topics(node string) (list []string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for topic, nodes := range y.by {
		if nodes[node] != 0 {
			list = append(list, topic)
		}
	}
	return list
}

// oneBroker is a pair of nodes that hear the same broker.
func oneBroker(t *testing.T) (s *site, a, b *siteNode, said *tally) {
	t.Helper()
	s, said = newSite(t), &tally{by: map[string]map[string]int{}}
	s.one = brokertest.New(t)
	cancel, err := s.one.Subscribe(area.Root+"/#", said.heard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	_, a, b = s.pair()
	return s, a, b, said
}

// Where all nodes hear one broker the owner alone speaks for the area, and takes each
// claim once, whatever it hears from the others; a work that another node accepted is
// done once; all know who is live.
func TestNodesOfOneBrokerSpeakOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b, said := oneBroker(t)
		defer s.close()
		d1, d2 := a.quick(t, "gate-1", "1", 1), b.quick(t, "gate-2", "2", 1)
		s.pass(time.Second, d1, d2)
		for _, n := range []*siteNode{a, b} {
			for _, id := range []area.DeviceID{"gate-1", "gate-2"} {
				if p, ok := n.roster.Player(id); !ok || p.Presence != area.Online || p.Node != n.name {
					t.Errorf("at %s %s is %s at %s, want online there", n.name, id, p.Presence, p.Node)
				}
			}
		}
		if err := b.service.Submit(t.Context(), area.Work{ID: "w-1", Area: "north", Dur: time.Second, Prio: area.Normal, Expires: time.Now().Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		for i, d := range []*device{d2, d1, d2} {
			before := a.service.Stats().Grants
			d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
			s.until("it plays", func() bool { return d.turn.Phase() == turn.Playing }, d1, d2)
			if grants := a.service.Stats().Grants - before; grants != 1 {
				t.Errorf("turn %d: %d grants, want 1", i, grants)
			}
			if shown, ok := b.service.Busy("north"); !ok || shown.State != area.Held || *shown.Holder != d.id {
				t.Errorf("turn %d: hub-2 has the area as %s", i, shown.Encode())
			}
			d.step(turn.Over{Result: area.Played})
			s.pass(time.Second, d1, d2)
		}
		if said.of("hub-1", area.AreaWorkTopic("north")) == 0 {
			t.Error("the work of hub-2 was not offered")
		}
		if topics := said.topics("hub-2"); len(topics) != 0 {
			t.Errorf("hub-2 has published on %s", topics)
		}
		if st := b.service.Stats(); st.Grants != 0 || st.Stale != 0 {
			t.Errorf("hub-2 has acted itself: %+v", st)
		}
	})
}

// The owner is killed: until another node has the area devices are told to wait by one
// of those that live, nobody shows anything, and nothing is ever granted twice. What a
// node says late of a reign that is over is corrected.
func TestOwnerOfOneBrokerIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b, said := oneBroker(t)
		defer s.close()
		c := s.join("hub-3", 2, newLedger())
		d1, d2 := a.quick(t, "gate-1", "1", 1), b.quick(t, "gate-2", "2", 1)
		d1.step(turn.Wish{Prio: area.Normal, Dur: 5 * time.Second})
		s.until("gate-1 plays", func() bool { return d1.turn.Phase() == turn.Playing }, d1, d2)
		old := a.busy(t, "north")
		a.kill()
		d2.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		synctest.Wait()
		s.until("it is told to wait", func() bool { return said.of("hub-2", area.GrantTopic("gate-2")) > 0 }, d1, d2)
		next := func() *siteNode {
			for _, n := range []*siteNode{b, c} {
				if owner(n) {
					return n
				}
			}
			return nil
		}
		shown := b.busy(t, "north")
		if shown.Term == old.Term && said.of("hub-2", area.BusyTopic("north"))+said.of("hub-3", area.BusyTopic("north")) != 0 {
			t.Errorf("nobody has the area, and %s is shown", shown.Encode())
		}
		s.until("another node has north", func() bool { return next() != nil }, d1, d2)
		s.until("gate-2 plays", func() bool { return d2.turn.Phase() == turn.Playing }, d1, d2)
		if n := said.of("hub-3", area.GrantTopic("gate-2")); next() == b && n != 0 {
			t.Errorf("hub-3 has told gate-2 something %d times", n)
		}

		now := b.busy(t, "north")
		late := oneBus{s.one, "hub-1"}
		if err := late.Publish(t.Context(), area.Message{Topic: area.BusyTopic("north"), Payload: old.Encode(), QoS: 1, Retain: true, From: area.FromArbiter}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if is := b.busy(t, "north"); is.Term != now.Term || is.State != area.Held || *is.Holder != "gate-2" {
			t.Errorf("after a late word of hub-1 the area is shown as %s", is.Encode())
		}
	})
}

// A node that does not reach the broker any more gives its areas up in order, so that one
// that does goes on at once, and takes none until it reaches it again.
func TestANodeWithoutTheOneBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b, _ := oneBroker(t)
		defer s.close()
		d := a.quick(t, "gate-1", "1", 1)
		plays := func() {
			t.Helper()
			d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
			s.until("gate-1 plays", func() bool { return d.turn.Phase() == turn.Playing }, d)
			d.step(turn.Over{Result: area.Played})
		}
		plays()
		a.service.Reach(false)
		if took := s.until("hub-2 has north", func() bool { return owner(b) && !owner(a) }, d); took > 3*time.Second {
			t.Errorf("hub-2 has north %v after it was given up", took)
		}
		plays()
		s.pass(30*time.Second, d)
		a.service.Reach(true)
		a.service.Reach(true)
		s.pass(5*time.Second, d)
		if owner(a) || !owner(b) {
			t.Error("hub-1 has taken north from hub-2")
		}
		b.service.Reach(false)
		s.until("hub-1 has north", func() bool { return owner(a) && !owner(b) }, d)
		plays()
	})
}

// A node that starts when devices have long been there learns of them from the others,
// and keeps them when those are gone; a device that says that it goes is gone at all,
// whatever another node has said before it heard that.
func TestANodeThatComesLateToOneBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b, _ := oneBroker(t)
		defer s.close()
		d := a.quick(t, "gate-1", "1", 1)
		s.pass(time.Second, d)
		c := s.join("hub-3", 2, newLedger())
		time.Sleep(time.Second)
		a.kill()
		b.kill()
		time.Sleep(time.Second)
		if p, _ := c.roster.Player("gate-1"); p.Presence != area.Online {
			t.Errorf("hub-3 has gate-1 as %s", p.Presence)
		}
		d.c.Publish(area.StatusTopic("gate-1"), 1, true, area.Status{Online: false, Boot: 1, Conn: 1, Area: "north", Location: "1"}.Encode()).Wait()
		synctest.Wait()
		c.service.Hear("hub-4", []byte(`{"v":1,"area":"north","life":"x","here":[{"device":"gate-1","location":"1","via":"mqtt","boot":1,"conn":1,"told":true,"link":"mqtt/1"}]}`))
		time.Sleep(15 * time.Second) // everything is said again
		if p, _ := c.roster.Player("gate-1"); p.Presence != area.Offline {
			t.Errorf("hub-3 has gate-1 as %s", p.Presence)
		}
	})
}
