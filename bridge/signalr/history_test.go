package signalr_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// keeper is a history that keeps everything but what it does not want.
type keeper struct {
	mu   sync.Mutex
	all  map[string][]signalr.Past
	lost uint64 // up to here nothing is kept
}

func newKeeper() *keeper { return &keeper{all: map[string][]signalr.Past{}} }

func (k *keeper) Wants(_, event string) bool { return event != "Unwanted" }

func (k *keeper) Keep(group string, p signalr.Past) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all[group] = append(k.all[group], p)
}

func (k *keeper) Since(group string, from, to signalr.Position) (list []signalr.Past, gap bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.all[group] {
		if p.At.Epoch == to.Epoch && p.At.Offset > max(from.Offset, k.lost) && p.At.Offset <= to.Offset {
			list = append(list, p)
		}
	}
	return list, from.Offset < k.lost
}

// back is a method that joins g from a position and answers what JoinSince did.
func back(s *signalr.Server) {
	s.Method("Back", signalr.Func1(func(_ context.Context, c *signalr.Call, from signalr.Position) (map[string]any, error) {
		at, gap, err := c.Conn().JoinSince("g", from)
		return map[string]any{"at": at.Offset, "gap": gap}, err
	}))
}

func TestWhoComesBackMissesNothing(t *testing.T) {
	k, ended := newKeeper(), make(chan error, 10)
	h := newSite(t, signalr.Config{History: k}, func(s *signalr.Server) {
		back(s)
		s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err })
	})
	join := func(c *signalrtest.Client, from signalr.Position) string {
		t.Helper()
		raw, err := c.Invoke(t.Context(), "Back", from)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	dial := func(in protocol.Codec) (*signalrtest.Client, chan string) {
		heard := make(chan string, 100)
		c := h.dial(t, signalrtest.Options{Protocol: in})
		c.On("Push", func(args []json.RawMessage) { heard <- string(args[0]) })
		return c, heard
	}
	first, _ := dial(protocol.JSON)
	if got := join(first, signalr.Position{}); got != `{"at":0,"gap":true}` {
		t.Errorf("a group that nobody was in: %s", got)
	}
	h.Group("g").Send("Push", 1)
	_ = first.Close()
	<-ended
	at, _ := h.Position("g")
	h.Group("g").Send("Push", "while nobody is there")
	h.Group("g").Send("Unwanted", 0)
	h.Group("g").Send("Push", map[string]any{"n": 2})
	for _, in := range []protocol.Codec{protocol.JSON, protocol.MessagePack} {
		c, heard := dial(in)
		if got := join(c, at); got != `{"at":4,"gap":false}` {
			t.Errorf("back: %s", got)
		}
		for _, want := range []string{`"while nobody is there"`, `{"n":2}`} {
			if got := <-heard; got != want {
				t.Errorf("heard %s, want %s", got, want)
			}
		}
		if got := join(c, signalr.Position{Epoch: "other", Offset: 1}); got != `{"at":4,"gap":true}` {
			t.Errorf("of another epoch: %s", got)
		}
		if got := join(c, signalr.Position{Epoch: at.Epoch, Offset: 5}); got != `{"at":4,"gap":true}` {
			t.Errorf("of the future: %s", got)
		}
		k.mu.Lock()
		k.lost = 2
		k.mu.Unlock()
		if got := join(c, at); got != `{"at":4,"gap":true}` {
			t.Errorf("where some is gone: %s", got)
		}
		if got := <-heard; got != `{"n":2}` {
			t.Errorf("heard %s of what is left", got)
		}
		k.mu.Lock()
		k.lost = 0
		k.mu.Unlock()
	}
}

// TestReplayAndLiveMeet: while others send, who comes back hears every event
// once and in order.
func TestReplayAndLiveMeet(t *testing.T) {
	const events, rounds = 400, 8
	h := newSite(t, signalr.Config{History: newKeeper(), OutboxBytes: 8 << 20}, func(s *signalr.Server) {
		back(s)
		s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("always") })
	})
	c := h.dial(t, signalrtest.Options{})
	if _, err := c.Invoke(t.Context(), "Back", signalr.Position{}); err != nil {
		t.Fatal(err)
	}
	from, _ := h.Position("g")
	for range rounds {
		var sending sync.WaitGroup
		sending.Go(func() {
			for n := range events {
				h.Group("g").Send("Push", n)
			}
		})
		heard := make(chan int, 10*events)
		back := h.dial(t, signalrtest.Options{On: map[string]func([]json.RawMessage){"Push": func(args []json.RawMessage) {
			var n int
			_ = json.Unmarshal(args[0], &n)
			heard <- n
		}}})
		if _, err := back.Invoke(t.Context(), "Back", from); err != nil {
			t.Fatal(err)
		}
		for n := range events {
			if got := <-heard; got != n {
				t.Fatalf("heard %d, want %d", got, n)
			}
		}
		sending.Wait()
		from, _ = h.Position("g")
		_ = back.Close()
	}
}

// TestReplayThatDoesNotFit: the newest are sent, and the rest is said to be gone.
func TestReplayThatDoesNotFit(t *testing.T) {
	h := newSite(t, signalr.Config{History: newKeeper(), OutboxBytes: 100_000}, back)
	c := h.dial(t, signalrtest.Options{})
	heard := make(chan int, 1000)
	c.On("Push", func(args []json.RawMessage) {
		var n int
		_ = json.Unmarshal(args[0], &n)
		heard <- n
	})
	if _, err := c.Invoke(t.Context(), "Back", signalr.Position{}); err != nil {
		t.Fatal(err)
	}
	from, _ := h.Position("g")
	for n := range 200 {
		h.Group("g").Send("Push", n, strings.Repeat("x", 1000))
		<-heard
	}
	raw, err := c.Invoke(t.Context(), "Back", from)
	if err != nil || string(raw) != `{"at":200,"gap":true}` {
		t.Fatalf("%s, %v", raw, err)
	}
	first := <-heard
	if first < 100 || first == 199 {
		t.Errorf("the replay begins with %d", first)
	}
	for n := first + 1; n < 200; n++ {
		if got := <-heard; got != n {
			t.Fatalf("heard %d, want %d", got, n)
		}
	}
}

// TestLeftAt: where a connection stood in a group can be asked when it has ended,
// and when it leaves.
func TestLeftAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns, ended := make(chan *signalr.Conn, 1), make(chan string, 1)
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
			s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g"); _, _ = c.Join("h"); conns <- c })
			s.OnDisconnect(func(c *signalr.Conn, _ error) {
				at, ok := c.LeftAt("g")
				_, was := c.LeftAt("h")
				ended <- fmt.Sprint(at.Offset, ok, was)
			})
		})
		r, c := h.greeted(t, ""), <-conns
		synctest.Wait()
		h.Group("h").Send("Push", 1)
		r.want(pushed(1))
		if at, ok := c.Leave("h"); at.Offset != 1 || !ok {
			t.Errorf("left h at %v %v", at, ok)
		}
		if _, ok := c.Leave("h"); ok {
			t.Error("left h twice")
		}
		if _, ok := c.LeftAt("g"); ok {
			t.Error("g is left before the end")
		}
		h.Group("g").Send("Push", 2)
		r.want(pushed(2))
		if c.Heard().IsZero() || c.Heard().After(time.Now()) {
			t.Errorf("heard at %v", c.Heard())
		}
		_ = r.link.Close()
		synctest.Wait()
		h.Group("g").Send("Push", 3)
		if got := <-ended; got != "1 true false" {
			t.Errorf("at the end %s", got)
		}
	})
}
