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
		gate := dial(t, b, 4, "gate-1", withWill("tacet/device/gate-1/status", "gone", true))
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
			{Topic: "a", Payload: []byte("live"), From: "gate-1", Conn: conn},
			{Topic: "b", Payload: []byte("kept"), QoS: 2, Retain: true, From: "gate-1", Conn: conn},
			{Topic: "c", Payload: []byte("ours"), QoS: 1, Retain: true, From: "tacet-hub:k2"},
			{Topic: "d", From: area.FromHub},
			{Topic: "tacet/device/gate-1/status", Payload: []byte("gone"), QoS: 1, Retain: true, Will: true, From: "gate-1", Conn: conn},
			{Topic: "b", Payload: []byte("kept"), QoS: 2, Retain: true, Replay: true, From: "gate-1", Conn: conn},
			{Topic: "c", Payload: []byte("ours"), QoS: 1, Retain: true, Replay: true, From: "tacet-hub:k2"},
			{Topic: "tacet/device/gate-1/status", Payload: []byte("gone"), QoS: 1, Retain: true, Will: true, Replay: true, From: "gate-1", Conn: conn},
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

func TestTopicsOfTheHubAreRefused(t *testing.T) {
	for _, topic := range []string{
		"tacet/area/north/busy", "tacet/area/north/busy/flag", "tacet/area/north/leader", "tacet/area/north/work",
		"tacet/device/gate-1/grant", "tacet/device/gate-1/work", "tacet/response/t1", "$SYS/broker/version", "$sys/x",
	} {
		t.Run(topic, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				synctest.Wait()
				before := len(b.Retained("$SYS/#", 0))
				seen := subscribe(t, b, "#")
				for version, want := range map[byte]byte{4: 0, 5: 0x87} {
					r := dial(t, b, version, fmt.Sprint("v", version))
					for qos := range byte(3) {
						pk := publishPacket(topic, "x", qos, uint16(qos)*40000)
						pk.FixedHeader.Retain = true
						r.send(pk)
						if qos == 0 {
							continue
						}
						ack := r.expect(map[byte]byte{1: packets.Puback, 2: packets.Pubrec}[qos])
						if ack.PacketID != pk.PacketID || ack.ReasonCode != want {
							t.Errorf("v%d qos %d: answer to %d is %#x for %d; want %#x", version, qos, pk.PacketID, ack.ReasonCode, ack.PacketID, want)
						}
						if qos == 2 && version == 4 {
							r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: pk.PacketID})
							if comp := r.expect(packets.Pubcomp); comp.PacketID != pk.PacketID {
								t.Errorf("PUBCOMP for %d, want %d", comp.PacketID, pk.PacketID)
							}
						}
					}
					r.alive()
				}
				if seen.Len() != 0 || len(b.Retained("#", 0)) != 0 || len(b.Retained("$SYS/#", 0)) != before {
					t.Errorf("%d messages came through; retained %v", seen.Len(), b.Retained("#", 0))
				}
				if n := b.Stats().RefusedMessages; n != 6 {
					t.Errorf("%d refused, want 6", n)
				}
			})
		})
	}
}

