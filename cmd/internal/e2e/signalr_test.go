package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// library is a hub made of the library alone.
type library struct {
	*signalr.Server
	url  string
	addr string
	stop func() // ends Run and waits
}

func newLibrary(t *testing.T, over func(http.Handler) *httptest.Server) *library {
	t.Helper()
	s, err := signalr.New(signalr.Config{
		AllowStatefulReconnects: true,
		Authenticate: func(r *http.Request) (signalr.Principal, error) {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if token == "" {
				token = r.URL.Query().Get("access_token")
			}
			if token != "secret" {
				return signalr.Principal{}, signalr.ErrForbidden
			}
			return signalr.Principal{Name: token}, nil
		},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.Handle("Transport", func(_ context.Context, c *signalr.Call) (any, error) { return c.Conn().Transport().String(), nil })
	s.Handle("Echo", func(_ context.Context, c *signalr.Call) (v any, err error) { err = c.Bind(&v); return v, err })
	s.Handle("Opening", func(_ context.Context, c *signalr.Call) (any, error) {
		o := c.Conn()
		return map[string]string{"query": o.Query().Get("attr"), "header": o.Header("x-test"), "cookie": o.Cookie("c"), "user": o.User()}, nil
	})
	s.Handle("Fail", func(context.Context, *signalr.Call) (any, error) { return nil, signalr.Error("taken") })
	s.Handle("Join", func(_ context.Context, c *signalr.Call) (any, error) {
		var g string
		if err := c.Bind(&g); err != nil {
			return nil, err
		}
		_, err := c.Conn().Join(g)
		return nil, err
	})
	s.Handle("Burst", func(_ context.Context, c *signalr.Call) (any, error) {
		var g string
		var from, to int
		if err := c.Bind(&g, &from, &to); err != nil {
			return nil, err
		}
		for n := from; n < to; n++ {
			s.Group(g).Send("Push", n)
		}
		return nil, nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	runs.Go(func() { _ = s.Run(ctx) })
	web := over(s)
	stop := func() { cancel(); runs.Wait() }
	t.Cleanup(func() { stop(); web.Close() })
	return &library{s, web.URL + "/hub", web.Listener.Addr().String(), stop}
}

// scenario runs one of signalr.mjs.
func scenario(t *testing.T, args ...string) *program {
	t.Helper()
	return script(t, "signalr.mjs", args...)
}

func said(state string) func(line) bool { return func(l line) bool { return l.State == state } }

func TestNpmTransports(t *testing.T) {
	for _, over := range []struct {
		name  string
		serve func(http.Handler) *httptest.Server
	}{{"plain", httptest.NewServer}, {"TLS", httptest.NewTLSServer}} {
		for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
			t.Run(over.name+" "+transport, func(t *testing.T) {
				t.Setenv("NODE_TLS_REJECT_UNAUTHORIZED", "0") // the certificate is made for this test
				t.Setenv("NODE_NO_WARNINGS", "1")
				h := newLibrary(t, over.serve)
				p := scenario(t, "transports", h.url, transport)
				if code := p.wait(); code != 0 {
					t.Errorf("ended with code %d", code)
				}
			})
		}
	}
}

// TestNpmReconnects: what is lost is opened again, whatever the transport.
func TestNpmReconnects(t *testing.T) {
	for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
		t.Run(transport, func(t *testing.T) {
			h := newLibrary(t, httptest.NewServer)
			proxy := newProxy(t, h.addr)
			p := scenario(t, "reconnect", proxy.url+"/hub", transport)
			heard(p, 0, "connection", said("connected"))
			proxy.cut(false)
			for transport == "LongPolling" && !notices(p, 5*time.Second) {
				proxy.cut(false) // it was between two polls
			}
			if code := p.wait(); code != 0 {
				t.Errorf("ended with code %d", code)
			}
		})
	}
}

// notices tells whether a client says within a while that its connection is lost, or ends.
func notices(p *program, within time.Duration) bool {
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		_, _, found, over, more := p.out.look(0, func(s string) bool { return strings.Contains(s, `"reconnecting"`) })
		if found || over {
			return true
		}
		select {
		case <-more:
		case <-late.C:
			return false
		}
	}
}

// TestNpmDrain: a hub that goes away tells its clients to come back, and they
// find the next one.
func TestNpmDrain(t *testing.T) {
	for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
		t.Run(transport, func(t *testing.T) {
			var now atomic.Pointer[library]
			door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().ServeHTTP(w, r) }))
			defer door.Close()
			first, second := newLibrary(t, httptest.NewServer), newLibrary(t, httptest.NewServer)
			now.Store(first)
			p := scenario(t, "reconnect", door.URL+"/hub", transport)
			heard(p, 0, "connection", said("connected"))
			now.Store(second)
			began := time.Now()
			first.stop()
			if d := time.Since(began); d > time.Minute { // a poll that does not come again is waited for, by no means until it would end
				t.Errorf("the drain took %v", d)
			}
			if code := p.wait(); code != 0 {
				t.Errorf("ended with code %d", code)
			}
			if n := second.Stats().Opened; n != 1 {
				t.Errorf("%d connections to the second hub", n)
			}
		})
	}
}

