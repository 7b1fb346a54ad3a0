package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// outageLength is how long the server between the nodes is away; 30 s is the target's.
var outageLength = flag.Duration("outage", 4*time.Second, "how long the server between the nodes is away")

// crowd is what goes on at two nodes: a member of one group, and a device of one area,
// at each, who are sent something all the time.
type crowd struct {
	t       *testing.T
	nodes   []*serve
	members []*watcher
	web     *npm // another member, at the second node
	senders []*sender
	topics  []*program // mosquitto_sub, one at each node
	gates   []*gate
	sent    int // events to the group, and messages to the topic, of each node
	orders  []area.WorkID
	refused int
}

func newCrowd(t *testing.T, nodes ...*serve) *crowd {
	t.Helper()
	c := &crowd{t: t, nodes: nodes}
	for i, n := range nodes {
		w := n.hub.connect()
		w.call("JoinGroup", "crowd")
		c.members = append(c.members, w)
		c.senders = append(c.senders, n.hub.senderAs(fmt.Sprint("sender-", i+1)))
		c.topics = append(c.topics, n.hub.subscribe("-v", "-t", "crowd/#"))
		c.gates = append(c.gates, n.hub.gate(fmt.Sprint("gate-", i+1), "north", ""))
		n.met(1)
	}
	for i, n := range nodes {
		n.carries("crowd/first", c.topics[1-i])
	}
	c.web = nodes[1].hub.npm()
	c.web.invoke("JoinGroup", "crowd")
	return c
}

// step has each node send its own and the other's.
func (c *crowd) step() {
	c.t.Helper()
	for i, n := range c.nodes {
		event := map[string]any{"event": "Barrier", "args": []any{n.ready.Node, c.sent}}
		n.call("POST", "/groups/crowd/send", event).want(c.t, http.StatusAccepted, nil)
		c.senders[i].publish("crowd/"+n.ready.Node, fmt.Sprint(c.sent))
	}
	if c.sent%20 == 0 {
		order := c.nodes[c.sent/20%2].call("POST", "/orders", `{"to":{"area":"north"},"message":"Boarding","expires":"20s"}`)
		var made area.Accepted
		if order.status == http.StatusAccepted && json.Unmarshal(order.body, &made) == nil {
			c.orders = append(c.orders, made.ID)
		} else {
			c.refused++ // said at once, so not lost
		}
	}
	c.sent++
}

// steps goes on for so long.
func (c *crowd) steps(d time.Duration) {
	c.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		c.step()
	}
}

// heard is what member i has heard of a node, in order.
func (c *crowd) heard(i int, node string) (list []int) {
	for _, e := range c.members[i].told.since(0) {
		list = appendBarrier(list, node, e.event, e.args)
	}
	return list
}

// webHeard is what the client of npm has heard of a node.
func (c *crowd) webHeard(_ int, node string) (list []int) {
	for _, text := range c.web.out.since(0) {
		var l line
		if json.Unmarshal([]byte(text), &l) == nil {
			list = appendBarrier(list, node, l.Event, l.Args)
		}
	}
	return list
}

// appendBarrier appends the number of an event, if it is one of a node's.
func appendBarrier(list []int, node, event string, args []json.RawMessage) []int {
	var from string
	var n int
	if event == "Barrier" && len(args) == 2 && json.Unmarshal(args[0], &from) == nil && json.Unmarshal(args[1], &n) == nil && from == node {
		list = append(list, n)
	}
	return list
}

