package broker_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// next reads a notice, which must be there soon.
func next(t testing.TB, w *broker.Watcher) broker.Notice {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n, err := w.Next(ctx)
	if err != nil {
		t.Fatal("no notice came")
	}
	return n
}

// expectNotice reads notices until one of the kind comes.
func expectNotice(t testing.TB, w *broker.Watcher, kind broker.Kind, reason, client string) broker.Notice {
	t.Helper()
	for {
		n := next(t, w)
		if n.Kind != kind {
			continue
		}
		if n.Reason != reason || n.Client != client {
			t.Errorf("notice %+v; want %s of %q", n, reason, client)
		}
		return n
	}
}

func TestNoticesOfALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		w := b.Watch(0)
		defer w.Close()
		r := dial(t, b, 5, "gate-1")
		synctest.Wait()
		again := dial(t, b, 5, "gate-1")
		synctest.Wait()
		r.closed()
		again.send(publishPacket("tacet/area/north/busy", "x", 1, 1))
		again.expect(packets.Puback)
		again.send(subscribePacket(1, 0, "a+"))
		again.expect(packets.Suback)
		again.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
		again.closed()
		synctest.Wait()
		var got []string
		for range 7 {
			n := next(t, w)
			if n.Client != "gate-1" || n.N != 1 || !n.At.Equal(time.Now()) {
				t.Errorf("notice %+v", n)
			}
			got = append(got, strings.TrimSpace(string(n.Kind)+" "+n.Reason))
		}
		want := []string{"connected", "took_over", "ended taken_over", "connected", "refused_message reserved_topic", "refused_filter topic", "ended goodbye"}
		if !slices.Equal(got, want) {
			t.Errorf("notices %q, want %q", got, want)
		}
	})
}

// TestRefusedConnections: each with its answer, its reason and its count.
func TestRefusedConnections(t *testing.T) {
	long := strings.Repeat("x", 257)
	for name, c := range map[string]struct {
		change func(*broker.Config)
		id     string
		with   func(*packets.Packet)
		v3, v5 byte
		why    string
	}{
		"client id too long": {nil, long, none, 2, 0x85, "client_id"},
		"client id of ours":  {nil, "tacet-x", none, 2, 0x85, "client_id"},
		"malformed will":     {nil, "gate-1", withWill("a/#", "x", false), 5, 0x90, "will"},
		"will of ours":       {nil, "gate-1", withWill("tacet/area/a/busy", "x", true), 5, 0x87, "will"},
		"full":               {func(c *broker.Config) { c.MaxConnections, c.MaxPerAddr = 2, 2 }, "gate-1", none, 3, 0x89, "connections"},
		"address":            {func(c *broker.Config) { c.MaxPerAddr = 2 }, "gate-1", none, 3, 0x97, "address"},
		"sessions":           {func(c *broker.Config) { c.MaxSessions = 2 }, "gate-1", none, 3, 0x97, "sessions"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				change := []func(*broker.Config){}
				if c.change != nil {
					change = append(change, c.change)
				}
				b := brokertest.New(t, change...)
				dial(t, b, 4, "one")
				two := dial(t, b, 4, "two")
				w := b.Watch(0)
				defer w.Close()
				for version, want := range map[byte]byte{4: c.v3, 5: c.v5} {
					r := newRaw(t, b.Pipe(t), version)
					if ack := r.connect(c.id, c.with); ack.ReasonCode != want || version == 5 && ack.Properties.ReasonString == "" {
						t.Errorf("v%d: CONNACK %#x %q, want %#x and words", version, ack.ReasonCode, ack.Properties.ReasonString, want)
					}
					r.closed()
				}
				synctest.Wait()
				if n := expectNotice(t, w, broker.RefusedConnect, c.why, c.id); n.N != 2 || n.Addr != "pipe" {
					t.Errorf("notice %+v; want it for 2 from pipe", n)
				}
				st := b.Stats()
				if st.RefusedConnects != 2 || st.Refused[c.why] != 2 || total(st.Refused) != 2 || st.HalfOpen != 0 {
					t.Errorf("stats %+v; want 2 refused", st)
				}
				dial(t, b, 5, "two") // takes its own over, whatever is full
				two.closed()
				synctest.Wait()
				if c.why != "sessions" {
					b.Disconnect("one", "make room")
					synctest.Wait()
					dial(t, b, 5, "three")
				}
			})
		})
	}
}

