package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// retainAs publishes a retained message of QoS 1 and answers the reason code.
func (r *raw) retainAs(topic, payload string) byte {
	r.t.Helper()
	pk := publishPacket(topic, payload, 1, 9)
	pk.FixedHeader.Retain = true
	r.send(pk)
	ack := r.expect(packets.Puback)
	if r.version == 5 && ack.ReasonCode >= 0x80 && ack.Properties.ReasonString == "" {
		r.t.Errorf("%s: refused without words", topic)
	}
	return ack.ReasonCode
}

const quotaExceeded = 0x97

func few(c *broker.Config) { c.MaxRetained = 2 }

func TestRetainedTopicsOfOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, few)
		seen := subscribe(t, b, "#")
		r, other := dial(t, b, 5, "gate-1"), dial(t, b, 5, "gate-2")
		steps := []struct {
			what           string
			who            *raw
			topic, payload string
			want           byte
		}{
			{"first", r, "a", "1", 0}, {"second", r, "b", "1", 0}, {"third", r, "c", "1", quotaExceeded},
			{"overwrite", r, "a", "2", 0}, {"what is not there cleared", r, "c", "", 0}, {"still too many", r, "c", "1", quotaExceeded},
			{"clear", r, "a", "", 0}, {"room again", r, "c", "1", 0}, {"and full again", r, "a", "1", quotaExceeded},
			{"somebody else's", other, "a", "1", 0}, {"taken from somebody", other, "b", "2", 0}, {"what is left", r, "d", "1", 0},
			{"two of each", r, "e", "1", quotaExceeded}, {"two of each", other, "e", "1", quotaExceeded},
		}
		came := 0
		for _, s := range steps {
			if got := s.who.retainAs(s.topic, s.payload); got != s.want {
				t.Errorf("%s (%s): %#x, want %#x", s.what, s.topic, got, s.want)
			}
			came += btoi(s.want == 0)
		}
		if n := seen.Len(); n != came {
			t.Errorf("%d messages came, want %d: what is refused goes to nobody", n, came)
		}
		again := dial(t, b, 4, "gate-1") // takes over what it has retained with its id
		r.closed()
		if got := again.retainAs("f", "1"); got != 0 || len(b.Retained("f", 0)) != 0 {
			t.Errorf("3.1.1 is answered %#x, %d retained; want an acknowledgement and none", got, len(b.Retained("f", 0)))
		}
		for i := range 5 {
			publish(t, b, area.Message{Topic: fmt.Sprint("hub/", i), Payload: []byte("x"), Retain: true})
		}
		if st := b.Stats(); st.Refused["retained"] != 6 || st.RetainedBytes != 4*2+5*6+9*topicCost {
			t.Errorf("%d bytes, %d refused; want 38 and nine topics, and 6", st.RetainedBytes, st.Refused["retained"])
		}
	})
}

// topicCost is what each topic counts for beside its bytes, in all.
const topicCost = 2 << 10

func TestRetainedBytes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*broker.Config)
		why    string
		others byte // answer to another client's 60 bytes
	}{
		"of one client": {func(c *broker.Config) { c.MaxRetainedBytes = 100 }, "retained", 0},
		"in all":        {func(c *broker.Config) { c.MaxRetainedTotal = 100 + 2*topicCost }, "retained_total", quotaExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t, c.change)
				r, other := dial(t, b, 5, "gate-1"), dial(t, b, 5, "gate-2")
				for _, s := range []struct {
					who   *raw
					topic string
					bytes int
					want  byte
				}{
					{r, "a", 60, 0}, {r, "b", 60, quotaExceeded}, {r, "b", 40, 0}, {r, "a", 61, quotaExceeded}, {r, "a", 59, 0}, {r, "a", 60, 0},
					{other, "c", 60, c.others}, {r, "a", 0, 0}, {r, "b", 90, c.others},
				} {
					payload := strings.Repeat("x", max(0, s.bytes-1)) // and one of the topic
					if got := s.who.retainAs(s.topic, payload); got != s.want {
						t.Errorf("%d bytes on %s: %#x, want %#x", s.bytes, s.topic, got, s.want)
					}
					if c.others == quotaExceeded && s.topic == "c" {
						publish(t, b, area.Message{Topic: "h", Payload: make([]byte, 99), Retain: true})
					}
				}
				if b.Stats().Refused[c.why] == 0 {
					t.Errorf("refused %v, want some %s", b.Stats().Refused, c.why)
				}
			})
		})
	}
}

// TestRetainedQuotaOverARestart: what was there before counts.
func TestRetainedQuotaOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, few)
		b.Restore("a", "1", "gate-1")
		b.Restore("b", "1", "gate-1")
		b.Restore("c", "1", "gate-2")
		b.Restore("tacet/area/north/busy", "1", "tacet-hub")
		r := dial(t, b, 5, "gate-1")
		for topic, want := range map[string]byte{"a": 0, "d": quotaExceeded} {
			if got := r.retainAs(topic, "2"); got != want {
				t.Errorf("%s: %#x, want %#x", topic, got, want)
			}
		}
	})
}

func TestRetainedQuotaAfterExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, few)
		r := dial(t, b, 5, "gate-1", func(pk *packets.Packet) { pk.Connect.Keepalive = 0 })
		for _, topic := range []string{"a", "b"} {
			pk := publishPacket(topic, "x", 1, 9)
			pk.FixedHeader.Retain, pk.Properties.MessageExpiryInterval = true, 5
			r.send(pk)
			r.expect(packets.Puback)
		}
		if got := r.retainAs("c", "x"); got != quotaExceeded {
			t.Errorf("before they expire: %#x", got)
		}
		time.Sleep(10 * time.Second)
		if got := r.retainAs("c", "x"); got != 0 {
			t.Errorf("after they have expired: %#x", got)
		}
	})
}

