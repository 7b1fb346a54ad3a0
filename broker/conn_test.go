package broker_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

func TestSilentConnectionIsCut(t *testing.T) {
	for name, said := range map[string]string{"nothing": "", "half a CONNECT": "\x10\x10\x00\x04MQ"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				r := newRaw(t, b.Pipe(t), 4)
				start := time.Now()
				if _, err := r.Write([]byte(said)); err != nil {
					t.Fatal(err)
				}
				r.closed()
				if d := time.Since(start); d != 10*time.Second {
					t.Errorf("cut after %s, want 10s", d)
				}
				synctest.Wait()
				if st := b.Stats(); st.Silent != 1 || st.HalfOpen != 0 {
					t.Errorf("stats %+v; want 1 silent, none half-open", st)
				}
			})
		})
	}
}

func TestOldestSilentConnectionMakesRoom(t *testing.T) {
	for name, change := range map[string]func(*broker.Config){
		"in all":      func(c *broker.Config) { c.MaxHalfOpen = 3 },
		"per address": func(c *broker.Config) { c.MaxHalfOpenPerAddr = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t, change)
				speaks := newRaw(t, b.Pipe(t), 4)
				if _, err := speaks.Write([]byte{0x10}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				mute := newRaw(t, b.Pipe(t), 4)
				synctest.Wait()
				b.Pipe(t)
				time.Sleep(time.Second)
				start := time.Now()
				late := newRaw(t, b.Pipe(t), 4)
				mute.closed()
				if ack := late.connect("late"); ack.ReasonCode != 0 || time.Since(start) != 0 {
					t.Errorf("the newcomer waited %s for CONNACK %#x", time.Since(start), ack.ReasonCode)
				}
				if st := b.Stats(); st.Evicted != 1 {
					t.Errorf("%d evicted, want 1", st.Evicted)
				}
			})
		})
	}
}

func TestKeepAlive(t *testing.T) {
	for name, c := range map[string]struct {
		keepAlive uint16
		after     time.Duration
		up        bool
	}{
		"just alive":             {11, 16 * time.Second, true},
		"lost":                   {11, 17 * time.Second, false},
		"none":                   {0, time.Hour, true},
		"more than 16 bits hold": {44000, time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				dial(t, b, 4, "gate-1", func(pk *packets.Packet) { pk.Connect.Keepalive = c.keepAlive })
				time.Sleep(c.after)
				synctest.Wait()
				if up := b.Stats().Connections == 1; up != c.up {
					t.Errorf("connected after %s: %t, want %t", c.after, up, c.up)
				}
			})
		})
	}
}

// flood publishes until the slow client is cut, and fails if that holds up the
// publisher or the hub.
func flood(t *testing.T, b *broker.Broker, publisher *raw, ends chan broker.ConnEvent) {
	t.Helper()
	payload := strings.Repeat("x", 8000)
	for i := range 4000 {
		publisher.send(publishPacket("tacet/group/all/flood", payload, 1, uint16(i+1)))
		publisher.expect(packets.Puback)
		if err := b.Publish(context.Background(), area.Message{Topic: "tacet/group/all/hub", Payload: []byte(payload), QoS: 1, From: area.FromHub}); err != nil {
			t.Fatal(err)
		}
		select {
		case e := <-ends:
			if !e.Up && e.Client == "slow" && e.Reason == broker.Closed {
				if n := b.Stats().SlowConsumers; n != 1 {
					t.Errorf("%d slow consumers, want 1", n)
				}
				return
			}
		default:
		}
	}
	t.Error("the slow consumer was not cut")
}

func TestSlowConsumerStopsNobody(t *testing.T) {
	t.Run("pipe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := brokertest.New(t)
			ends := events(b)
			slow := dial(t, b, 4, "slow")
			slow.send(subscribePacket(1, 1, "#"))
			slow.expect(packets.Suback)
			flood(t, b.Broker, dial(t, b, 4, "fast"), ends)
		})
	})
	t.Run("tcp", func(t *testing.T) {
		b := overTCP(t, broker.Config{}, silent)
		ends := events(b)
		slow := dialTCP(t, b, 5)
		slow.connect("slow")
		slow.send(subscribePacket(1, 1, "#"))
		slow.expect(packets.Suback)
		fast := dialTCP(t, b, 4)
		fast.connect("fast")
		flood(t, b, fast, ends)
	})
}

// TestWriteTimeout: a peer that takes nothing is cut even when little waits.
func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		slow := dial(t, b, 4, "slow")
		start, ends := time.Now(), events(b)
		slow.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
		for e := range ends {
			if !e.Up {
				if e.Reason != broker.Closed || time.Since(start) != 10*time.Second {
					t.Errorf("%+v after %s; want closed after 10s", e, time.Since(start))
				}
				break
			}
		}
	})
}

