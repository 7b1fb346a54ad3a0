package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

var ctx = context.Background()

func publish(t testing.TB, b interface {
	Publish(context.Context, ...area.Message) error
}, batch ...area.Message) {
	t.Helper()
	if err := b.Publish(ctx, batch...); err != nil {
		t.Fatal(err)
	}
}

func subscribe(t testing.TB, b *brokertest.Broker, filter string) *brokertest.Inbox {
	t.Helper()
	in := brokertest.NewInbox()
	cancel, err := b.Subscribe(filter, in.Put)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return in
}

func TestDeliveredMessageSaysWhoAndHow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		ups := events(b)
		all := subscribe(t, b, "#")
		gate := dial(t, b, 4, "gate-1", withWill("tacet/device/gate-1/status", "gone", true), func(pk *packets.Packet) { pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte("ann") })
		conn := (<-ups).Conn

		gate.send(publishPacket("a", "live", 0, 0))
		retained := publishPacket("b", "kept", 2, 7)
		retained.FixedHeader.Retain = true
		gate.send(retained)
		gate.expect(packets.Pubrec)
		got := all.Take(t, 2) // the library acknowledges before it sends on
		publish(t, b,
			area.Message{Topic: "c", Payload: []byte("ours"), QoS: 1, Retain: true, From: "tacet-hub:k2"},
			area.Message{Topic: "d"})
		got = append(got, all.Take(t, 2)...)
		_ = gate.Close()
		got = append(got, all.Take(t, 1)...)
		got = append(got, subscribe(t, b, "b").Take(t, 1)...)
		got = append(got, subscribe(t, b, "c").Take(t, 1)...)
		got = append(got, subscribe(t, b, "tacet/#").Take(t, 1)...)

		for i, want := range []area.Message{
			{Topic: "a", Payload: []byte("live"), From: "gate-1", User: "ann", Conn: conn},
			{Topic: "b", Payload: []byte("kept"), QoS: 2, Retain: true, From: "gate-1", User: "ann", Conn: conn},
			{Topic: "c", Payload: []byte("ours"), QoS: 1, Retain: true, From: "tacet-hub:k2"},
			{Topic: "d", From: area.FromHub},
			{Topic: "tacet/device/gate-1/status", Payload: []byte("gone"), QoS: 1, Retain: true, Will: true, From: "gate-1", User: "ann", Conn: conn},
			{Topic: "b", Payload: []byte("kept"), QoS: 2, Retain: true, Replay: true, From: "gate-1", User: "ann", Conn: conn},
			{Topic: "c", Payload: []byte("ours"), QoS: 1, Retain: true, Replay: true, From: "tacet-hub:k2"},
			{Topic: "tacet/device/gate-1/status", Payload: []byte("gone"), QoS: 1, Retain: true, Will: true, Replay: true, From: "gate-1", User: "ann", Conn: conn},
		} {
			if fmt.Sprintf("%+v", got[i]) != fmt.Sprintf("%+v", want) {
				t.Errorf("message %d:\n got %+v\nwant %+v", i, got[i], want)
			}
		}
	})
}

func TestPublishTakesNoBadMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		all := subscribe(t, b, "#")
		for name, bad := range map[string]area.Message{
			"no topic": {}, "wildcard": {Topic: "a/+"}, "not text": {Topic: "a\xff"}, "qos": {Topic: "a", QoS: 3},
			"a client's name": {Topic: "a", From: "gate-1"},
		} {
			if err := b.Publish(ctx, area.Message{Topic: "good"}, bad); area.CodeOf(err) != area.CodeInvalid {
				t.Errorf("%s: %v; want %s", name, err, area.CodeInvalid)
			}
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := b.Publish(ended, area.Message{Topic: "good"}); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v", err)
		}
		if all.Len() != 0 {
			t.Errorf("%d messages came, want none", all.Len())
		}
	})
}

func TestPublishCopiesPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		all := subscribe(t, b, "#")
		p := []byte("one")
		publish(t, b, area.Message{Topic: "a", Payload: p, Retain: true})
		copy(p, "two")
		if m := all.Take(t, 1)[0]; string(m.Payload) != "one" || string(b.Retained("a", 0)[0].Payload) != "one" {
			t.Errorf("payload %q", m.Payload)
		}
	})
}

func TestBatchStaysInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		inline := subscribe(t, b, "n/+")
		device := brokertest.Subscribe(t, b.Dial(t, "gate-1"), "n/+", 1)
		const n = 200
		var work sync.WaitGroup
		for p := range 4 {
			work.Go(func() {
				for i := range n {
					publish(t, b,
						area.Message{Topic: fmt.Sprint("n/", p), Payload: fmt.Append(nil, 2*i), QoS: 1},
						area.Message{Topic: fmt.Sprint("n/", p), Payload: fmt.Append(nil, 2*i+1), QoS: 1})
				}
			})
		}
		work.Wait()
		for name, in := range map[string]*brokertest.Inbox{"inline": inline, "device": device} {
			next := map[string]int{}
			for _, m := range in.Take(t, 4*2*n) {
				if string(m.Payload) != fmt.Sprint(next[m.Topic]) {
					t.Fatalf("%s: %s came on %s, want %d", name, m.Payload, m.Topic, next[m.Topic])
				}
				next[m.Topic]++
			}
		}
	})
}

func TestFiltersMatchAsTheStandardHasIt(t *testing.T) {
	topics := []string{"a", "a/b", "a/b/c", "b", "$SYS/x", "$x"}
	for filter, want := range map[string]string{
		"#": "a a/b a/b/c b", "a/#": "a a/b a/b/c", "+": "a b", "a/+": "a/b", "+/#": "a a/b a/b/c b",
		"a/b": "a/b", "$SYS/#": "$SYS/x", "a/b/#": "a/b a/b/c", "+/b/#": "a/b a/b/c", "$x": "$x",
	} {
		t.Run(filter, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				live, err := names(t, b, filter, topics, false)
				if err != nil || live != want {
					t.Errorf("live: %q, %v; want %q", live, err, want)
				}
				replayed, err := names(t, b, filter, topics, true)
				if err != nil || replayed != want {
					t.Errorf("replayed: %q, %v; want %q", replayed, err, want)
				}
				var kept []string
				for _, m := range b.Retained(filter, 0) {
					if !strings.HasPrefix(m.Topic, "$SYS/broker") {
						kept = append(kept, m.Topic)
					}
				}
				if got := strings.Join(kept, " "); got != want {
					t.Errorf("Retained: %q, want %q", got, want)
				}
			})
		})
	}
}

// names publishes on the topics, retained before a subscription or live after
// it, and gives those that came.
func names(t *testing.T, b *brokertest.Broker, filter string, topics []string, replay bool) (string, error) {
	synctest.Wait() // until the library has said its $SYS
	batch := []area.Message{}
	for _, topic := range topics {
		batch = append(batch, area.Message{Topic: topic, Payload: []byte("x"), Retain: replay})
	}
	if replay {
		publish(t, b, batch...)
	}
	in := brokertest.NewInbox()
	cancel, err := b.Subscribe(filter, in.Put)
	if err != nil {
		return "", err
	}
	if !replay {
		in.Take(t, in.Len())
		publish(t, b, batch...)
	}
	cancel()
	publish(t, b, batch...) // comes to nobody
	var got []string
	for _, m := range in.Take(t, in.Len()) {
		if m.Replay != replay {
			t.Errorf("%s has Replay %t", m.Topic, m.Replay)
		}
		if !strings.HasPrefix(m.Topic, "$SYS/broker") {
			got = append(got, m.Topic)
		}
	}
	slices.Sort(got)
	return strings.Join(got, " "), nil
}

func TestSubscriptionsDoNotDisturbEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		in := []*brokertest.Inbox{subscribe(t, b, "a/#"), subscribe(t, b, "a/#"), subscribe(t, b, "a/+"), subscribe(t, b, "#"), subscribe(t, b, "a")}
		publish(t, b, area.Message{Topic: "a/b"}, area.Message{Topic: "a"})
		for i, want := range []int{2, 2, 1, 2, 1} {
			if got := in[i].Len(); got != want {
				t.Errorf("subscription %d got %d messages, want %d", i, got, want)
			}
		}
		for _, bad := range []string{"", "a#", "a/#/b", "$share/g/a", "a+"} {
			if _, err := b.Subscribe(bad, in[0].Put); area.CodeOf(err) != area.CodeInvalid {
				t.Errorf("Subscribe(%q): %v", bad, err)
			}
		}
	})
}

