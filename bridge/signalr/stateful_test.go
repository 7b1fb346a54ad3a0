package signalr_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

const hello2 = `{"protocol":"json","version":2}` + "\x1e"

var statefully = signalr.Config{AllowStatefulReconnects: true}

// stateful negotiates a connection that can be resumed and shakes hands, and speaks then,
// as the vendor's clients do.
func (h *site) stateful(t *testing.T) (r *raw, query string) {
	t.Helper()
	r, query = h.mute(t)
	r.send(pinged)
	return r, query
}

const pinged = `{"type":6}` + "\x1e"

// mute is stateful for a client that only shakes hands.
func (h *site) mute(t *testing.T) (r *raw, query string) {
	t.Helper()
	a := h.negotiate(t, "?negotiateVersion=1&useStatefulReconnect=true")
	query = "?id=" + a.ConnectionToken
	r = h.raw(t, query)
	r.send(hello2)
	r.want("{}")
	return r, query
}

func sequence(id int) string { return fmt.Sprintf(`{"type":9,"sequenceId":%d}`, id) + "\x1e" }

func pushed(n int) string { return fmt.Sprintf(`{"type":1,"target":"Push","arguments":[%d]}`, n) }

func TestStatefulNegotiation(t *testing.T) {
	for _, tc := range []struct {
		allow bool
		query string
		want  bool
	}{
		{true, "", false}, {true, "&useStatefulReconnect=true", true}, {true, "&useStatefulReconnect=false", false},
		{false, "&useStatefulReconnect=true", false},
	} {
		h := newSite(t, signalr.Config{AllowStatefulReconnects: tc.allow}, nil)
		body := h.status("POST", hubURL+"/negotiate?negotiateVersion=1"+tc.query).Body.String()
		if got := strings.Contains(body, `"useStatefulReconnect":true`); got != tc.want {
			t.Errorf("allowed %t, %q: %s", tc.allow, tc.query, body)
		}
	}
}

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns, ended := make(chan *signalr.Conn, 1), make(chan error, 1)
		running := make(chan context.Context, 1)
		h := newSite(t, statefully, func(s *signalr.Server) {
			s.Handle("Hold", func(ctx context.Context, c *signalr.Call) (any, error) {
				running <- ctx
				<-time.After(5 * time.Second)
				return "held", ctx.Err()
			})
			s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g"); conns <- c })
			s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err })
		})
		r, query := h.stateful(t)
		c := <-conns
		c.Set("key", "value")
		h.Group("g").Send("Push", 1) // 1
		h.Group("g").Send("Push", 2) // 2
		r.want(pushed(1), pushed(2))
		r.send(`{"type":8,"sequenceId":1}` + "\x1e" + `{"type":8,"sequenceId":1}` + "\x1e" + `{"type":8,"sequenceId":0}` + "\x1e")
		r.send(`{"type":1,"invocationId":"7","target":"Hold","arguments":[]}` + "\x1e") // the client's 1
		<-running
		r.send(`{"type":1,"invocationId":"8","target":"Ad`) // half a message
		_ = r.link.Close()
		synctest.Wait()
		h.Group("g").Send("Push", 3) // 3, into the void
		if s := h.Stats(); s.Detached != 1 || s.Connections != 1 {
			t.Errorf("%+v", s)
		}
		r = h.raw(t, query)
		h.Group("g").Send("Push", 4) // 4
		r.send(sequence(1) + `{"type":1,"invocationId":"7","target":"Hold","arguments":[]}` + "\x1e" + callAdd)
		r.want(`{"type":9,"sequenceId":2}`, pushed(2), pushed(3), pushed(4))
		r.want(`{"type":8,"sequenceId":2}`, `{"type":3,"invocationId":"7","result":"held"}`, answered3)
		if len(running) != 0 {
			t.Error("the call ran twice")
		}
		if c.Get("key") != "value" || len(ended) != 0 || h.Stats().Resumed != 1 || h.Stats().Detached != 0 {
			t.Errorf("after the resumption: %+v", h.Stats())
		}
		r.send("{\"type\":7}\x1e")
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
		synctest.Wait()
		if w := h.status("GET", hubURL+query, upgrading...); w.Code != 404 {
			t.Errorf("after the client left: %d", w.Code)
		}
	})
}