func TestTakeOverOfHungConnection(t *testing.T) {
	for _, version := range []byte{4, 5} {
		synctest.Test(t, func(t *testing.T) {
			b := brokertest.New(t)
			seen := brokertest.NewInbox()
			if _, err := b.Subscribe("tacet/device/+/status", seen.Put); err != nil {
				t.Fatal(err)
			}
			var order []string
			b.Connections(func(e broker.ConnEvent) { order = append(order, e.Reason) })
			hung := dial(t, b, version, "gate-1", withWill("tacet/device/gate-1/status", "gone", true))
			hung.send(subscribePacket(1, 1, "a"))
			hung.expect(packets.Suback)
			for range 20 { // waits in the buffer, and behind the flusher
				_ = b.Publish(context.Background(), area.Message{Topic: "a", Payload: []byte("x"), QoS: 1, From: area.FromHub})
			}
			start := time.Now()
			fresh := dial(t, b, version, "gate-1")
			if d := time.Since(start); d > 0 {
				t.Errorf("v%d: the new connection waited %s", version, d)
			}
			fresh.send(publishPacket("tacet/device/gate-1/status", "back", 1, 1))
			fresh.expect(packets.Puback)
			got := seen.Take(t, 2)
			if string(got[0].Payload) != "gone" || !got[0].Will || string(got[1].Payload) != "back" {
				t.Errorf("v%d: %q then %q; want the will, then the birth", version, got[0].Payload, got[1].Payload)
			}
			if strings.Join(order, " ") != " taken_over " {
				t.Errorf("v%d: events %q; want up, taken_over, up", version, order)
			}
			if at := b.Retained("tacet/device/gate-1/status", 0); len(at) != 1 || string(at[0].Payload) != "gone" {
				t.Errorf("v%d: retained %v", version, at)
			}
			hung.closed()
		})
	}
}

// TestReconnectStorm is row 35: at no delay between two connections of one id
// the library left 2 in 1,000 deaf.
func TestReconnectStorm(t *testing.T) {
	b := overTCP(t, broker.Config{}, silent)
	n := 300
	for i := range n {
		r := dialTCP(t, b, 4)
		r.connect("gate-1")
		r.send(subscribePacket(1, 1, "to/gate-1"))
		r.expect(packets.Suback)
		if err := b.Publish(context.Background(), area.Message{Topic: "to/gate-1", Payload: []byte("x"), QoS: 1, From: area.FromHub}); err != nil {
			t.Fatal(err)
		}
		r.expect(packets.Publish)
		if i%2 == 0 {
			_ = r.Close() // the others are taken over
		}
	}
	if st := b.Stats(); st.Deaf+st.Stuck > 0 {
		t.Errorf("stats %+v; want none deaf or stuck", st)
	}
}

// TestContendedID has many connections fight for one client id at once.
func TestContendedID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		var work sync.WaitGroup
		for range 50 {
			r := newRaw(t, b.Pipe(t), 5)
			work.Go(func() {
				_, _ = r.Write([]byte("\x10\x12\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x05north"))
				r.closed()
			})
		}
		synctest.Wait()
		if st := b.Stats(); st.Connections != 1 || st.Sessions != 1 || st.Stuck != 0 {
			t.Errorf("stats %+v; want one connection, one session", st)
		}
		b.Disconnect("north", "enough")
		work.Wait()
	})
}

// TestTakeOverOfStuckConnection: one that waits in a gate does not keep its
// successor out for ever, nor does its late end harm it.
func TestTakeOverOfStuckConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		release := make(chan struct{})
		b.Gate("slow", func(area.Message) error { <-release; return nil })
		stuck := dial(t, b, 4, "gate-1")
		stuck.send(publishPacket("slow", "x", 1, 1))
		start := time.Now()
		fresh := dial(t, b, 4, "gate-1")
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("the new connection waited %s, want 5s", d)
		}
		close(release)
		stuck.closed()
		synctest.Wait()
		fresh.send(subscribePacket(1, 0, "to/gate-1"))
		fresh.expect(packets.Suback)
		if err := b.Publish(context.Background(), area.Message{Topic: "to/gate-1", Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		fresh.expect(packets.Publish)
		if st := b.Stats(); st.Stuck != 1 || st.Deaf != 0 || st.Connections != 1 || st.Sessions != 1 {
			t.Errorf("stats %+v; want 1 stuck, 1 connection, 1 session", st)
		}
		if !b.Disconnect("gate-1", "done") {
			t.Error("the new connection is not known")
		}
	})
}