// seen is what the mosquitto_sub of node i was sent of a node.
func (c *crowd) seen(i int, node string) (list []int) {
	for _, line := range c.topics[i].out.since(0) {
		var n int
		if text, ok := strings.CutPrefix(line, "crowd/"+node+" "); ok {
			if _, err := fmt.Sscan(text, &n); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
}

// whole waits until a node's own has all come, and judges it: each, once, in order.
func (c *crowd) whole(what string, at int, of int, list func(i int, node string) []int) {
	c.t.Helper()
	node := c.nodes[of].ready.Node
	where := fmt.Sprintf("%s of %s at %s", what, node, c.nodes[at].ready.Node)
	eventually(c.t, where, func() bool { l := list(at, node); return len(l) > 0 && l[len(l)-1] == c.sent-1 })
	want := make([]int, c.sent)
	for i := range want {
		want[i] = i
	}
	if got := list(at, node); !slices.Equal(got, want) {
		c.t.Errorf("%s: %d came of %d, or in another order, or twice", where, len(got), c.sent)
	}
}

// lacking are the numbers that a list does not have, first and last of each row.
func (c *crowd) lacking(list []int) (rows []string) {
	next := 0
	for _, n := range append(slices.Clone(list), c.sent) {
		if n > next {
			rows = append(rows, fmt.Sprintf("%d-%d", next, n-1))
		}
		next = n + 1
	}
	return rows
}

// told judges the messages of MQTT that came to a node of another: in order, and what is
// missing is counted where it was lost.
func (c *crowd) told(at, of int) {
	c.t.Helper()
	here, there := c.nodes[at], c.nodes[of]
	var list []int
	var lost, missed float64
	eventually(c.t, "what did not come from "+there.ready.Node+" to "+here.ready.Node+" is said to be lost", func() bool {
		list = c.seen(at, there.ready.Node)
		lost = there.metric("tacet_relay_lost") + there.metric("tacet_relay_discarded")
		missed = here.metric("tacet_relay_missed") + here.metric("tacet_relay_dropped")
		return float64(c.sent-len(list)) <= lost+missed // what is underway is neither
	})
	if !slices.IsSorted(list) || len(slices.Compact(list)) != len(list) {
		c.t.Errorf("the messages of %s came to %s twice or in another order", there.ready.Node, here.ready.Node)
	}
	c.t.Logf("%s lacks the messages %v of %s: %v told as lost there, %v as missed here", here.ready.Node, c.lacking(list), there.ready.Node, lost, missed)
}

// present is who is there, as a node tells: nodes, devices, and connections to any node.
func (c *crowd) present(n *serve) (list []string) {
	var nodes struct {
		Items []struct {
			Node   string
			GoneAt *area.Time `json:"gone_at"`
		}
	}
	n.get("/nodes", &nodes)
	for _, x := range nodes.Items {
		if x.GoneAt == nil {
			list = append(list, "node "+x.Node)
		}
	}
	var devices struct{ Items []area.Device }
	n.get("/devices", &devices)
	for _, d := range devices.Items {
		if d.Presence == area.Online {
			list = append(list, "device "+string(d.ID))
		}
	}
	var conns struct {
		Items []struct {
			ConnectionID string `json:"connection_id"`
		}
	}
	n.get("/presence", &conns)
	for _, x := range conns.Items {
		list = append(list, "connection "+x.ConnectionID)
	}
	slices.Sort(list)
	return list
}

// truth is who is.
func (c *crowd) truth() (list []string) {
	for _, x := range c.nodes {
		list = append(list, "node "+x.ready.Node)
	}
	for _, g := range c.gates {
		list = append(list, "device "+g.id)
	}
	for _, w := range c.members {
		list = append(list, "connection "+w.ID())
	}
	web, _ := heard(c.web.program, 0, "connection", func(l line) bool { return l.Connection != "" })
	list = append(list, "connection "+web.Connection)
	slices.Sort(list)
	return list
}

// agree waits until every node tells the truth, and answers how long that took.
func (c *crowd) agree() time.Duration {
	c.t.Helper()
	begin := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, n := range c.nodes {
		for !slices.Equal(c.present(n), c.truth()) {
			if <-tick.C; time.Since(begin) > patience {
				c.t.Fatalf("%s tells of %q, present are %q", n.ready.Node, c.present(n), c.truth())
			}
		}
	}
	return time.Since(begin)
}

// caughtUp waits until the newest event of each node has come to the other.
func (c *crowd) caughtUp() {
	c.t.Helper()
	for i := range c.nodes {
		eventually(c.t, "the other's newest event comes to "+c.nodes[i].ready.Node, func() bool {
			list := c.heard(i, c.nodes[1-i].ready.Node)
			return len(list) > 0 && list[len(list)-1] == c.sent-1
		})
	}
}

// sounds goes on until an order that is accepted now has been played, and answers how
// long that took.
func (c *crowd) sounds() time.Duration {
	c.t.Helper()
	begin := time.Now()
	n := c.nodes[c.sent%2]
	var made area.Accepted
	n.call("POST", "/orders", `{"to":{"area":"north"},"message":"Boarding","expires":"300s","priority":"high"}`).want(c.t, http.StatusAccepted, &made) // before those that wait
	c.orders = append(c.orders, made.ID)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		c.step()
		var o area.Order
		if n.get("/orders/"+string(made.ID), &o); o.State == area.OrderPlayed {
			return time.Since(begin)
		}
		if time.Since(begin) > patience {
			c.t.Fatalf("north does not sound again: %s is %s, and north %s", made.ID, o.State, n.call("GET", "/areas/north", "").body)
		}
	}
}

// once fails where an order was played to its end twice. All say the same, and most are
// played to their end: so the one of which most was heard was.
func (c *crowd) once() (played int) {
	c.t.Helper()
	type play struct {
		work  string
		heard int // samples that are not silence, of which a busy machine makes some
	}
	long, plays, full := map[string]int{}, []play(nil), 0
	for _, g := range c.gates {
		samples, list := g.recording()
		from := 0
		for _, l := range list {
			if l.Event == "start" {
				from = l.Sample
			}
			if l.Event == "end" && l.Work != nil {
				p := play{*l.Work, len(voiced(samples[from:l.Sample]))}
				plays, full = append(plays, p), max(full, p.heard)
			}
		}
	}
	for _, p := range plays {
		if p.heard > full*99/100 {
			long[p.work]++
		}
	}
	for work, n := range long {
		if n > 1 {
			c.t.Errorf("order %s was played %d times to its end", work, n)
		}
	}
	return len(long)
}

// TestServerAway: while the server between two nodes is killed, stands still and
// forgets, nothing is lost at the node that it was sent to, and nothing is lost unsaid
// at the other; no order is played twice; and when it is back every node knows who is
// there, and the area sounds.
func TestServerAway(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	c := newCrowd(t, l.node("hub-1", t.TempDir(), "speech: {engine: tone}"), l.node("hub-2", t.TempDir(), "speech: {engine: tone}"))
	c.agree()
	c.steps(2 * time.Second)
	for _, o := range []struct {
		name       string
		away, back func()
	}{
		{"killed", func() { l.signal(syscall.SIGKILL); l.wait() }, l.start},
		{"stalled", func() { l.signal(syscall.SIGSTOP) }, func() { l.signal(syscall.SIGCONT) }},
		{"flushed", l.flush, l.flush},
	} {
		begin := c.sent
		o.away()
		c.steps(*outageLength / 2)
		late := c.nodes[1].hub.connect() // the truth changes meanwhile
		late.call("JoinGroup", "others")
		c.members = append(c.members, late)
		c.steps(*outageLength / 2)
		local := make([]int, 2)
		for i, n := range c.nodes {
			local[i] = len(c.heard(i, n.ready.Node)) - begin
		}
		o.back()
		took := c.agree()
		t.Logf("%s (from %d on): %d and %d of %d local events had come before it was back; presence was the truth %v after", o.name, begin, local[0], local[1], c.sent-begin, took.Round(time.Millisecond))
		t.Logf("north sounds again %v after that", c.sounds().Round(time.Millisecond)) // the area is taken again
		c.caughtUp()                                                                   // else the next outage takes what this one has left to be fetched
	}
	c.whole("events to npm's client", 1, 1, c.webHeard)
	eventually(t, "npm's client has the events of the other node that came to the one beside it", func() bool {
		return slices.Equal(c.webHeard(1, c.nodes[0].ready.Node), c.heard(1, c.nodes[0].ready.Node))
	})
	for i := range c.nodes {
		c.whole("events", i, i, c.heard)
		c.whole("messages", i, i, c.seen)
		c.told(i, 1-i)
		missed := c.nodes[i].metric("tacet_backplane_missed")
		if missed == 0 { // what is not said to be lost is there
			c.whole("events", i, 1-i, c.heard)
		} else if n := len(c.heard(i, c.nodes[1-i].ready.Node)); n+int(missed) < c.sent {
			t.Errorf("%d of %d events of the other came, and %v are said to be lost", n, c.sent, missed)
		} else {
			t.Logf("of the events of the other it lacks %v", c.lacking(c.heard(i, c.nodes[1-i].ready.Node)))
		}
		t.Logf("%s: %d of %d events and %d messages of the other came; %v said to be lost, %v caught up", c.nodes[i].ready.Node, len(c.heard(i, c.nodes[1-i].ready.Node)), c.sent,
			len(c.seen(i, c.nodes[1-i].ready.Node)), missed, c.nodes[i].metric("tacet_backplane_caught_up"))
	}
	for _, g := range c.gates { // what they have recorded is whole then
		g.signal(syscall.SIGTERM)
		g.wait()
	}
	t.Logf("%d orders were accepted and %d refused, %d played to their end", len(c.orders), c.refused, c.once())
	oneVoice(t, nil, c.gates...)
}
