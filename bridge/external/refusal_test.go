package external

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// answering is the address of something that answers each CONNECT with these bytes
// and then hangs up, or stays. It reads the CONNECT whole first: who closes a
// connection with bytes unread resets it, and the answer with it.
func answering(t *testing.T, answer string, stays bool) string {
	t.Helper()
	return listening(t, func(c net.Conn) {
		if _, err := packets.ReadPacket(c); err != nil {
			return
		}
		if _, err := c.Write([]byte(answer)); stays && err == nil {
			_, _ = io.Copy(io.Discard, c) // until the other side hangs up
		}
	})
}

// listening is the address of something that serves each connection so.
func listening(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	return l.Addr().String()
}

// TestRefusals: why a broker does not take us is said in words, and one that speaks
// MQTT 3.1.1 alone is told from others.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		stays  bool
		old    bool
		says   string
	}{
		"old broker":             {"\x20\x02\x00\x01", false, true, "speaks no MQTT 5, which is needed: it answers as MQTT 3.1.1 does"},
		"old broker that stays":  {"\x20\x02\x00\x01", true, true, "speaks no MQTT 5"},
		"old, and a stranger":    {"\x20\x02\x00\x05", false, true, "speaks no MQTT 5, which is needed: it answers as MQTT 3.1.1 does, not authorized"},
		"old, and takes us":      {"\x20\x02\x00\x00", true, true, "speaks no MQTT 5"},
		"MQTT 5 switched off":    {"\x20\x03\x00\x84\x00", false, true, "speaks no MQTT 5"},
		"a stranger":             {"\x20\x03\x00\x87\x00", false, false, "the broker refuses: not authorized"},
		"a stranger, with words": {"\x20\x0a\x00\x86\x07\x1f\x00\x04sigh", false, false, `bad user name or password ("sigh")`},
		"a code of the future":   {"\x20\x03\x00\xee\x00", false, false, "the broker refuses: reason 0xee"},
		"no answer":              {"", false, false, "hung up without an answer: it may speak no MQTT 5, or want TLS"},
		"a web server":           {"HTTP/1.1 400 Bad Request\r\n\r\n", false, false, "no MQTT broker"},
		"TLS":                    {"\x15\x03\x01\x00\x02\x02\x16", false, false, "no MQTT broker, or wants TLS"},
		"half an answer":         {"\x20\x03", false, false, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLink(Server{URL: "mqtt://" + answering(t, c.answer, c.stays), ClientID: "c"}, newQueue(1, 1), logTo(t))
			_, err := l.connect(t.Context())
			if err == nil || errors.Is(err, ErrVersion) != c.old || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q, old %t", err, c.says, c.old)
			}
		})
	}
}

// TestOldBroker: bus and bridge to a broker of MQTT 3.1.1 alone say so as an error,
// go on trying, and work once another has taken its place.
func TestOldBroker(t *testing.T) {
	newer := newMosquitto(t)
	var replaced atomic.Bool
	addr := listening(t, func(c net.Conn) {
		if !replaced.Load() {
			_, _ = packets.ReadPacket(c)
			_, _ = c.Write([]byte("\x20\x02\x00\x01"))
			return
		}
		to, err := net.Dial("tcp", newer.addr())
		if err != nil {
			t.Error(err)
			return
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(to, c); _ = to.Close() })
		_, _ = io.Copy(c, to)
		_ = c.Close()
		wg.Wait()
	})
	said := &lines{}
	log := slog.New(slog.NewTextHandler(said, nil))
	bus, err := NewBus(BusConfig{Server: Server{URL: "mqtt://" + addr, ClientID: "c"}, Node: "hub-1"}, log)
	if err != nil {
		t.Fatal(err)
	}
	bridge, err := NewBridge(BridgeConfig{Server: Server{URL: "mqtt://" + addr, ClientID: "d"}, Name: "plant", Carried: []Carried{{Filter: "#", Direction: In}}}, bus, newTable(), log)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, bus.Run)
	runs(t, bridge.Run)
	until := func(what string, so func(Stats) bool) {
		t.Helper()
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		for _, stats := range []func() Stats{bus.Stats, bridge.Stats} {
			for end := time.Now().Add(late); !so(stats()); <-again.C {
				if time.Now().After(end) {
					t.Fatalf("%s: %+v", what, stats())
				}
			}
		}
	}
	until("it is old", func(s Stats) bool { return s.Old == 1 && s.Failures > 1 && s.Connected == 0 })
	if got := said.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, ErrVersion.Error()) {
		t.Errorf("the log says %s", got)
	}
	replaced.Store(true)
	until("it is replaced", func(s Stats) bool { return s.Old == 0 && s.Connected == 1 })
}

