package forward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"
)

// site is a node "a" that answers, and a server at node "b" which forwards to it.
type site struct {
	*Forwarder
	a, b *httptest.Server
	at   atomic.Pointer[Address] // of a
	asks atomic.Int64
	end  context.CancelFunc
	done chan error
}

func newSite(t *testing.T, cfg Config, serve func(http.Handler) *httptest.Server, a http.HandlerFunc) *site {
	t.Helper()
	s := &site{a: serve(a), done: make(chan error, 1)}
	at := Address{URL: s.a.URL}
	if c := s.a.Certificate(); c != nil {
		at.Pin = PinOf(c.Raw)
	}
	s.at.Store(&at)
	cfg.Self = "b"
	s.Forwarder = New(cfg, func(_ context.Context, node string) (Address, error) {
		s.asks.Add(1)
		if node != "a" {
			return Address{}, fmt.Errorf("%w: %s", ErrNoNode, node)
		}
		return *s.at.Load(), nil
	}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	s.b = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.Serve(w, r, r.URL.Query().Get("node")) {
			http.Error(w, "for nobody", http.StatusNotFound)
		}
	}))
	ctx, end := context.WithCancel(context.Background())
	s.end = end
	go func() { s.done <- s.Run(ctx) }()
	t.Cleanup(func() {
		end()
		s.b.Close()
		s.a.Close()
	})
	return s
}

func (s *site) ask(t *testing.T, method, path string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.b.URL+path, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	if len(header) == 2 {
		r.Header.Set(header[0], header[1])
	}
	r.Host = "hub.example"
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(b))
}

// tells answers what it was asked.
func tells(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprint(w, r.Method, " ", r.URL.RequestURI(), " ", r.Host, " ", r.Header.Get(Header), " ", r.Header.Get("X-Forwarded-For"), " ", string(b))
}

func TestForwards(t *testing.T) {
	for name, serve := range map[string]func(http.Handler) *httptest.Server{"plain": httptest.NewServer, "TLS": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, Config{}, serve, tells)
			for range 2 {
				code, body := s.ask(t, "POST", "/hub?node=a&id=x.a", "X-Forwarded-For", "192.0.2.1")
				if want := "POST /hub?node=a&id=x.a hub.example b 192.0.2.1 body"; code != 202 || body != want {
					t.Errorf("got %d %q, want %q", code, body, want)
				}
			}
			if n := s.asks.Load(); n != 1 {
				t.Errorf("asked %d times where a is", n)
			}
			if st := s.Stats(); st.Forwarded != 2 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestForNobody(t *testing.T) {
	s := newSite(t, Config{}, httptest.NewServer, tells)
	for name, q := range map[string][]string{
		"a node that is not there": {"/?node=c"}, "this node": {"/?node=b"}, "handed on already": {"/?node=a", Header, "c"},
	} {
		if code, _ := s.ask(t, "GET", q[0], q[1:]...); code != 404 {
			t.Errorf("%s: %d", name, code)
		}
	}
}

// TestNodeMoves: a node that cannot be reached where it was is asked for anew.
func TestNodeMoves(t *testing.T) {
	s := newSite(t, Config{}, httptest.NewServer, tells)
	before := *s.at.Swap(&Address{URL: "http://127.0.0.1:1"}) // a port that nobody is given
	if code, body := s.ask(t, "GET", "/?node=a"); code != 502 || body != "the node that has this connection cannot be reached" {
		t.Errorf("got %d %s", code, body)
	}
	s.at.Store(&before)
	if code, _ := s.ask(t, "GET", "/?node=a"); code != 202 {
		t.Errorf("after it is there: %d", code)
	}
	s.Keep(map[string]bool{"b": true})
	if code, _ := s.ask(t, "GET", "/?node=a"); code != 202 || s.asks.Load() != 3 {
		t.Errorf("forgotten: %d, asked %d times", code, s.asks.Load())
	}
	if st := s.Stats(); st.Failed != 1 {
		t.Errorf("%+v", st)
	}
}

func TestPin(t *testing.T) {
	s := newSite(t, Config{}, httptest.NewTLSServer, tells)
	for _, pin := range []string{"", strings.Repeat("0", 64)} {
		s.at.Store(&Address{URL: s.a.URL, Pin: pin})
		if code, _ := s.ask(t, "GET", "/?node=a"); code != 502 {
			t.Errorf("pin %q: %d", pin, code)
		}
	}
}

// TestStreams: a stream is not held back, a WebSocket goes through, more than the bound
// is refused, and all end with Run.
func TestStreams(t *testing.T) {
	up := websocket.Upgrader{}
	s := newSite(t, Config{Most: 2}, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(w, "one\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, b, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, b) != nil {
				return
			}
		}
	})
	resp, err := http.Get(s.b.URL + "/?node=a")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); line != "one\n" {
		t.Fatalf("read %q %v", line, err)
	}
	c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.b.URL, "http")+"/?node=a", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, b, err := c.ReadMessage(); string(b) != "hello" {
		t.Fatalf("read %q %v", b, err)
	}
	if code, _ := s.ask(t, "GET", "/?node=a"); code != 503 {
		t.Errorf("over the bound: %d", code)
	}
	s.end()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	if _, err := lines.ReadString('\n'); err == nil {
		t.Error("the stream goes on")
	}
	if _, _, err := c.ReadMessage(); err == nil {
		t.Error("the socket goes on")
	}
	if s.Serve(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), "a") {
		t.Error("serves after the end")
	}
	if st := s.Stats(); st.Refused != 1 {
		t.Errorf("%+v", st)
	}
}

func TestFinderFails(t *testing.T) {
	f := New(Config{Self: "b"}, func(context.Context, string) (Address, error) { return Address{}, errors.New("silent") }, slog.New(slog.DiscardHandler))
	w := httptest.NewRecorder()
	if !f.Serve(w, httptest.NewRequest("GET", "/", nil), "a") || w.Code != 502 {
		t.Errorf("answered %d", w.Code)
	}
}