func TestGate(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		v3, v5 byte
		reason string
	}{
		"passed":    {nil, 0, 0, ""},
		"invalid":   {area.Errorf(area.CodeInvalid, "dur_ms is text"), 0, 0x99, "invalid: dur_ms is text"},
		"no area":   {area.Errorf(area.CodeUnknownArea, "no area east"), 0, 0x99, "unknown_area: no area east"},
		"quota":     {area.Errorf(area.CodeRate, "slower"), 0, 0x97, "rate: slower"},
		"disk":      {area.Errorf(area.CodeDiskFull, "full"), 0, 0x97, "disk_full: full"},
		"forbidden": {area.Errorf(area.CodeForbidden, "not yours"), 0, 0x87, "forbidden: not yours"},
		"our fault": {errors.New("page 7 is odd"), 0, 0x83, "implementation specific error"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				asked, seen := 0, subscribe(t, b, "tacet/#")
				cancel := b.Gate("tacet/area/+/submit", func(m area.Message) error {
					asked++
					if m.From[0] != 'v' || m.Conn == 0 || string(m.Payload) != "x" || m.Topic != "tacet/area/north/submit" {
						t.Errorf("asked about %+v", m)
					}
					if seen.Len() != (asked-1)*btoi(c.err == nil) {
						t.Error("the message came before the gate was asked")
					}
					return c.err
				})
				for version, want := range map[byte]byte{4: c.v3, 5: c.v5} {
					r := dial(t, b, version, fmt.Sprint("v", version))
					for qos := byte(1); qos < 3; qos++ {
						r.send(publishPacket("tacet/area/north/submit", "x", qos, 9))
						ack := r.expect(map[byte]byte{1: packets.Puback, 2: packets.Pubrec}[qos])
						if ack.ReasonCode != want || version == 5 && want != 0 && ack.Properties.ReasonString != c.reason {
							t.Errorf("v%d qos %d: %#x %q, want %#x %q", version, qos, ack.ReasonCode, ack.Properties.ReasonString, want, c.reason)
						}
						r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: 9})
						r.expect(packets.Pubcomp)
					}
					r.send(publishPacket("tacet/area/north/submit", "x", 0, 0))
					r.alive()
				}
				publish(t, b, area.Message{Topic: "tacet/area/north/submit", Payload: []byte("ours")})
				want := 1 + 6*btoi(c.err == nil)
				if got := seen.Take(t, seen.Len()); len(got) != want || asked != 6 {
					t.Errorf("%d messages came, asked %d times; want %d, 6", len(got), asked, want)
				}
				if n := b.Stats().GatedMessages; int(n) != 6*btoi(c.err != nil) {
					t.Errorf("%d gated", n)
				}
				cancel()
				r := dial(t, b, 4, "after")
				r.send(publishPacket("tacet/area/north/submit", "y", 1, 1))
				r.expect(packets.Puback)
				seen.Take(t, 1)
			})
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestDelayedWill(t *testing.T) {
	session := func(seconds uint32) func(*packets.Packet) {
		return func(pk *packets.Packet) {
			pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = seconds, true
		}
	}
	delayed := func(pk *packets.Packet) {
		withWill("w", "gone", true)(pk)
		pk.Connect.WillProperties.WillDelayInterval = 20
	}
	for name, c := range map[string]struct {
		session uint32
		after   time.Duration
		back    []func(*packets.Packet) // nil: stays away
		want    time.Duration           // less than 0: never
	}{
		"alone":                 {60, time.Minute, nil, 20 * time.Second},
		"session ends before":   {5, time.Minute, nil, 5 * time.Second},
		"no session":            {0, time.Minute, nil, 0},
		"back in time":          {60, 10 * time.Second, []func(*packets.Packet){session(60), func(pk *packets.Packet) { pk.Connect.Clean = false }}, -1},
		"back with new session": {60, 10 * time.Second, []func(*packets.Packet){session(60)}, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				came, start := time.Duration(-1), time.Now()
				if _, err := b.Subscribe("w", func(m area.Message) {
					came = time.Since(start)
					if !m.Will || m.From != "gate-1" {
						t.Errorf("will %+v", m)
					}
				}); err != nil {
					t.Fatal(err)
				}
				r := dial(t, b, 5, "gate-1", session(c.session), delayed)
				_ = r.Close()
				time.Sleep(c.after)
				if c.back != nil {
					dial(t, b, 5, "gate-1", c.back...)
					time.Sleep(time.Second * 25)
				}
				synctest.Wait()
				if came != c.want || (len(b.Retained("w", 0)) == 1) != (c.want >= 0) {
					t.Errorf("will after %s, retained %v; want %s", came, b.Retained("w", 0), c.want)
				}
			})
		})
	}
}