func none(*packets.Packet) {}

func total(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

// TestConnectionsThatComeToNothing are counted by what was wrong with them.
func TestConnectionsThatComeToNothing(t *testing.T) {
	big := "\x10\x82\x80\x01" + strings.Repeat("x", 1000) // announces 16 KiB and 2
	for name, c := range map[string]struct{ say, why string }{
		"nothing, and stays":        {"", "silent"},
		"half a CONNECT, and stays": {"\x10\x10\x00\x04MQ", "silent"},
		"HTTP":                      {"GET / HTTP/1.1\r\n\r\n", "malformed"},
		"PINGREQ":                   {"\xc0\x00", "malformed"},
		"CONNECT too large":         {big, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				w := b.Watch(0)
				defer w.Close()
				r := newRaw(t, b.Pipe(t), 4)
				go func() { _, _ = r.Write([]byte(c.say)) }()
				r.closed()
				synctest.Wait()
				expectNotice(t, w, broker.RefusedConnect, c.why, "")
				if st := b.Stats(); st.Refused[c.why] != 1 || total(st.Refused) != 1 || st.HalfOpen != 0 {
					t.Errorf("refused %v, %d half-open; want one %s", st.Refused, st.HalfOpen, c.why)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // a port that is looked at
		b := brokertest.New(t)
		_ = b.Pipe(t).Close()
		synctest.Wait()
		if n := total(b.Stats().Refused); n != 0 {
			t.Errorf("%d refused, want none", n)
		}
	})
}

// TestSizeOfFirstPacket: the limit of CONNECT is not that of what follows it in
// the same bytes.
func TestSizeOfFirstPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		seen := subscribe(t, b, "a")
		r := newRaw(t, b.Pipe(t), 4)
		will := withWill("w", strings.Repeat("x", 15<<10), false)
		if ack := r.connect("gate-1", will); ack.ReasonCode != 0 {
			t.Fatalf("CONNACK %#x to a CONNECT of 15 KiB", ack.ReasonCode)
		}
		r.send(publishPacket("a", strings.Repeat("x", 100<<10), 1, 1))
		r.expect(packets.Puback)
		seen.Take(t, 1)
	})
}

// TestWatcherIsBounded: a storm of like notices is one, and of others the
// oldest go.
func TestWatcherIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		w := b.Watch(3)
		defer w.Close()
		r := dial(t, b, 4, "gate-1")
		synctest.Wait()
		for i := range 1000 {
			r.send(publishPacket("tacet/area/north/busy", "x", 1, uint16(i+1)))
			r.expect(packets.Puback)
		}
		next(t, w) // connected
		if n := next(t, w); n.Kind != broker.RefusedMessage || n.N != 1000 {
			t.Errorf("notice %+v; want one for 1000", n)
		}
		for i := range 10 {
			dial(t, b, 4, fmt.Sprint("other-", i))
			synctest.Wait()
		}
		var got []string
		for range 3 {
			got = append(got, next(t, w).Client)
		}
		if !slices.Equal(got, []string{"other-7", "other-8", "other-9"}) || w.Missed() != 7 || b.Stats().NoticesMissed != 7 {
			t.Errorf("left: %q, %d missed; want the newest three, 7 missed", got, w.Missed())
		}
		over, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if n, err := w.Next(over); err == nil {
			t.Errorf("one more: %+v", n)
		}
		w.Close()
		dial(t, b, 4, "late")
		if n, err := w.Next(over); err == nil {
			t.Errorf("after Close: %+v", n)
		}
	})
}

// TestDropsAreTold: a client that is away, and one that does not read.
func TestDropsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, func(c *broker.Config) { c.MaxQueue = 5 })
		w := b.Watch(0)
		defer w.Close()
		away := dial(t, b, 4, "away", func(pk *packets.Packet) { pk.Connect.Clean = false })
		away.send(subscribePacket(1, 1, "a"))
		away.expect(packets.Suback)
		_ = away.Close()
		synctest.Wait()
		for range 8 {
			publish(t, b, area.Message{Topic: "a", Payload: []byte("x"), QoS: 1})
		}
		if n := expectNotice(t, w, broker.Dropped, "queue", "away"); n.N != 3 {
			t.Errorf("%+v; want it for 3", n)
		}
		if st := b.Stats(); st.Dropped["queue"] != 3 || st.DroppedQueued != 3 {
			t.Errorf("dropped %v, %d; want 3", st.Dropped, st.DroppedQueued)
		}
	})
}