// TestNpmStatefulReconnect cuts a client's sockets while events and calls go
// back and forth, also half-open ones: nothing is lost, twice or out of order.
func TestNpmStatefulReconnect(t *testing.T) {
	h := newLibrary(t, httptest.NewServer)
	proxy := newProxy(t, h.addr)
	p := scenario(t, "stateful", proxy.url+"/hub")
	heard(p, 0, "connection", said("connected"))
	for n := range 3000 {
		last := n%250 == 249
		if last {
			proxy.cut(n%500 == 499)
		}
		h.Group("g").Send("Push", n)
		if last { // comes over the next socket alone; a client that is cut while it connects gives up
			heard(p, 0, "resumption", said(fmt.Sprintf("got %d", n+1)))
		}
	}
	if code := p.wait(); code != 0 {
		t.Errorf("ended with code %d", code)
	}
	if s := h.Stats(); s.Resumed < 10 || s.Opened != 1 {
		t.Errorf("%+v", s)
	}
}

// proxy stands between a client and a hub and can cut what goes through it.
type proxy struct {
	url      string
	target   string
	listener net.Listener
	tasks    sync.WaitGroup

	mu    sync.Mutex
	pairs map[*pair]bool
}

// pair is one connection through the proxy.
type pair struct {
	client, server net.Conn
	deaf           atomic.Bool // what the client says goes nowhere, and the server does not know
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: "http://" + l.Addr().String(), target: target, listener: l, pairs: make(map[*pair]bool)}
	p.tasks.Go(p.serve)
	t.Cleanup(func() { _ = l.Close(); p.each((*pair).end); p.tasks.Wait() })
	return p
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		c := &pair{client: client, server: server}
		p.mu.Lock()
		p.pairs[c] = true
		p.mu.Unlock()
		p.tasks.Go(func() { _, _ = io.Copy(server, client); p.over(c) })
		p.tasks.Go(func() { _, _ = io.Copy(client, server); p.over(c) })
	}
}

func (p *proxy) over(c *pair) {
	if c.deaf.Load() {
		return // until the hub closes its side, or the test ends
	}
	c.end()
	p.mu.Lock()
	delete(p.pairs, c)
	p.mu.Unlock()
}

func (c *pair) end() { _ = c.client.Close(); _ = c.server.Close() }

func (p *proxy) each(do func(*pair)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		do(c)
	}
}

// cut breaks every connection; half leaves the hub's side open, as a network
// does whose other end has lost its power.
func (p *proxy) cut(half bool) {
	p.each(func(c *pair) {
		c.deaf.Store(half)
		_ = c.client.Close()
		if !half {
			_ = c.server.Close()
		}
	})
}