// TestWillOverQuota is heard, and not retained.
func TestWillOverQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, func(c *broker.Config) { c.MaxRetained = 1 })
		seen := subscribe(t, b, "w")
		r := dial(t, b, 5, "gate-1", withWill("w", "gone", true))
		r.retainAs("a", "x")
		_ = r.Close()
		if got := seen.Take(t, 1)[0]; string(got.Payload) != "gone" || !got.Will || got.Retain || len(b.Retained("w", 0)) != 0 {
			t.Errorf("%+v came, %d retained", got, len(b.Retained("w", 0)))
		}
	})
}

func TestSubscriptionsOfOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, func(c *broker.Config) { c.MaxSubscriptions = 2 })
		for version, want := range map[byte]string{4: "\x00\x80\x00\x80", 5: "\x00\x8f\x00\x97"} {
			r := dial(t, b, version, "gate-1")
			r.send(subscribePacket(1, 0, "a", "bad+", "b", "c"))
			if ack := r.expect(packets.Suback); string(ack.ReasonCodes) != want {
				t.Errorf("v%d: SUBACK %#x, want %#x", version, ack.ReasonCodes, want)
			}
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 2, Filters: packets.Subscriptions{{Filter: "a"}}})
			r.expect(packets.Unsuback)
			r.send(subscribePacket(3, 0, "c"))
			if ack := r.expect(packets.Suback); ack.ReasonCodes[0] != 0 {
				t.Errorf("v%d: SUBACK %#x once there is room", version, ack.ReasonCodes)
			}
		}
		if st := b.Stats(); st.Refused["subscriptions"] != 2 || st.Refused["topic"] != 2 {
			t.Errorf("refused %v", st.Refused)
		}
	})
}

// TestQueuedBytes: of a client that is away, and of one that acknowledges
// nothing.
func TestQueuedBytes(t *testing.T) {
	for name, here := range map[string]bool{"away": false, "here": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t, func(c *broker.Config) { c.MaxQueueBytes = 64 << 10 })
				w := b.Watch(0)
				defer w.Close()
				stays := func(pk *packets.Packet) {
					pk.Connect.Clean, pk.Connect.Keepalive = false, 0
					pk.Properties.ReceiveMaximum, pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 1, 3600, true
				}
				r := dial(t, b, 5, "gate-1", stays)
				r.send(subscribePacket(1, 1, "a"))
				r.expect(packets.Suback)
				if !here {
					_ = r.Close()
					synctest.Wait()
				}
				send := func(from, to int) {
					for i := from; i < to; i++ {
						publish(t, b, area.Message{Topic: "a", Payload: fmt.Appendf(nil, "%010000d", i), QoS: 1})
					}
					synctest.Wait()
				}
				send(0, 10)
				if n := expectNotice(t, w, broker.Dropped, "queue_bytes", "gate-1"); n.N != 4 || b.Stats().Queued != 6 {
					t.Errorf("%d dropped, %d queued; want 4 and 6", n.N, b.Stats().Queued)
				}
				if !here {
					r = dial(t, b, 5, "gate-1", stays)
				}
				take := func(want int) {
					t.Helper()
					pk := r.expect(packets.Publish)
					if got := strings.TrimLeft(string(pk.Payload), "0"); got != strings.TrimLeft(fmt.Sprint(want), "0") {
						t.Errorf("message %s came, want %d", got, want)
					}
					r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
					synctest.Wait()
				}
				take(0)
				send(10, 12) // there is room for one
				for _, want := range []int{1, 2, 3, 4, 5, 10} {
					take(want)
				}
				if st := b.Stats(); st.Dropped["queue_bytes"] != 5 || st.Queued != 0 {
					t.Errorf("%d dropped, %d queued; want 5, 0", st.Dropped["queue_bytes"], st.Queued)
				}
			})
		})
	}
}

// TestFastClientIsReadSlowly: nothing is lost, and nobody else waits.
func TestFastClientIsReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, func(c *broker.Config) { c.MaxRate = 100 })
		w := b.Watch(0)
		defer w.Close()
		seen := subscribe(t, b, "a")
		fast, other := dial(t, b, 5, "fast"), dial(t, b, 5, "other")
		start := time.Now()
		for i := range 1000 {
			fast.send(publishPacket("a", "x", 1, uint16(i+1)))
			fast.expect(packets.Puback)
			if i == 500 {
				before := time.Now()
				other.alive()
				if d := time.Since(before); d != 0 {
					t.Errorf("another client waited %s", d)
				}
			}
		}
		if d := time.Since(start); d < 9*time.Second-brakeSlack || d > 9*time.Second+brakeSlack {
			t.Errorf("1000 messages took %s, want about 9s: 100 at once, then 100 a second", d)
		}
		if n := seen.Len(); n != 1000 {
			t.Errorf("%d messages came, want all", n)
		}
		if n := expectNotice(t, w, broker.Braked, "rate", "fast"); n.N < 100 || b.Stats().Braked != int64(n.N) {
			t.Errorf("%+v, %d counted", n, b.Stats().Braked)
		}
		for i := range 101 { // back after a pause: as many at once again
			if i == 0 {
				time.Sleep(2 * time.Second)
				start = time.Now()
			}
			fast.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
			fast.expect(packets.Pingresp)
		}
		if d := time.Since(start); d > brakeSlack {
			t.Errorf("101 packets after a pause took %s", d)
		}
	})
}

const brakeSlack = 60 * time.Millisecond
