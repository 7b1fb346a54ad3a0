package external

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// newBus runs a bus until the test ends or stop is called.
func newBus(t *testing.T, b *peer, node string) (bus *Bus, stop func()) {
	t.Helper()
	return runBus(t, BusConfig{Server: b.server("tacet-" + node), Node: node})
}

func runBus(t *testing.T, cfg BusConfig) (bus *Bus, stop func()) {
	t.Helper()
	bus, err := NewBus(cfg, logTo(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return bus, stop
}

// hear notes what a subscriber of the bus gets.
func hear(t *testing.T, bus area.Bus, filter string) *journal {
	t.Helper()
	j := newJournal()
	cancel, err := bus.Subscribe(filter, func(m area.Message) { j.add(text(m)) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return j
}

func publish(t *testing.T, bus area.Bus, batch ...area.Message) {
	t.Helper()
	if err := bus.Publish(t.Context(), batch...); err != nil {
		t.Fatal(err)
	}
}

func TestBus(t *testing.T) { eachPeer(t, testBus) }

func testBus(t *testing.T, b *peer) {
	other := b.client()
	b.wait("publish", other.Publish("home/old", 1, true, "19"))
	bus, _ := newBus(t, b, "hub-1")
	all, at := hear(t, bus, "#"), b.hear(other, "#", 1)
	all.await(t, "home/old 19!")

	publish(t, bus, area.Message{Topic: "a/1", Payload: []byte("x"), QoS: 1, From: area.FromArbiter}, area.Message{Topic: "a/2", Payload: []byte("y"), QoS: 1})
	all.await(t, "a/1 x from tacet-arbiter")
	all.await(t, "a/2 y from tacet-hub")
	at.await(t, "a/2 y")
	b.wait("publish", other.Publish("home/new", 1, false, "20"))
	all.await(t, "home/new 20")

	// What is retained is told to who comes late, once.
	publish(t, bus, area.Message{Topic: "k/ours", Payload: []byte("1"), QoS: 1, Retain: true}, area.Message{Topic: "k/ours", Payload: []byte("2"), QoS: 1, Retain: true})
	all.await(t, "k/ours 2 from tacet-hub")
	late := hear(t, bus, "+/#")
	if got := fmt.Sprint(late.list()); got != "[home/old 19! k/ours 2! from tacet-hub]" {
		t.Errorf("who comes late hears %s", got)
	}
	if got := bus.Retained("k/#", 0); len(got) != 1 || string(got[0].Payload) != "2" {
		t.Errorf("retained %v", got)
	}
	publish(t, bus, area.Message{Topic: "k/ours", QoS: 1, Retain: true})
	all.await(t, "k/ours  from tacet-hub")
	if got := bus.Retained("k/#", 0); len(got) != 0 {
		t.Errorf("retained after it was cleared: %v", got)
	}

	// A device has a number in the place of its connection's.
	conns := make(chan uint64, 4)
	cancel, err := bus.Subscribe("tacet/device/+/status", func(m area.Message) { conns <- m.Conn })
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"gate-1", "gate-2", "gate-1"} {
		b.wait("publish", other.Publish("tacet/device/"+d+"/status", 1, true, "{}"))
	}
	if first, second, third := <-conns, <-conns, <-conns; first == 0 || second == 0 || first == second || first != third {
		t.Errorf("numbers %d %d %d", first, second, third)
	}
	cancel()

	// Another hub's messages are another node's.
	second, _ := newBus(t, b, "hub-2")
	publish(t, second, area.Message{Topic: "a/3", Payload: []byte("z"), QoS: 1})
	all.await(t, "a/3 z from tacet-node:hub-2")

	// Of a hub of several nodes it is told who published it there, and what is retained.
	node, _ := runBus(t, BusConfig{Server: b.server("tacet-hub-3"), Node: "hub-3", Several: true})
	nodes := make(chan area.Message, 1)
	if _, err := node.Subscribe("k/node", func(m area.Message) { nodes <- m }); err != nil {
		t.Fatal(err)
	}
	publish(t, node, area.Message{Topic: "a/4", Payload: []byte("z"), QoS: 1})
	all.await(t, "a/4 z from tacet-node:hub-3") // the broker serves it
	publish(t, second, area.Message{Topic: "k/node", Payload: []byte("z"), QoS: 1, Retain: true, From: area.FromArbiter})
	if m := <-nodes; m.Node != "hub-2" || m.From != area.FromArbiter || !m.Retain {
		t.Errorf("a message of another node is %+v", m)
	}
	if got := node.Retained("k/node", 0); len(got) != 1 || got[0].Node != "hub-2" {
		t.Errorf("another node's retained message is %+v", got)
	}

	for _, m := range []area.Message{{Topic: ""}, {Topic: "a/#"}, {Topic: "a", QoS: 3}, {Topic: "a", From: "somebody"}} {
		if err := bus.Publish(t.Context(), m); area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("%v: %v", m, err)
		}
	}
	for _, f := range []string{"", "a/#/b", "$share/g/a"} {
		if _, err := bus.Subscribe(f, func(area.Message) {}); area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("filter %q: %v", f, err)
		}
	}
}

// TestBusWhenTheBrokerIsKilled: what is published meanwhile goes out afterwards, in
// order; and what the hub had retained is there again, though the broker forgot it.
func TestBusWhenTheBrokerIsKilled(t *testing.T) { eachPeer(t, testBusWhenTheBrokerIsKilled) }

func testBusWhenTheBrokerIsKilled(t *testing.T, b *peer) {
	bus, _ := newBus(t, b, "hub-1")
	all := hear(t, bus, "#")
	publish(t, bus, area.Message{Topic: "tacet/area/north/busy", Payload: []byte("idle"), QoS: 1, Retain: true, From: area.FromArbiter})
	all.await(t, "tacet/area/north/busy idle from tacet-arbiter")
	b.kill()
	until(t, "the bus knows it", func() bool { return !bus.Connected() })
	const n = 100
	for i := range n {
		publish(t, bus, area.Message{Topic: "a", Payload: fmt.Append(nil, i), QoS: 1})
	}
	b.start()
	all.await(t, fmt.Sprintf("a %d from tacet-hub", n-1))
	next := 0
	for _, s := range all.list() {
		if s == fmt.Sprintf("a %d from tacet-hub", next) {
			next++
		}
	}
	if next != n || all.count("a ") != n {
		t.Errorf("%d in order, %d in all, want %d", next, all.count("a "), n)
	}
	at := b.hear(b.client(), "tacet/#", 1)
	at.await(t, "tacet/area/north/busy idle!")
	until(t, "all is acknowledged", func() bool { return bus.Stats().Waiting == 0 }) // what comes back may be before its acknowledgement
	if s := bus.Stats(); s.Connects != 2 || s.Lost != 1 {
		t.Errorf("%+v", s)
	}
}

// TestBusWhenTheBrokerStalls: publishers wait when much waits, and nothing is lost.
func TestBusWhenTheBrokerStalls(t *testing.T) { eachPeer(t, testBusWhenTheBrokerStalls) }

func testBusWhenTheBrokerStalls(t *testing.T, b *peer) {
	bus, _ := newBus(t, b, "hub-1")
	all := hear(t, bus, "a")
	until(t, "it is connected", bus.Connected)
	b.stall()
	const n = 5000 // more than the queue holds
	published := make(chan error, 1)
	go func() {
		for i := range n {
			if err := bus.Publish(context.Background(), area.Message{Topic: "a", Payload: fmt.Append(nil, i), QoS: 1}); err != nil {
				published <- err
				return
			}
		}
		published <- nil
	}()
	until(t, "the queue is full", func() bool { return bus.Stats().Waiting >= 4096 })
	until(t, "a full queue takes no message", func() bool { // an acknowledgement from before may make room yet
		short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		return bus.Publish(short, area.Message{Topic: "b"}) != nil
	})
	b.goOn()
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	all.await(t, fmt.Sprintf("a %d from tacet-hub", n-1))
	if got := all.count("a "); got != n {
		t.Errorf("%d came, want %d", got, n)
	}
}

// TestBusGoodbye: what waits goes out when the hub ends.
func TestBusGoodbye(t *testing.T) { eachPeer(t, testBusGoodbye) }

func testBusGoodbye(t *testing.T, b *peer) {
	at := b.hear(b.client(), "#", 1)
	bus, stop := newBus(t, b, "hub-1")
	until(t, "it is connected", bus.Connected)
	for i := range 50 {
		publish(t, bus, area.Message{Topic: "a", Payload: fmt.Append(nil, i), QoS: 1})
	}
	stop()
	at.await(t, "a 49")
}

func TestNewBusRefuses(t *testing.T) {
	for _, c := range []BusConfig{
		{}, {Server: Server{URL: "mqtt://x", ClientID: "c"}}, {Server: Server{URL: "http://x", ClientID: "c"}, Node: "n"}, {Server: Server{URL: "mqtt://", ClientID: "c"}, Node: "n"},
		{Server: Server{URL: "mqtt://u:p@x", ClientID: "c"}, Node: "n"}, {Server: Server{URL: "mqtt://x", ClientID: "c", Password: "p"}, Node: "n"}, {Server: Server{URL: "mqtt://x"}, Node: "n"},
	} {
		if _, err := NewBus(c, nil); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// TestWhatTheBrokerKeptIsOldNews: a sensor's word that the broker kept while no hub
// was there, more than goes at once, is a replay to the next one, the live word behind
// it is not; a work is not told apart, and what came in a short absence is not either.
func TestWhatTheBrokerKeptIsOldNews(t *testing.T) { eachPeer(t, testWhatTheBrokerKeptIsOldNews) }

func testWhatTheBrokerKeptIsOldNews(t *testing.T, b *peer) {
	other := b.client()
	bus, stop := newBus(t, b, "hub-1")
	until(t, "it is connected", bus.Connected)
	stop()
	const n = 200
	for i := range n {
		b.wait("publish", other.Publish("home/hall", 1, false, fmt.Sprint(i)))
	}
	b.wait("publish", other.Publish("tacet/area/north/submit", 1, false, "w"))
	bus, err := NewBus(BusConfig{Server: b.server("tacet-hub-1"), Node: "hub-1"}, logTo(t))
	if err != nil {
		t.Fatal(err)
	}
	all := hear(t, bus, "#")
	runs(t, bus.Run)
	for i := range n {
		all.await(t, fmt.Sprintf("home/hall %d!", i))
	}
	all.await(t, "tacet/area/north/submit w")
	until(t, "the mark is back", func() bool { return bus.link.late.until.Load() == 0 })
	b.wait("publish", other.Publish("home/hall", 1, false, "live"))
	all.await(t, "home/hall live")
	until(t, "it is connected", bus.Connected)
	_ = bus.link.current().socket.Close()
	b.wait("publish", other.Publish("home/hall", 1, false, "meanwhile"))
	all.await(t, "home/hall meanwhile")
	if all.count("tacet/hub/") != 0 {
		t.Error("the mark is told")
	}
}