// lines is what a log wrote.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// olden is the address of a broker behind which a newer one stands, and which takes
// clients of MQTT 3.1.1 alone; others it refuses with the words, or without one.
func olden(t *testing.T, newer *peer, words string) string {
	t.Helper()
	return listening(t, func(c net.Conn) {
		connect := make([]byte, 2) // type and length, which is less than 128 here
		if _, err := io.ReadFull(c, connect); err != nil {
			return
		}
		connect = append(connect, make([]byte, connect[1])...)
		if _, err := io.ReadFull(c, connect[2:]); err != nil {
			return
		}
		if at := bytes.Index(connect, []byte("MQTT")); at < 0 || connect[at+4] != oldVersion {
			_, _ = c.Write([]byte(words))
			return
		}
		to, err := net.Dial("tcp", newer.addr())
		if err != nil {
			return // it is killed
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = to.Write(connect)
			_, _ = io.Copy(to, c)
			_ = to.Close()
		})
		_, _ = io.Copy(c, to)
		_ = c.Close()
		wg.Wait()
	})
}

// TestBridgeFromAnOldBroker: a bridge that carries everything inwards takes it from a
// broker of MQTT 3.1.1 alone, also what was retained, once, and after the broker was
// away; one that sends does not.
func TestBridgeFromAnOldBroker(t *testing.T) {
	for name, words := range map[string]string{"refuses": "\x20\x02\x00\x01", "hangs up": ""} {
		t.Run(name, func(t *testing.T) {
			b, hub := newMosquitto(t, durable), newHub(t)
			other := b.client()
			b.wait("publish", other.Publish("v3/app@ttn/devices/d/up", 1, true, "1"))
			x, err := NewBridge(BridgeConfig{
				Server: Server{URL: "mqtt://" + olden(t, b, words), ClientID: "tacet-bridge"}, Name: "ttn",
				Carried: []Carried{{Filter: "v3/+/devices/+/up", Direction: In, QoS: 1}, {Filter: "#", Direction: In, Local: "far/", Remote: "site/", QoS: 1}},
			}, hub, newTable(), logTo(t))
			if err != nil {
				t.Fatal(err)
			}
			here := hear(t, hub, "#")
			stop := runs(t, x.Run)
			here.await(t, "v3/app@ttn/devices/d/up 1 from tacet-bridge:ttn")
			until(t, "everything is subscribed to", x.Connected) // which is one after the other
			b.wait("publish", other.Publish("site/a", 1, false, "2"))
			here.await(t, "far/a 2 from tacet-bridge:ttn")
			if s := x.Stats(); s.Connected != 1 || s.Old != 0 {
				t.Errorf("%+v", s)
			}
			b.kill()
			until(t, "the bridge knows it", func() bool { return !x.Connected() })
			b.start()
			until(t, "the bridge is back", x.Connected)
			b.wait("publish", b.client().Publish("site/b", 1, false, "3"))
			here.await(t, "far/b 3 from tacet-bridge:ttn")
			if n := here.count("v3/"); n != 1 {
				t.Errorf("what is retained came %d times", n)
			}
			stop()
			if x.Connected() {
				t.Error("it is connected after its end")
			}
			y, err := NewBridge(BridgeConfig{Server: Server{URL: "mqtt://" + olden(t, b, words), ClientID: "tacet-out"}, Name: "out", Carried: []Carried{{Filter: "a", Direction: In}, outward}}, hub, newTable(), logTo(t))
			if err != nil {
				t.Fatal(err)
			}
			runs(t, y.Run)
			until(t, "the other one has tried", func() bool { return y.Stats().Failures > 1 })
			if s := y.Stats(); s.Connected != 0 {
				t.Errorf("one that sends: %+v", s)
			}
		})
	}
}