// failing is a listener that fails a few times.
type failing struct {
	errs  []error
	conns chan net.Conn
	once  sync.Once
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return nil, err
	}
	c, ok := <-f.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (f *failing) Close() error {
	f.once.Do(func() { close(f.conns) })
	return nil
}
func (f *failing) Addr() net.Addr { return &net.TCPAddr{} }

func TestAcceptLoopSurvivesErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &failing{conns: make(chan net.Conn)}
		for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ENOBUFS, syscall.ENOMEM} {
			ln.errs = append(ln.errs, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", e)})
		}
		b, err := broker.New(broker.Config{}, silent)
		if err != nil {
			t.Fatal(err)
		}
		b.SetListener(ln)
		run(t, b)
		start := time.Now()
		ours, theirs := net.Pipe()
		ln.conns <- theirs
		if ack := newRaw(t, ours, 4).connect("gate-1"); ack.ReasonCode != 0 {
			t.Errorf("CONNACK %#x", ack.ReasonCode)
		}
		if d, want := time.Since(start), (5+10+20+40+80)*time.Millisecond; d != want {
			t.Errorf("accepted after %s, want %s", d, want)
		}
		if n := b.Stats().AcceptErrors; n != 5 {
			t.Errorf("%d accept errors, want 5", n)
		}
	})
}

func TestEndReasons(t *testing.T) {
	for name, c := range map[string]struct {
		version byte
		end     func(*testing.T, *brokertest.Broker, *raw)
		want    string
		will    bool
	}{
		"goodbye": {4, func(_ *testing.T, _ *brokertest.Broker, r *raw) {
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
		}, broker.Goodbye, false},
		"goodbye with will": {5, func(_ *testing.T, _ *brokertest.Broker, r *raw) {
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ReasonCode: 4})
		}, broker.Goodbye, true},
		"lost":    {4, func(_ *testing.T, _ *brokertest.Broker, r *raw) { _ = r.Close() }, broker.Lost, true},
		"timeout": {4, func(*testing.T, *brokertest.Broker, *raw) { time.Sleep(time.Hour) }, broker.Timeout, true},
		"disconnected": {5, func(t *testing.T, b *brokertest.Broker, r *raw) {
			if !b.Disconnect("gate-1", "replaced by gate-9") {
				t.Error("Disconnect: not there")
			}
			if pk := r.expect(packets.Disconnect); pk.ReasonCode != 0x98 || pk.Properties.ReasonString != "replaced by gate-9" {
				t.Errorf("DISCONNECT %#x %q", pk.ReasonCode, pk.Properties.ReasonString)
			}
		}, broker.Closed, true},
		"protocol error": {4, func(_ *testing.T, _ *brokertest.Broker, r *raw) {
			_, _ = r.Write([]byte("\x10\x12\x00\x04MQTT\x04\x02\x00\x0a\x00\x06gate-1"))
		}, broker.Closed, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				seen := brokertest.NewInbox()
				if _, err := b.Subscribe("#", seen.Put); err != nil {
					t.Fatal(err)
				}
				ends := events(b)
				r := dial(t, b, c.version, "gate-1", withWill("w", "x", false))
				up := <-ends
				if !up.Up || up.Client != "gate-1" || up.Conn == 0 || up.Addr != "pipe" || up.Reason != "" {
					t.Errorf("event %+v", up)
				}
				c.end(t, b, r)
				want := broker.ConnEvent{Client: "gate-1", Conn: up.Conn, Reason: c.want, Addr: "pipe"}
				if down := <-ends; down != want {
					t.Errorf("event %+v, want %+v", down, want)
				}
				if got := seen.Len() == 1; got != c.will {
					t.Errorf("will published: %t, want %t", got, c.will)
				}
				synctest.Wait() // the event comes a little before the client is forgotten
				if b.Disconnect("gate-1", "again") {
					t.Error("Disconnect of nobody: true")
				}
			})
		})
	}
}

func TestConnectionsTellsWhoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		dial(t, b, 4, "gate-1")
		gone := dial(t, b, 4, "gate-2")
		_ = gone.Close()
		synctest.Wait()
		var got []string
		cancel := b.Connections(func(e broker.ConnEvent) { got = append(got, e.Client) })
		cancel()
		dial(t, b, 4, "gate-3")
		if strings.Join(got, " ") != "gate-1" {
			t.Errorf("told of %v, want gate-1", got)
		}
	})
}

