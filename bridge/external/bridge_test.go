package external

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
)

// table is a [Table] in memory.
type table struct {
	mu   sync.Mutex
	all  map[string][]byte
	full bool
	puts int
}

func newTable() *table { return &table{all: map[string][]byte{}} }

func (x *table) Load(each func(string, []byte) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, k := range slices.Sorted(maps.Keys(x.all)) {
		if err := each(k, x.all[k]); err != nil {
			return err
		}
	}
	return nil
}

func (x *table) PutAsync(key string, value []byte, done func(error)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.full {
		done(errors.New("disk full"))
		return
	}
	x.puts++
	x.all[key] = value
	done(nil)
}

func (x *table) DeleteAsync(key string, done func(error)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.all, key)
	done(nil)
}

func (x *table) len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.all)
}

// newHub is an embedded broker.
func newHub(t *testing.T) *broker.Broker {
	t.Helper()
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0"}, logTo(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	runs(t, b.Run)
	return b
}

// runs runs something until the test ends or stop is called.
func runs(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func newBridge(t *testing.T, hub area.Bus, b *peer, store Table, carried ...Carried) (*Bridge, func()) {
	t.Helper()
	x, err := NewBridge(BridgeConfig{Server: b.server("tacet-bridge"), Name: "plant", Carried: carried}, hub, store, logTo(t))
	if err != nil {
		t.Fatal(err)
	}
	return x, runs(t, x.Run)
}

func TestBridge(t *testing.T) { eachPeer(t, bridges) }

func bridges(t *testing.T, b *peer) {
	hub := newHub(t)
	other := b.client()
	publish(t, hub, area.Message{Topic: "hall/t/old", Payload: []byte("1"), QoS: 1, Retain: true})
	b.wait("publish", other.Publish("site/in/kept", 1, true, "2"))
	there := b.hear(other, "#", 1)
	x, _ := newBridge(t, hub, b, newTable(),
		Carried{Filter: "t/#", Direction: Out, Local: "hall/", Remote: "site/", QoS: 1},
		Carried{Filter: "in/#", Direction: In, Local: "far/", Remote: "site/", QoS: 2},
		Carried{Filter: "both/#", Direction: Both, QoS: 1},
		Carried{Filter: "tacet/#", Direction: Both, QoS: 1},
	)
	here := hear(t, hub, "#")
	until(t, "it is connected", x.Connected)
	here.await(t, "far/in/kept 2 from tacet-bridge:plant")
	there.await(t, "site/t/old 1") // live at who was there before, and retained:
	b.hear(b.client(), "site/t/old", 1).await(t, "site/t/old 1!")

	publish(t, hub, area.Message{Topic: "hall/t/x", Payload: []byte("3"), QoS: 1}, area.Message{Topic: "hall/other", Payload: []byte("4"), QoS: 1})
	there.await(t, "site/t/x 3")
	b.wait("publish", other.Publish("site/in/x", 2, false, "5"))
	here.await(t, "far/in/x 5 from tacet-bridge:plant")

	// Both ways: each comes once on each side.
	publish(t, hub, area.Message{Topic: "both/a", Payload: []byte("6"), QoS: 1})
	there.await(t, "both/a 6")
	b.wait("publish", other.Publish("both/b", 1, false, "7"))
	here.await(t, "both/b 7 from tacet-bridge:plant")
	publish(t, hub, area.Message{Topic: "both/end", QoS: 1})
	there.await(t, "both/end ")
	b.wait("publish", other.Publish("both/end2", 1, false, ""))
	here.await(t, "both/end2  from tacet-bridge:plant")
	for _, c := range []struct {
		where *journal
		what  string
	}{{here, "both/a "}, {here, "both/b "}, {there, "both/a "}, {there, "both/b "}, {there, "site/t/x "}, {here, "far/in/x "}} {
		if n := c.where.count(c.what); n != 1 {
			t.Errorf("%q came %d times", c.what, n)
		}
	}
	if there.count("site/other") != 0 || there.count("hall/") != 0 {
		t.Errorf("what is not carried is: %q", there.list())
	}

	// Nobody outside writes what is the hub's, and secrets stay in.
	for _, topic := range []string{"tacet/area/north/busy", "tacet/device/gate-1/grant", "tacet/area/north/submit", "tacet/request/areas/list", "tacet/device/gate-1/cmd/reboot", "tacet/area/north/claim/gate-1"} {
		b.wait("publish", other.Publish(topic, 1, false, "lie"))
	}
	b.wait("publish", other.Publish("tacet/group/g/E", 1, false, "ok"))
	here.await(t, "tacet/group/g/E ok from tacet-bridge:plant")
	if got := here.count("tacet/"); got != 1 || x.Stats().RefusedIn != 6 {
		t.Errorf("%d of tacet/ came, %d refused", got, x.Stats().RefusedIn)
	}
	secret := area.PeersTopic("gate-1")
	if !area.Secret(secret) {
		t.Fatalf("%s is no secret", secret)
	}
	publish(t, hub, area.Message{Topic: secret, Payload: []byte("key"), QoS: 1}, area.Message{Topic: "tacet/area/north/busy", Payload: []byte("{}"), QoS: 1})
	there.await(t, "tacet/area/north/busy {}")
	if there.count(secret) != 0 {
		t.Error("a secret has left the hub")
	}
}

// numbered publishes n messages at the hub.
func numbered(t *testing.T, hub area.Bus, from, n int) {
	t.Helper()
	for i := range n {
		publish(t, hub, area.Message{Topic: "out/n", Payload: fmt.Append(nil, from+i), QoS: 1})
	}
}

// once checks that what was numbered from first to n-1 came once each and in
// order.
func once(t *testing.T, at *journal, first, n int) {
	t.Helper()
	at.await(t, fmt.Sprint("out/n ", n-1))
	next := first
	for _, s := range at.list() {
		var i int
		if _, err := fmt.Sscanf(s, "out/n %d", &i); err != nil || i < first {
			continue
		}
		if i != next {
			t.Fatalf("%d came, want %d", i, next)
		}
		next++
	}
	if next != n {
		t.Errorf("the last is %d, want %d", next-1, n-1)
	}
}

var outward = Carried{Filter: "out/#", Direction: Both, QoS: 2}

// TestBridgeWhenTheBrokerIsKilled: what the hub says meanwhile waits, and comes
// once and in order when the broker is back.
func TestBridgeWhenTheBrokerIsKilled(t *testing.T) {
	b, hub, store := newMosquitto(t, durable), newHub(t), newTable()
	x, _ := newBridge(t, hub, b, store, outward)
	at := b.hear(b.client(), "out/#", 2)
	until(t, "it is connected", x.Connected)
	numbered(t, hub, 0, 100)
	once(t, at, 0, 100)
	until(t, "all is acknowledged", func() bool { return x.Stats().Waiting == 0 })
	b.kill()
	until(t, "the bridge knows it", func() bool { return !x.Connected() })
	numbered(t, hub, 100, 400)
	until(t, "what waits is on disk", func() bool { return store.len() == 400 })
	b.start()
	once(t, at, 100, 500) // of what was before Mosquitto itself may deliver some again: what it had on disk is older
	until(t, "nothing is left on disk", func() bool { return store.len() == 0 })
	if s := x.Stats(); s.Dropped != 0 || s.Lost != 1 || s.Connects != 2 {
		t.Errorf("%+v", s)
	}
}

// TestBridgeWhenTheBrokerStalls: the connection is given up, and what was on its
// way when the broker stood still comes once all the same.
func TestBridgeWhenTheBrokerStalls(t *testing.T) { eachPeer(t, testBridgeWhenTheBrokerStalls) }

func testBridgeWhenTheBrokerStalls(t *testing.T, b *peer) {
	hub := newHub(t)
	x, _ := newBridge(t, hub, b, newTable(), outward)
	other := b.client()
	at := b.hear(other, "out/#", 2)
	until(t, "it is connected", x.Connected)
	const n, rounds = 300, 3
	for r := range rounds {
		until(t, "all is acknowledged", func() bool { return x.Stats().Waiting == 0 })
		b.stall()
		numbered(t, hub, r*n, n)
		until(t, "much is on its way", func() bool { return x.Stats().Waiting == n })
		if r == 1 { // the connection breaks while the broker stands still, with what it has not read
			_ = x.link.current().socket.Close()
			until(t, "the bridge knows it", func() bool { return !x.Connected() })
		}
		b.goOn()
		once(t, at, 0, (r+1)*n)
	}
	if s := x.Stats(); s.Dropped != 0 || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}

// TestBridgeKeepsOverARestart: what waits when the hub ends goes out when it is
// there again.
func TestBridgeKeepsOverARestart(t *testing.T) {
	b, hub, store := newMosquitto(t), newHub(t), newTable()
	x, stop := newBridge(t, hub, b, store, outward)
	until(t, "it is connected", x.Connected)
	b.kill()
	until(t, "the bridge knows it", func() bool { return !x.Connected() })
	numbered(t, hub, 0, 50)
	stop()
	if store.len() != 50 {
		t.Fatalf("%d are on disk", store.len())
	}
	store.all["plant/rubbish"], store.all["plant/00000000000000ff"], store.all["else/1"] = []byte("x"), []byte{9}, nil
	b.start()
	at := b.hear(b.client(), "out/#", 2)
	y, _ := newBridge(t, hub, b, store, outward)
	until(t, "it is connected", y.Connected)
	numbered(t, hub, 50, 10)
	once(t, at, 0, 60)
	until(t, "all is acknowledged", func() bool { return y.Stats().Waiting == 0 })
	if store.len() != 3 {
		t.Errorf("%d are left on disk, want those that are not ours", store.len())
	}
}

// TestBridgeIn: what the other broker had for us while the connection was down
// comes once.
func TestBridgeIn(t *testing.T) { eachPeer(t, testBridgeIn) }

func testBridgeIn(t *testing.T, b *peer) {
	hub := newHub(t)
	here := hear(t, hub, "out/#")
	x, stop := newBridge(t, hub, b, newTable(), outward)
	until(t, "it is connected", x.Connected)
	other := b.client()
	const n = 300
	send := func(from int) {
		for i := range n {
			b.wait("publish", other.Publish("out/n", 2, false, fmt.Sprint(from+i)))
		}
	}
	send(0)
	here.await(t, fmt.Sprintf("out/n %d from tacet-bridge:plant", n-1))
	// What came is acknowledged after it was handed on, and before the next is.
	b.wait("publish", other.Publish("out/mark", 0, false, ""))
	here.await(t, "out/mark  from tacet-bridge:plant")
	stop()
	send(n)
	newBridge(t, hub, b, newTable(), outward)
	here.await(t, fmt.Sprintf("out/n %d from tacet-bridge:plant", 2*n-1))
	if got := here.count("out/n "); got != 2*n {
		t.Errorf("%d came, want %d", got, 2*n)
	}
}

// slowBus is a hub that takes one message for each token.
type slowBus struct {
	area.Bus
	tokens chan struct{}
}

func (s slowBus) Publish(ctx context.Context, batch ...area.Message) error {
	select {
	case <-s.tokens:
		return s.Bus.Publish(ctx, batch...)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestBridgeEndsWithNothingInHand: what the other broker was told that we have is
// published, also where the hub ends before it has taken all of it.
func TestBridgeEndsWithNothingInHand(t *testing.T) {
	b, hub := newMosquitto(t), newHub(t)
	here := hear(t, hub, "out/#")
	slow := slowBus{hub, make(chan struct{}, 100)}
	x, err := NewBridge(BridgeConfig{Server: b.server("tacet-bridge"), Name: "plant", Carried: []Carried{outward}}, slow, newTable(), logTo(t))
	if err != nil {
		t.Fatal(err)
	}
	x.rest = late
	stop := runs(t, x.Run)
	until(t, "it is connected", x.Connected)
	other := b.client()
	const n = 20
	for i := range n {
		b.wait("publish", other.Publish("out/n", 2, false, fmt.Sprint(i)))
	}
	until(t, "all has come", func() bool { return x.Stats().Received == n })
	slow.tokens <- struct{}{}
	here.await(t, "out/n 0 from tacet-bridge:plant")
	ended := make(chan struct{})
	go func() { defer close(ended); stop() }()
	until(t, "it takes its leave", func() bool { return !x.Connected() })
	for range n - 1 {
		slow.tokens <- struct{}{}
	}
	<-ended
	here.await(t, fmt.Sprintf("out/n %d from tacet-bridge:plant", n-1))
	if got := here.count("out/n "); got != n {
		t.Errorf("%d came, want %d", got, n)
	}
}

func TestNewBridgeRefuses(t *testing.T) {
	good := BridgeConfig{Server: Server{URL: "mqtts://x", ClientID: "c"}, Name: "n", Carried: []Carried{{Filter: "a/#", Direction: Out}}}
	if err := good.Validate(); err != nil {
		t.Errorf("good: %v", err)
	}
	for name, change := range map[string]func(*BridgeConfig){
		"name": func(c *BridgeConfig) { c.Name = "a b" }, "buffer": func(c *BridgeConfig) { c.BufferBytes = 1 }, "nothing": func(c *BridgeConfig) { c.Carried = nil },
		"direction": func(c *BridgeConfig) { c.Carried[0].Direction = "up" }, "qos": func(c *BridgeConfig) { c.Carried[0].QoS = 3 },
		"filter": func(c *BridgeConfig) { c.Carried[0].Filter = "a#" }, "prefix": func(c *BridgeConfig) { c.Carried[0].Local = "+/" },
		"system": func(c *BridgeConfig) { c.Carried[0].Remote = "$SYS/" }, "tenant": func(c *BridgeConfig) { c.Carried[0].Local = "@acme/" }, "server": func(c *BridgeConfig) { c.URL = "" },
	} {
		c := good
		c.Carried = slices.Clone(c.Carried)
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s: %+v is taken", name, c)
		}
	}
}
