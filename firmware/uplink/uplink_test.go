package uplink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// site is a broker and one client of it, whose connections can be cut.
type site struct {
	b *brokertest.Broker
	c *Client

	mu    sync.Mutex
	away  bool
	conns []net.Conn
	hubs  []string

	ups  chan string
	stop func()
}

var errAway = errors.New("the hub is away")

func newSite(t *testing.T, hubs ...string) *site {
	t.Helper()
	s := &site{b: brokertest.New(t), ups: make(chan string, 100)}
	if len(hubs) == 0 {
		hubs = []string{"mqtt://hub"}
	}
	c, err := New(Config{Hubs: hubs, ClientID: "gate-1", Dial: func(_ context.Context, hub *url.URL) (net.Conn, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hubs = append(s.hubs, hub.String())
		if s.away {
			return nil, errAway
		}
		conn := s.b.Pipe(t)
		s.conns = append(s.conns, conn)
		return conn, nil
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.c = c
	c.Leave(func(conn uint64) area.Message {
		return area.Message{Topic: "tacet/device/gate-1/status", Payload: fmt.Appendf(nil, "dead %d", conn), QoS: 1, Retain: true}
	})
	c.Watch(func(up bool, conn uint64, hub string) { s.ups <- fmt.Sprint(up, " ", conn, " ", hub) })
	return s
}

func (s *site) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := s.c.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	s.stop = func() { cancel(); work.Wait() }
	t.Cleanup(s.stop)
}

func (s *site) setAway(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = on
	for _, c := range s.conns {
		_ = c.Close()
	}
}

func TestMessagesBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		if err := s.c.Publish(t.Context(), area.Message{Topic: "a"}); !errors.Is(err, ErrOffline) {
			t.Errorf("Publish before Run: %v", err)
		}
		ctx := t.Context()
		if err := s.b.Publish(ctx, area.Message{Topic: "x/kept", Payload: []byte("old"), Retain: true, From: area.FromHub}); err != nil {
			t.Fatal(err)
		}
		in := brokertest.NewInbox()
		cancelSub, err := s.c.Subscribe("x/#", in.Put)
		if err != nil {
			t.Fatal(err)
		}
		s.run(t)
		if got := <-s.ups; got != "true 1 mqtt://hub:1883" {
			t.Fatalf("told %q", got)
		}
		if m := in.Take(t, 1)[0]; !m.Replay || string(m.Payload) != "old" {
			t.Errorf("retained: %+v", m)
		}
		hub := brokertest.NewInbox()
		if _, err := s.b.Subscribe("y/+", hub.Put); err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			if err := s.c.Publish(ctx, area.Message{Topic: fmt.Sprintf("y/%d", 2*i), QoS: 1}, area.Message{Topic: fmt.Sprintf("y/%d", 2*i+1), QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		for i, m := range hub.Take(t, 100) {
			if m.Topic != fmt.Sprintf("y/%d", i) || m.From != "gate-1" {
				t.Fatalf("message %d is %s from %s", i, m.Topic, m.From)
			}
		}
		// A filter that comes and goes while the connection stands.
		late := brokertest.NewInbox()
		cancelLate, err := s.c.Subscribe("z", late.Put)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		say := func(topic string) {
			if err := s.b.Publish(ctx, area.Message{Topic: topic, From: area.FromHub}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		say("z")
		cancelLate()
		cancelSub()
		synctest.Wait()
		say("z")
		say("x/new")
		if late.Len() != 1 || in.Len() != 0 {
			t.Errorf("%d and %d messages after unsubscribing, want 1 and 0", late.Len(), in.Len())
		}
		if _, err := s.c.Subscribe("a/#/b", in.Put); err == nil {
			t.Error("a bad filter was taken")
		}
		if st := s.c.Stats(); st.Connects != 1 || st.Sent != 100 || st.Refused != 1 || st.Received != 2 {
			t.Errorf("Stats = %+v", st)
		}
	})
}

// A dropped connection leaves its Will; the next one has another. A clean end
// leaves none, and what was queued arrives.
func TestWillsAndGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		wills := brokertest.NewInbox()
		if _, err := s.b.Subscribe("tacet/device/+/status", wills.Put); err != nil {
			t.Fatal(err)
		}
		s.run(t)
		<-s.ups
		began := time.Now()
		s.c.Drop()
		if got := <-s.ups; !strings.HasPrefix(got, "false 1") {
			t.Errorf("told %q", got)
		}
		if got := <-s.ups; !strings.HasPrefix(got, "true 2") {
			t.Errorf("told %q", got)
		}
		if d := time.Since(began); d < 200*time.Millisecond || d > 400*time.Millisecond {
			t.Errorf("connected again after %v, want 200 ms to 400 ms", d)
		}
		if m := wills.Take(t, 1)[0]; string(m.Payload) != "dead 1" || !m.Will {
			t.Errorf("will: %+v", m)
		}
		for range 20 {
			if err := s.c.Publish(t.Context(), area.Message{Topic: "tacet/device/gate-1/status", Payload: []byte("bye"), QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		s.stop()
		synctest.Wait()
		for _, m := range wills.Take(t, 20) {
			if string(m.Payload) != "bye" {
				t.Errorf("at the end came %q", m.Payload)
			}
		}
		if wills.Len() != 0 {
			t.Error("a clean end left a will")
		}
		if err := s.c.Publish(t.Context(), area.Message{Topic: "a"}); !errors.Is(err, ErrOffline) {
			t.Errorf("Publish after Run: %v", err)
		}
	})
}

func TestReconnectsWithGrowingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "mqtt://one", "ws://two:8080")
		s.setAway(true)
		s.run(t)
		time.Sleep(2 * time.Minute)
		s.mu.Lock()
		tries := len(s.hubs)
		if tries < 10 || tries > 30 { // 0.5, 1, 2, 4, 8, 15, 15 … s less up to a half
			t.Errorf("%d attempts in 2 min", tries)
		}
		if s.hubs[0] != "mqtt://one:1883" || s.hubs[1] != "ws://two:8080/mqtt" || s.hubs[2] != s.hubs[0] {
			t.Errorf("tried %v", s.hubs[:3])
		}
		s.mu.Unlock()
		s.setAway(false)
		if got := <-s.ups; !strings.HasPrefix(got, "true") {
			t.Errorf("told %q", got)
		}
		time.Sleep(10 * time.Second) // it is steady: the wait is short again
		s.setAway(true)
		s.mu.Lock()
		s.away = false
		s.mu.Unlock()
		<-s.ups
		began := time.Now()
		<-s.ups
		if d := time.Since(began); d > 500*time.Millisecond {
			t.Errorf("connected again after %v", d)
		}
		if st := s.c.Stats(); st.Connects != 2 || st.Losses != 1 {
			t.Errorf("Stats = %+v", st)
		}
	})
}

