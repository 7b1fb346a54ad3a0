package relaytest

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/relay"
)

// dialled is a connection that is there already.
func dialled(c net.Conn) func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
	return func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return c, nil }
}

// startWith starts a node that has publishers of the hub.
func startWith(t *testing.T, join Join, name string, sides ...string) *Node {
	t.Helper()
	r, err := relay.New(relay.Config{Node: name, Sides: sides})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, join, name, r)
}

// One member over all nodes gets each message of a shared subscription, whoever
// publishes it, and no node is left out.
func shared(t *testing.T, join Join) {
	const each = 200
	n := Hub(t, join, "a", "b", "c")
	const filter = "$share/g/s/+"
	all := brokertest.NewInbox()
	var members []*brokertest.Inbox
	for i, x := range n[:2] {
		for k := range 2 {
			c := x.Dial(t, fmt.Sprint("member-", i, k))
			in := brokertest.NewInbox()
			token := c.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) { in.Put(messageOf(m)); all.Put(messageOf(m)) })
			if !token.WaitTimeout(Patience) || token.Error() != nil {
				t.Fatal(token.Error())
			}
			members = append(members, in)
		}
	}
	plain := brokertest.Subscribe(t, n[1].Dial(t, "plain"), "s/#", 1)
	n[0].KnowsShare(n[1], filter, "s/x", 2)
	n[1].KnowsShare(n[0], filter, "s/x", 2)
	n[2].KnowsShare(n[0], filter, "s/x", 2)
	n[2].KnowsShare(n[1], filter, "s/x", 2)
	n[0].Knows(n[1], "s/x", true)
	n[2].Knows(n[1], "s/x", true)
	for i, x := range n {
		w := x.Dial(t, fmt.Sprint("writer-", i))
		for k := range each {
			Say(t, w, "s/x", 1, false, fmt.Sprint(i, "-", k))
		}
	}
	for name, in := range map[string]*brokertest.Inbox{"the members": all, "who subscribes plainly": plain} {
		got := bodies(in.Take(t, 3*each))
		slices.Sort(got)
		if len(slices.Compact(got)) != 3*each || in.Len() > 0 {
			t.Errorf("%s got %d different messages and %d more, want %d", name, len(got), in.Len(), 3*each)
		}
	}
	for i, x := range n[:2] {
		if got := members[2*i].Len() + members[2*i+1].Len(); got < each {
			t.Errorf("the members at %s got %d of %d messages", x.Name, got, 3*each)
		}
	}
}

// When the members at a node have gone those of the other get everything.
func sharedGoes(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b")
	const filter = "$share/g/s"
	stays := brokertest.Subscribe(t, n[0].Dial(t, "stays"), filter, 1)
	goes := n[1].Dial(t, "goes")
	brokertest.Subscribe(t, goes, filter, 1)
	n[0].KnowsShare(n[1], filter, "s", 1)
	n[1].KnowsShare(n[0], filter, "s", 1)
	goes.Disconnect(0)
	n[0].Until("nobody is there at b", func() bool { return len(n[0].Relay.Route("s").Shares) == 0 })
	for i, x := range n {
		w := x.Dial(t, fmt.Sprint("writer-", i))
		for k := range 20 {
			Say(t, w, "s", 1, false, fmt.Sprint(i, "-", k))
		}
	}
	stays.Take(t, 40)
}