// TestPacketIDsOfBothSides is row 16: a SUBSCRIBE and a PUBLISH whose ids are
// those of messages on their way to the client.
func TestPacketIDsOfBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		seen := subscribe(t, b, "out")
		r := dial(t, b, 4, "gate-1")
		r.send(subscribePacket(1, 1, "in"))
		r.expect(packets.Suback)
		publish(t, b, area.Message{Topic: "in", Payload: []byte("x"), QoS: 1}, area.Message{Topic: "in", Payload: []byte("y"), QoS: 1})
		first, second := r.expect(packets.Publish), r.expect(packets.Publish)
		r.send(subscribePacket(first.PacketID, 1, "other"))
		if ack := r.expect(packets.Suback); ack.PacketID != first.PacketID || ack.ReasonCodes[0] != 1 {
			t.Errorf("SUBACK for %d: %#x", ack.PacketID, ack.ReasonCodes)
		}
		r.send(publishPacket("out", "z", 2, second.PacketID))
		if rec := r.expect(packets.Pubrec); rec.PacketID != second.PacketID {
			t.Errorf("PUBREC for %d, want %d", rec.PacketID, second.PacketID)
		}
		if n := b.Stats().Queued; n != 3 {
			t.Errorf("%d in flight, want both of ours and the client's", n)
		}
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: second.PacketID})
		r.expect(packets.Pubcomp)
		for _, pk := range []packets.Packet{first, second} {
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
		}
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 1, Filters: packets.Subscriptions{{Filter: "in"}}})
		if ack := r.expect(packets.Unsuback); ack.PacketID != 1 {
			t.Errorf("UNSUBACK for %d", ack.PacketID)
		}
		seen.Take(t, 1)
		if n := b.Stats().Queued; n != 0 {
			t.Errorf("%d in flight, want none", n)
		}
	})
}

func TestQueueOfAbsentClientStaysInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		b.SetLastMessage(1<<16 - 100) // the library compares 16 bits
		keep := func(pk *packets.Packet) { pk.Connect.Clean = false }
		r := dial(t, b, 4, "gate-1", keep)
		r.send(subscribePacket(1, 1, "in"))
		r.expect(packets.Suback)
		_ = r.Close()
		synctest.Wait()
		next, sent := 0, 0
		for range 2 { // the second half waits over two absences
			for range 150 {
				publish(t, b, area.Message{Topic: "in", Payload: fmt.Append(nil, sent), QoS: 1})
				sent++
			}
			r = newRaw(t, b.Pipe(t), 4)
			if ack := r.connect("gate-1", keep); !ack.SessionPresent {
				t.Fatal("no session")
			}
			for next = range sent {
				if pk := r.expect(packets.Publish); string(pk.Payload) != fmt.Sprint(next) {
					t.Fatalf("%s came, want %d", pk.Payload, next)
				}
			}
			_ = r.Close() // nothing acknowledged
			synctest.Wait()
		}
	})
}

func TestExpiredSessionLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, func(c *broker.Config) { c.SessionExpiry = time.Minute })
		r := dial(t, b, 4, "gate-1", func(pk *packets.Packet) { pk.Connect.Clean = false })
		r.send(subscribePacket(1, 1, "in", "in/#"))
		r.expect(packets.Suback)
		_ = r.Close()
		synctest.Wait()
		publish(t, b, area.Message{Topic: "in", Payload: []byte("x"), QoS: 1})
		if st := b.Stats(); st.Sessions != 1 || st.Subscriptions != 2 || st.Queued != 1 {
			t.Errorf("before: %+v", st)
		}
		time.Sleep(2 * time.Minute)
		if st := b.Stats(); st.Sessions != 0 || st.Subscriptions != 0 || st.Queued != 0 {
			t.Errorf("after: %+v; want no session, subscription, message", st)
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

func TestRefusedFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, func(c *broker.Config) { c.MaxSubscriptions = 4 })
		deep := strings.Repeat("a/", 16) + "a"
		for version, bad := range map[byte]byte{4: 0x80, 5: 0x8f} {
			r := dial(t, b, version, fmt.Sprint("v", version))
			r.send(subscribePacket(1, 1, "a+", "sport#", deep, strings.Repeat("x", 513), "$share/g", "$SHARE/g/a#"))
			if ack := r.expect(packets.Suback); string(ack.ReasonCodes) != strings.Repeat(string([]byte{bad}), 6) {
				t.Errorf("v%d: SUBACK %#x", version, ack.ReasonCodes)
			}
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 1, Filters: packets.Subscriptions{{Filter: deep}}})
			r.expect(packets.Unsuback)
			r.send(subscribePacket(2, 1, "a", "b/#", "$share/g/c", "d/+", "one/too/many"))
			if ack := r.expect(packets.Suback); !slices.Equal(ack.ReasonCodes, []byte{1, 1, 1, 1, bad}) {
				t.Errorf("v%d: SUBACK %#x", version, ack.ReasonCodes)
			}
			r.send(subscribePacket(3, 0, "a")) // again
			if ack := r.expect(packets.Suback); ack.ReasonCodes[0] != 0 {
				t.Errorf("v%d: SUBACK %#x", version, ack.ReasonCodes)
			}
		}
		if n := b.Stats().RefusedFilters; n != 14 {
			t.Errorf("%d refused, want 14", n)
		}
	})
}

func TestBadPublicationsEndTheConnection(t *testing.T) {
	for name, pk := range map[string]packets.Packet{
		"wildcard": publishPacket("a/+/b", "x", 1, 1),
		"too deep": publishPacket(strings.Repeat("a/", 16)+"a", "x", 1, 1),
		"too long": publishPacket(strings.Repeat("a", 513), "x", 1, 1),
		"alias":    {FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "a", Properties: packets.Properties{TopicAlias: 1, TopicAliasFlag: true}},
		"too big":  publishPacket("a", strings.Repeat("x", 256<<10), 1, 1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				seen := subscribe(t, b, "#")
				for version := byte(4); version <= 5; version++ {
					if name == "alias" && version == 4 {
						continue
					}
					r := dial(t, b, version, "gate-1")
					if name == "too big" {
						_, _ = r.Write([]byte{0x32, 0x84, 0x80, 0x10})
					} else {
						r.send(pk)
					}
					r.closed()
				}
				if seen.Len() > 0 {
					t.Errorf("it was published: %+v", seen.Take(t, 1))
				}
			})
		})
	}
}

// TestRetainedTreeUnderRace lets wildcards scan the retained tree while it
// changes, which the library does without a lock.
func TestRetainedTreeUnderRace(t *testing.T) {
	b := overTCP(t, broker.Config{}, silent)
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

// TestReceiveMaximumDoesNotStall is row 17: the library sends as many as the
// client allows, and then nothing ever again.
func TestReceiveMaximumDoesNotStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		r := dial(t, b, 5, "gate-1", func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = 5 })
		r.send(subscribePacket(1, 1, "in"))
		r.expect(packets.Suback)
		for i := range 100 {
			publish(t, b, area.Message{Topic: "in", Payload: fmt.Append(nil, i), QoS: 1})
		}
		for i := range 100 {
			pk := r.expect(packets.Publish)
			if string(pk.Payload) != fmt.Sprint(i) {
				t.Fatalf("%s came, want %d", pk.Payload, i)
			}
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
		}
	})
}

// TestNoAliasesGoOut is row 15: every message names its topic.
func TestNoAliasesGoOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		r := dial(t, b, 5, "gate-1", func(pk *packets.Packet) { pk.Properties.TopicAliasMaximum = 10 })
		r.send(subscribePacket(1, 1, "in"))
		r.expect(packets.Suback)
		publish(t, b, area.Message{Topic: "in"}, area.Message{Topic: "in"})
		for range 2 {
			if pk := r.expect(packets.Publish); pk.TopicName != "in" || pk.Properties.TopicAliasFlag {
				t.Errorf("topic %q, alias %d", pk.TopicName, pk.Properties.TopicAlias)
			}
		}
	})
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