func TestRefusedConnects(t *testing.T) {
	long := strings.Repeat("x", 257)
	for name, c := range map[string]struct {
		id     string
		change func(*packets.Packet)
		v3, v5 byte
	}{
		"inline":             {"inline", nil, 2, 0x85},
		"our own":            {"tacet-hub", nil, 2, 0x85},
		"too long":           {long, nil, 2, 0x85},
		"will for the hub":   {"gate-1", withWill("tacet/area/north/busy", "{}", true), 5, 0x87},
		"will for $SYS":      {"gate-1", withWill("$SYS/broker/version", "9", true), 5, 0x87},
		"will with wildcard": {"gate-1", withWill("a/#", "x", true), 5, 0x90},
		"will too deep":      {"gate-1", withWill(strings.Repeat("a/", 20), "x", true), 5, 0x90},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				seen := brokertest.NewInbox()
				if _, err := b.Subscribe("#", seen.Put); err != nil {
					t.Fatal(err)
				}
				for version, want := range map[byte]byte{4: c.v3, 5: c.v5} {
					r := newRaw(t, b.Pipe(t), version)
					var change []func(*packets.Packet)
					if c.change != nil {
						change = append(change, c.change)
					}
					if ack := r.connect(c.id, change...); ack.ReasonCode != want {
						t.Errorf("v%d: CONNACK %#x, want %#x", version, ack.ReasonCode, want)
					}
					r.closed()
				}
				synctest.Wait()
				if seen.Len() != 0 || len(b.Retained("#", 0)) != 0 {
					t.Errorf("%d messages, retained %v; want none", seen.Len(), b.Retained("#", 0))
				}
				if st := b.Stats(); st.RefusedConnects != 2 || st.Connections != 0 || st.Sessions != 0 {
					t.Errorf("stats %+v; want 2 refused and nobody there", st)
				}
			})
		})
	}
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := broker.New(broker.Config{}, silent)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var work sync.WaitGroup
		work.Go(func() {
			if err := b.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		pipe := func() *raw {
			ours, theirs := net.Pipe()
			work.Go(func() { _ = b.Establish(theirs) })
			return newRaw(t, ours, 5)
		}
		mute, stuck, well := pipe(), pipe(), pipe()
		stuck.connect("stuck", withWill("w", "x", true))
		stuck.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}) // and does not read the answer
		well.connect("well")
		synctest.Wait()
		start := time.Now()
		cancel()
		if pk := well.expect(packets.Disconnect); pk.ReasonCode != 0x8b {
			t.Errorf("DISCONNECT %#x, want 0x8b", pk.ReasonCode)
		}
		mute.closed()
		work.Wait()
		if d := time.Since(start); d > time.Second {
			t.Errorf("shut down in %s, want at most 1s", d)
		}
		if kept := b.Retained("w", 0); len(kept) != 0 {
			t.Errorf("the broker's end published a will: %v", kept)
		}
		ours, theirs := net.Pipe()
		defer ours.Close()
		if err := b.Establish(theirs); area.CodeOf(err) != area.CodeDraining {
			t.Errorf("Establish after the end: %v", err)
		}
		if err := b.Publish(context.Background(), area.Message{Topic: "a"}); area.CodeOf(err) != area.CodeDraining {
			t.Errorf("Publish after the end: %v", err)
		}
		if err := b.Run(context.Background()); err == nil {
			t.Error("second Run: no error")
		}
	})
}

// TestLogsHoldNoPayload: the library logs whole packets (row 31).
func TestLogsHoldNoPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out syncBuffer
		b, err := broker.New(broker.Config{MaxSubscriptions: 1}, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
		if err != nil {
			t.Fatal(err)
		}
		run(t, b)
		ours, theirs := net.Pipe()
		go func() { _ = b.Establish(theirs) }()
		r := newRaw(t, ours, 4)
		r.connect("gate-1")
		r.send(publishPacket("tacet/area/north/busy", "secret", 1, 1))
		r.expect(packets.Puback)
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}, Connect: packets.ConnectParams{
			ProtocolName: []byte("MQTT"), ClientIdentifier: "gate-1", UsernameFlag: true, Username: []byte("secret"), PasswordFlag: true, Password: []byte("secret")}})
		r.closed()
		synctest.Wait()
		if s := out.String(); strings.Contains(s, "secret") || !strings.Contains(s, "topic of the hub refused") {
			t.Errorf("log:\n%s", s)
		}
	})
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestConfigTellsAllFaults(t *testing.T) {
	_, err := broker.New(broker.Config{MaxPacketBytes: 1, MaxQueue: 70000, WriteTimeout: -1}, silent)
	for _, want := range []string{"MaxPacketBytes 1", "MaxQueue 70000", "WriteTimeout -1ns"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v has no %q", err, want)
		}
	}
}