// A broker that takes nothing from its socket fills the queue; what waits is
// forgotten with the connection.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.c.mu.Lock()
		s.c.online = true // as if a connection stood that takes nothing
		s.c.mu.Unlock()
		batch := make([]area.Message, queueLen-1)
		if err := s.c.Publish(t.Context(), batch...); err != nil {
			t.Fatal(err)
		}
		if err := s.c.Publish(t.Context(), area.Message{}, area.Message{}); !errors.Is(err, ErrFull) {
			t.Errorf("two messages for one place: %v", err)
		}
		if err := s.c.Publish(t.Context(), area.Message{}); err != nil {
			t.Errorf("the last place: %v", err)
		}
		hub, _ := ParseHub("mqtt://hub")
		s.c.tell(false, 1, hub)
		if st := s.c.Stats(); st.Refused != 2 || st.Forgotten != queueLen {
			t.Errorf("Stats = %+v", st)
		}
	})
}

func TestParseHub(t *testing.T) {
	cases := []struct{ in, want string }{
		{"mqtt://hub.local", "mqtt://hub.local:1883"},
		{"mqtt://127.0.0.1:11883/", "mqtt://127.0.0.1:11883"},
		{"mqtts://hub", "mqtts://hub:8883"},
		{"mqtt://[::1]", "mqtt://[::1]:1883"},
		{"ws://hub", "ws://hub:80/mqtt"},
		{"wss://hub:8443/x", "wss://hub:8443/x"},
		{"hub.local:1883", ""}, {"http://hub", ""}, {"mqtt://", ""}, {"", ""}, {"discover", ""},
		{"mqtt://hub/path", ""}, {"mqtt://ann:secret@hub", ""}, {"mqtt://hub?x=1", ""},
	}
	for _, c := range cases {
		u, err := ParseHub(c.in)
		if c.want == "" {
			if err == nil {
				t.Errorf("ParseHub(%q) = %s, want an error", c.in, u)
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("ParseHub(%q) tells the password: %v", c.in, err)
			}
			continue
		}
		if err != nil || u.String() != c.want {
			t.Errorf("ParseHub(%q) = %v, %v, want %s", c.in, u, err, c.want)
		}
	}
	err := Config{Hubs: []string{"x", "y"}, KeepAlive: time.Millisecond}.Validate()
	for _, want := range []string{`"x"`, `"y"`, "client id", "keep alive"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: %v, want it to name %s", err, want)
		}
	}
	if _, err := New(Config{}, nil); err == nil {
		t.Error("New without a hub: no error")
	}
}
