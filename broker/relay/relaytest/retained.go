package relaytest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// Retained is what a node retains on topics that a filter matches, by topic.
func (n *Node) Retained(filter string) map[string]string {
	all := map[string]string{}
	for _, m := range n.Broker.Retained(filter, 0) {
		all[m.Topic] = string(m.Payload)
	}
	return all
}

// Retains waits until each node retains what is wanted.
func Retains(t *testing.T, filter string, want map[string]string, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		n.Until(fmt.Sprintf("it retains %v, not %v", want, n.Retained(filter)), func() bool { return maps.Equal(n.Retained(filter), want) })
	}
}

// What is retained at one node is at every other, whether somebody subscribes there or
// not, and who subscribes later gets it; a deletion deletes it everywhere.
func retained(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b")
	w := n[0].Dial(t, "writer")
	Say(t, w, "r/1", 1, true, "one")
	Say(t, w, "r/2", 0, true, "two")
	Retains(t, "r/#", map[string]string{"r/1": "one", "r/2": "two"}, n...)
	in := brokertest.Subscribe(t, n[1].Dial(t, "reader"), "r/#", 1)
	for _, m := range in.Take(t, 2) {
		if !m.Retain {
			t.Errorf("a new subscriber gets %+v", m)
		}
	}
	Say(t, n[1].Dial(t, "other"), "r/1", 1, true, "") // by another client, at the other node
	Retains(t, "r/#", map[string]string{"r/2": "two"}, n...)
	if m := in.Take(t, 1)[0]; m.Topic != "r/1" || len(m.Payload) != 0 {
		t.Errorf("the deletion comes as %+v", m)
	}
	heard := brokertest.NewInbox()
	cancel, err := n[1].Subscribe("r/#", heard.Put)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	if heard.Len() > 0 {
		t.Error("a part that asks for what came in here gets what another node retained")
	}
	everywhere := brokertest.NewInbox()
	if cancel, err = n[1].SubscribeEverywhere("r/#", everywhere.Put); err != nil {
		t.Fatal(err)
	}
	defer cancel()
	if m := everywhere.Take(t, 1)[0]; m.Node != "a" || !m.Replay {
		t.Errorf("a part that asks for everything gets %+v", m)
	}
}

// Whoever writes, in the end every node retains the same.
func retainedNewest(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b", "c")
	done := make(chan error, len(n))
	for i, x := range n {
		w := x.Dial(t, fmt.Sprint("writer-", i))
		go func() { // joined below
			var err error
			for k := range 300 {
				payload := fmt.Sprint(i, "-", k)
				if k%7 == 0 {
					payload = ""
				}
				token := w.Publish(fmt.Sprint("n/", k%10), 1, true, payload)
				if token.WaitTimeout(Patience); token.Error() != nil {
					err = token.Error()
				}
			}
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	n[0].Until("all retain the same", func() bool {
		first := n[0].Retained("n/#")
		return !slices.ContainsFunc(n[1:], func(x *Node) bool { return !maps.Equal(x.Retained("n/#"), first) })
	})
}

// A node that was away, with what it had on its disk, gets what was retained meanwhile,
// and does not bring back what was deleted; what it alone has the others get. So does
// one that begins with nothing.
func retainedComesBack(t *testing.T, join Join) {
	disk := brokertest.NewStore(t)
	a := Start(t, join, "a")
	b := Start(t, join, "b", func(c *broker.Config) { c.Store = disk })
	Met(t, a, b)
	w := a.Dial(t, "writer")
	for topic, payload := range map[string]string{"k/stays": "old", "k/changes": "old", "k/goes": "old"} {
		Say(t, w, topic, 1, true, payload)
	}
	Retains(t, "k/#", map[string]string{"k/stays": "old", "k/changes": "old", "k/goes": "old"}, b)
	Say(t, b.Dial(t, "last"), "k/b", 1, true, "of b") // on disk, and with it all before
	disk = disk.Crashed()
	b.Stop()
	a.Until("b is gone", func() bool { return a.Relay.Stats().Nodes == 0 })
	Say(t, w, "k/changes", 1, true, "new")
	Say(t, w, "k/goes", 1, true, "")
	Say(t, w, "k/comes", 1, true, strings.Repeat("x", 1000))
	want := map[string]string{"k/stays": "old", "k/changes": "new", "k/comes": strings.Repeat("x", 1000), "k/b": "of b"}
	again := Start(t, join, "b", func(c *broker.Config) { c.Store = disk })
	Retains(t, "k/#", want, a, again)
	c := Start(t, join, "c")
	Retains(t, "k/#", want, c)
	in := brokertest.NewInbox()
	cancel, err := c.SubscribeEverywhere("k/#", in.Put)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	for _, m := range in.Take(t, 4) {
		if m.Topic == "k/b" && (m.Node != "b" || m.From != "last") || area.ReservedClient(m.From) {
			t.Errorf("c has %+v", m)
		}
	}
}