// TestReplay is the table of what a client may say when it comes back.
func TestReplay(t *testing.T) {
	add := func(id int) string {
		return fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"Add","arguments":[%d,0]}`, id, id) + "\x1e"
	}
	done := func(id int) string { return fmt.Sprintf(`{"type":3,"invocationId":"%d","result":%d}`, id, id) }
	for _, tc := range []struct {
		name string
		send string
		want []string // behind the replay of the answers to 1 and 2
	}{
		{"from the first", sequence(1) + add(1) + add(2) + add(3), []string{done(3)}},
		{"nothing to replay", sequence(3) + add(3), []string{done(3)}},
		{"without a sequence", add(3), []string{done(3)}},
		{"messages before the sequence", add(3) + sequence(3) + add(3) + add(4), []string{done(3), done(4)}},
		{"too high", sequence(4) + add(4), []string{`{"type":7,"error":"Connection closed with an error. InvalidDataException: invalid data: sequence 4, expected at most 3"}`, "EOF"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newSite(t, statefully, nil)
				r, query := h.stateful(t)
				r.send(add(1) + add(2))
				r.want(done(1), done(2))
				_ = r.link.Close()
				r = h.raw(t, query)
				r.want(`{"type":9,"sequenceId":1}`, done(1), done(2))
				r.send(tc.send)
				for _, want := range tc.want {
					got := r.next()
					for strings.HasPrefix(got, `{"type":8,`) {
						got = r.next()
					}
					if got != want {
						t.Fatalf("got %s, want %s", got, want)
					}
				}
			})
		})
	}
}

func TestDetachedConnectionEnds(t *testing.T) {
	for _, tc := range []struct {
		name  string
		end   func(h *site, r *raw)
		after time.Duration
	}{
		{"nobody comes back", func(h *site, r *raw) { _ = r.link.Close() }, 15 * time.Second},
		{"the way between is going down", func(h *site, r *raw) { _ = r.link.CloseWith(1012) }, 15 * time.Second},
		{"clean close", func(h *site, r *raw) { _ = r.link.CloseWith(1000) }, 0},
		{"tab closed", func(h *site, r *raw) { _ = r.link.CloseWith(1001) }, 0},
		{"close message", func(h *site, r *raw) { r.send("{\"type\":7}\x1e") }, 0},
		{"broken protocol", func(h *site, r *raw) { r.send("{}\x1e"); r.next(); _ = r.link.Close() }, 0},
		{"kicked", func(h *site, r *raw) { h.Conns()[0].Close(nil); r.next(); _ = r.link.Close() }, 0},
		{"drain", func(h *site, r *raw) { _ = r.link.Close(); synctest.Wait(); go h.stop() }, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				h := newSite(t, statefully, func(s *signalr.Server) { s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err }) })
				r, query := h.stateful(t)
				synctest.Wait() // then it is one of all
				start := time.Now()
				tc.end(h, r)
				go func() { // the answers are read
					for got := r.next(); got != "EOF" && got != "cut"; got = r.next() {
					}
				}()
				<-ended
				if d := time.Since(start); d != tc.after {
					t.Errorf("ended after %v, want %v", d, tc.after)
				}
				synctest.Wait()
				if w := h.status("GET", hubURL+query, upgrading...); w.Code != 404 {
					t.Errorf("afterwards: %d", w.Code)
				}
			})
		})
	}
}

func TestVersion1IsNotResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		h := newSite(t, statefully, func(s *signalr.Server) { s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err }) })
		a := h.negotiate(t, "?negotiateVersion=1&useStatefulReconnect=true")
		r := h.greeted(t, "?id="+a.ConnectionToken)
		if w := h.status("GET", hubURL+"?id="+a.ConnectionToken, upgrading...); w.Code != 409 {
			t.Errorf("second socket: %d", w.Code)
		}
		_ = r.link.Close()
		<-ended
	})
}

func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, statefully, func(s *signalr.Server) { s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g") }) })
		old, query := h.stateful(t)
		synctest.Wait() // then it has joined
		for i := range 3 {
			h.Group("g").Send("Push", i) // the old one does not read: half-open
		}
		synctest.Wait()
		fresh := h.raw(t, query)
		fresh.send(sequence(1))
		fresh.want(`{"type":9,"sequenceId":1}`, pushed(0), pushed(1), pushed(2))
		// What comes late on the old one counts no more, not even a clean close.
		_ = old.link.Send([]byte(callAdd))
		_ = old.link.CloseWith(1000)
		h.Group("g").Send("Push", 3)
		fresh.want(pushed(3))
		third := h.raw(t, query) // at once again
		synctest.Wait()
		fourth := h.raw(t, query)
		fourth.send(`{"type":8,"sequenceId":3}` + "\x1e")
		fourth.want(`{"type":9,"sequenceId":1}`, pushed(0), pushed(1), pushed(2), pushed(3))
		_ = third.link.Close()
		fourth.send(callAdd)
		fourth.want(answered3)
		if s := h.Stats(); s.Connections != 1 || s.Opened != 1 || s.Resumed != 3 {
			t.Errorf("%+v", s)
		}
	})
}

func TestUnacknowledgedIsBounded(t *testing.T) {
	ended := make(chan error, 1)
	h := newSite(t, signalr.Config{AllowStatefulReconnects: true, OutboxBytes: 20_000, StatefulReconnectBufferSize: 10_000}, func(s *signalr.Server) {
		s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err })
	})
	r, _ := h.stateful(t)
	text := strings.Repeat("x", 1000)
	n := 0
	for ; h.All().Send("Push", text) == 1; n++ {
		r.next() // it reads, and acknowledges nothing
	}
	if err := <-ended; !errors.Is(err, signalr.ErrSlow) || n < 20 || n > 30 {
		t.Errorf("ended with %v after %d events", err, n)
	}
}

func TestAcknowledgedIsForgotten(t *testing.T) {
	h := newSite(t, signalr.Config{AllowStatefulReconnects: true, OutboxBytes: 20_000, StatefulReconnectBufferSize: 10_000}, nil)
	r, query := h.stateful(t)
	text := strings.Repeat("x", 1000)
	for n := 1; n <= 100; n++ {
		h.All().Send("Push", text)
		r.next()
		r.send(fmt.Sprintf(`{"type":8,"sequenceId":%d}`, n) + "\x1e" + callAdd)
		r.want(answered3) // then the acknowledgement was read; it counts, too
		r.send(fmt.Sprintf(`{"type":8,"sequenceId":%d}`, 2*n) + "\x1e")
	}
	r.send(callAdd)
	r.want(answered3) // then the last one was read
	_ = r.link.Close()
	r = h.raw(t, query)
	r.want(`{"type":9,"sequenceId":201}`, answered3)
}

// TestStreamsAndQuestionsGoOn: what runs when the connection breaks goes on when
// it is resumed.
func TestStreamsAndQuestionsGoOn(t *testing.T) {
	h := newSite(t, statefully, func(s *signalr.Server) {
		streams(s)
		s.Handle("Ask", func(ctx context.Context, c *signalr.Call) (any, error) { return c.Conn().Invoke(ctx, "name") })
	})
	c := h.dial(t, signalrtest.Options{Stateful: true})
	const items = 3000
	s, err := c.Stream(t.Context(), "Count", items)
	if err != nil {
		t.Fatal(err)
	}
	for i := range items {
		if i%700 == 100 {
			c.Cut()
		}
		if got, err := s.Next(t.Context()); err != nil || string(got) != fmt.Sprint(i) {
			t.Fatalf("item %d: %s, %v", i, got, err)
		}
	}
	if got, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after the last item: %s, %v", got, err)
	}
	c.Answer("name", func([]json.RawMessage) (any, error) { c.Cut(); return "ada", nil })
	for range 5 {
		if got := invoke(t, c, "Ask"); got != `"ada"` {
			t.Errorf("asked over a cut: %s", got)
		}
	}
	if s := h.Stats(); s.Opened != 1 || s.Resumed < 5 {
		t.Errorf("%+v", s)
	}
}

// TestAnotherUserCannotTakeOver, though he knows the token.
func TestAnotherUserCannotTakeOver(t *testing.T) {
	h := newSite(t, signalr.Config{AllowStatefulReconnects: true, Authenticate: bearer}, nil)
	a := h.negotiate(t, "?negotiateVersion=1&useStatefulReconnect=true&access_token=ada")
	r := h.raw(t, "?access_token=ada&id="+a.ConnectionToken)
	r.send(hello2)
	r.want("{}")
	for token, want := range map[string]int{"": 401, "bob": 403} {
		if w := h.status("GET", hubURL+"?access_token="+token+"&id="+a.ConnectionToken, upgrading...); w.Code != want {
			t.Errorf("%q: %d, want %d", token, w.Code, want)
		}
	}
	r.send(callAdd)
	r.want(answered3)
}

// cutter is a proxy between clients and a server that breaks what it carries: at
// random points, and half-open, so that one side does not notice.
type cutter struct {
	listener net.Listener
	target   string
	tasks    sync.WaitGroup
	cuts     atomic.Int64
}

// maxCuts ends the cutting: a replay that is cut each time before the client
// acknowledges anything never ends.
const maxCuts = 40

func newCutter(t *testing.T, target string) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, target: target}
	c.tasks.Go(c.serve)
	t.Cleanup(func() { _ = l.Close(); c.tasks.Wait() })
	return c
}

func (c *cutter) serve() {
	for {
		in, err := c.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", c.target)
		if err != nil {
			_ = in.Close()
			return
		}
		end := func() { _ = in.Close(); _ = out.Close() }
		half := rand.N(3) == 0
		c.tasks.Go(func() { c.carry(out, in, end, false) })
		c.tasks.Go(func() { c.carry(in, out, end, half) })
	}
}

// carry copies until it cuts: in the middle of what came. A half-open cut goes
// on to take bytes and loses them, until the client turns away.
func (c *cutter) carry(to, from net.Conn, end func(), half bool) {
	defer end()
	left := 2_000 + rand.N(40_000)
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if left -= n; left < 0 && c.cuts.Add(1) <= maxCuts {
			_, _ = to.Write(buf[:rand.N(n+1)])
			if half {
				_ = to.Close() // one side knows
				for err == nil {
					_, err = from.Read(buf)
				}
			}
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestCutsLoseNothing(t *testing.T) {
	const clients, senders, events, calls = 4, 3, 700, 300
	h := newSite(t, statefully, func(s *signalr.Server) { s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g") }) })
	var ran [clients]atomic.Int64
	web := serveTCP(t, h)
	proxy := newCutter(t, web)
	streams := make([][]string, clients)
	var all sync.WaitGroup
	all.Add(clients * senders * events)
	list := make([]*signalrtest.Client, clients)
	for i := range clients {
		c, err := signalrtest.Dial(t.Context(), "http://"+web+"/hub", signalrtest.Options{
			Stateful: true,
			NetDial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, proxy.listener.Addr().String())
			},
			On: map[string]func([]json.RawMessage){"Push": func(args []json.RawMessage) {
				streams[i] = append(streams[i], string(args[0])+":"+string(args[1]))
				all.Done()
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		list[i] = c
		invoke(t, c, "Void")
	}
	var busy sync.WaitGroup
	for s := range senders {
		busy.Go(func() {
			for n := range events {
				h.Group("g").Send("Push", s, n)
				if n%20 == 0 {
					time.Sleep(time.Millisecond) //nolint // lets the proxy see several writes
				}
			}
		})
	}
	for i, c := range list {
		busy.Go(func() {
			for n := range calls {
				if got := invoke(t, c, "Add", n, 0); got != fmt.Sprint(n) {
					t.Errorf("client %d: call %d answered %s", i, n, got)
				}
				ran[i].Add(1)
			}
		})
	}
	busy.Wait()
	all.Wait()
	next := make([]int, senders)
	for _, e := range streams[0] {
		var s, n int
		_, _ = fmt.Sscanf(e, "%d:%d", &s, &n)
		if n != next[s] {
			t.Fatalf("sender %d: got %d, want %d", s, n, next[s])
		}
		next[s]++
	}
	for i := range clients {
		if len(streams[i]) != senders*events || strings.Join(streams[i], " ") != strings.Join(streams[0], " ") {
			t.Errorf("client %d: %d events, in another order than client 0: %t", i, len(streams[i]), len(streams[i]) == senders*events)
		}
	}
	s := h.Stats()
	if s.Opened != clients || s.Resumed == 0 || s.Calls != clients*(calls+1) {
		t.Errorf("%d cuts: %+v", proxy.cuts.Load(), s)
	}
	t.Logf("%d attempts to cut, %d resumptions", proxy.cuts.Load(), s.Resumed)
}