func TestProxyHeaders(t *testing.T) {
	const header = "PROXY TCP4 192.0.2.7 198.51.100.1 49152 1883\r\n"
	connect := "\x10\x12\x00\x04MQTT\x04\x02\x00\x0a\x00\x06gate-1"
	for name, c := range map[string]struct {
		from      string // who is believed
		say       string
		addr, why string // of the client, or why it was refused
	}{
		"believed":        {"127.0.0.0/8", header + connect, "192.0.2.7:49152", ""},
		"speaks itself":   {"127.0.0.0/8", "PROXY UNKNOWN\r\n" + connect, "127.0.0.1:", ""},
		"missing":         {"127.0.0.0/8", connect, "", "proxy"},
		"malformed":       {"127.0.0.0/8", "PROXY TCP4 192.0.2 198.51.100.1 49152 1883\r\n" + connect, "", "proxy"},
		"not believed":    {"10.0.0.0/8", header + connect, "", "malformed"},
		"nobody believed": {"", header + connect, "", "malformed"},
		"no balancer":     {"10.0.0.0/8", connect, "127.0.0.1:", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := broker.Config{}
			if c.from != "" {
				cfg.ProxyFrom = []netip.Prefix{netip.MustParsePrefix(c.from)}
			}
			b := overTCP(t, cfg, silent)
			w := b.Watch(0)
			defer w.Close()
			r := dialTCP(t, b, 4)
			if _, err := r.Write([]byte(c.say)); err != nil {
				t.Fatal(err)
			}
			if c.why != "" {
				r.closed()
				expectNotice(t, w, broker.RefusedConnect, c.why, "")
				return
			}
			r.expect(packets.Connack)
			if n := expectNotice(t, w, broker.Connected, "", "gate-1"); !strings.HasPrefix(n.Addr, c.addr) {
				t.Errorf("it comes from %s, want %s", n.Addr, c.addr)
			}
		})
	}
}

// TestProxiedClientsHaveTheirOwnLimits: not those of the balancer, and the
// deadline covers the header.
func TestProxiedClientsHaveTheirOwnLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := broker.New(broker.Config{ProxyFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.99/32")}, MaxPerAddr: 1, MaxHalfOpenPerAddr: 1}, silent)
		if err != nil {
			t.Fatal(err)
		}
		ln := &failing{conns: make(chan net.Conn)}
		b.SetListener(ln)
		run(t, b)
		w := b.Watch(0)
		defer w.Close()
		balanced := func() *raw {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { _ = ours.Close() })
			ln.conns <- from{theirs, "192.0.2.99:1"}
			return newRaw(t, ours, 5)
		}
		start, silentOnes := time.Now(), []*raw{balanced(), balanced(), balanced()}
		connect := func(from, id string) packets.Packet {
			r := balanced()
			if _, err := fmt.Fprintf(r, "PROXY TCP4 %s 198.51.100.1 49152 1883\r\n", from); err != nil {
				t.Fatal(err)
			}
			return r.connect(id)
		}
		for i, from := range []string{"192.0.2.1", "192.0.2.2"} {
			if ack := connect(from, fmt.Sprint("gate-", i)); ack.ReasonCode != 0 {
				t.Errorf("%s: CONNACK %#x", from, ack.ReasonCode)
			}
		}
		if ack := connect("192.0.2.2", "gate-3"); ack.ReasonCode != 0x97 {
			t.Errorf("a second one of 192.0.2.2: CONNACK %#x, want 0x97", ack.ReasonCode)
		}
		for _, r := range silentOnes {
			r.closed()
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("the silent ones ended after %s, want 10s", d)
		}
		expectNotice(t, w, broker.RefusedConnect, "address", "gate-3")
		for n := 0; n < 3; {
			n += expectNotice(t, w, broker.RefusedConnect, "silent", "").N
		}
	})
}