func TestRetainedIsBoundedAndSorted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		for i := range 20 {
			publish(t, b, area.Message{Topic: fmt.Sprintf("a/%02d", i), Payload: []byte("x"), Retain: true})
		}
		publish(t, b, area.Message{Topic: "a/00", Retain: true}) // clears it
		got := b.Retained("a/+", 3)
		if len(got) != 3 || got[0].Topic != "a/01" || got[2].Topic != "a/03" {
			t.Errorf("got %+v", got)
		}
		if b.Retained("a#", 0) != nil {
			t.Error("a filter that is none matches")
		}
	})
}

func TestClientsGetTheParentOfHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		publish(t, b, area.Message{Topic: "a", Payload: []byte("up"), QoS: 1, Retain: true}, area.Message{Topic: "a/b", Payload: []byte("down"), QoS: 1, Retain: true})
		in := brokertest.Subscribe(t, b.Dial(t, "gate-1"), "a/#", 1)
		got := in.Take(t, 2)
		if !got[0].Replay || !got[1].Replay || got[0].Topic == got[1].Topic {
			t.Errorf("got %+v", got)
		}
		if synctest.Wait(); b.Stats().Queued != 0 {
			t.Errorf("%d not acknowledged", b.Stats().Queued)
		}
		publish(t, b, area.Message{Topic: "a", Payload: []byte("live")})
		if m := in.Take(t, 1)[0]; m.Replay || string(m.Payload) != "live" {
			t.Errorf("got %+v", m)
		}
	})
}

// TestRetainedTreeUnderRace lets wildcards scan the retained tree while it
// changes, which the library does without a lock.
func TestRetainedTreeUnderRace(t *testing.T) {
	b := overTCP(t, broker.Config{MaxOutputBytes: 1 << 30}, silent) // whoever reads here does so as he gets to it
	var work sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		work.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				m := area.Message{Topic: fmt.Sprintf("r/%d", i%7), Payload: []byte("x")[:i/7%2], Retain: true}
				if err := b.Publish(ctx, m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	r := dialTCP(t, b, 4)
	r.connect("gate-1")
	for i := range 50 {
		if i == 25 { // from here on nothing but our own scans
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
		}
		if i < 25 {
			r.send(subscribePacket(uint16(i+1), 0, "r/+"))
			for pk := (packets.Packet{}); pk.FixedHeader.Type != packets.Suback; {
				var err error
				if pk, err = r.recv(); err != nil {
					t.Fatal(err)
				}
			}
		}
		b.Retained("r/#", 0)
		if cancel, err := b.Subscribe("r/#", func(area.Message) {}); err == nil {
			cancel()
		}
	}
	close(stop)
	work.Wait()
}

// TestRetainedStays is row 1: the library looks once a second for what is older
// than a day, and everything is, since our messages have ranks for times.
func TestRetainedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		publish(t, b, area.Message{Topic: "a", Payload: []byte("x"), Retain: true})
		time.Sleep(time.Minute)
		if len(b.Retained("a", 0)) != 1 {
			t.Error("it is gone")
		}
	})
}

// TestRetainedBurstIsNoSlowConsumer: a client that reads gets all of what it
// asked for, more than may wait for it at once.
func TestRetainedBurstIsNoSlowConsumer(t *testing.T) {
	b := overTCP(t, broker.Config{}, silent)
	const n = 5000
	for i := range n {
		publish(t, b, area.Message{Topic: fmt.Sprint("r/", i), Payload: make([]byte, 300), Retain: true})
	}
	r := dialTCP(t, b, 4)
	r.connect("gate-1")
	r.send(subscribePacket(1, 0, "r/+"))
	for i := 0; i < n; {
		pk, err := r.recv()
		if err != nil {
			t.Fatalf("after %d: %v; %+v", i, err, b.Stats())
		}
		if pk.FixedHeader.Type == packets.Publish {
			i++
		}
	}
}

func TestPahoOverPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		for i, version := range []uint{3, 4} {
			c := b.Dial(t, fmt.Sprint("p", i), func(o *paho.ClientOptions) { o.SetProtocolVersion(version) })
			in := brokertest.Subscribe(t, c, "echo/#", 2)
			for qos := range byte(3) {
				if token := c.Publish("echo/x", qos, false, "hello"); !token.WaitTimeout(time.Minute) || token.Error() != nil {
					t.Fatal(token.Error())
				}
			}
			in.Take(t, 3)
		}
	})
}
