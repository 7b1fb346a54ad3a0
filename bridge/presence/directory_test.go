package presence

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

const kind = backplane.KindUser + 49

// house is a node and its connections.
type house struct {
	*Directory
	mux  *backplane.Mux
	stop func()

	mu    sync.Mutex
	conns map[string]Conn
}

func (h *house) describe(id string) (Conn, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.conns[id]
	return c, ok
}

func (h *house) comes(c Conn) {
	h.mu.Lock()
	h.conns[c.ID] = c
	h.mu.Unlock()
	h.Changed(c.ID)
}

func (h *house) goes(id string) {
	h.mu.Lock()
	delete(h.conns, id)
	h.mu.Unlock()
	h.Changed(id)
}

// open runs a node on a plane.
func open(t *testing.T, p backplane.Plane, cfg Config) *house {
	t.Helper()
	h := &house{conns: map[string]Conn{}, mux: backplane.NewMux(p)}
	cfg.Kind, cfg.Log = kind, slog.New(slog.NewTextHandler(t.Output(), nil))
	if cfg.Beat == 0 {
		cfg.Beat = 20 * time.Millisecond
	}
	h.Directory = New(cfg, h.mux, h.describe)
	ctx, end := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = h.mux.Run(ctx) })
	tasks.Go(func() { _ = h.Run(ctx) })
	h.stop = sync.OnceFunc(func() { end(); tasks.Wait() })
	t.Cleanup(h.stop)
	return h
}

const patience = time.Minute

// within waits until something is so.
func within(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// until waits until a directory lists so.
func (h *house) until(t *testing.T, want string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var got string
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if got = shown(h.All(func(Conn) bool { return true })); got == want {
			return
		}
	}
	t.Fatalf("node %s lists %s, want %s; %+v", h.self, got, want, h.Stats())
}

func shown(list []Conn) string {
	var all []string
	for _, c := range list {
		all = append(all, fmt.Sprint(c.ID, "@", c.Node, " ", c.User, " ", strings.Join(c.Groups, "+"), string(c.About)))
	}
	return strings.Join(all, ", ")
}

func two(t *testing.T) (a, b *house) {
	x := new(backplane.Exchange)
	return open(t, x.Join("a", ""), Config{}), open(t, x.Join("b", ""), Config{})
}

func TestOneList(t *testing.T) {
	a, b := two(t)
	a.comes(Conn{ID: "1", User: "ann", Groups: []string{"g", "h"}, Attributes: map[string]string{"role": "x"}, About: json.RawMessage(`{"n":1}`)})
	b.comes(Conn{ID: "2", User: "ann"})
	b.comes(Conn{ID: "3", User: "bob", Groups: []string{"g"}})
	for _, h := range []*house{a, b} {
		h.until(t, `1@a ann g+h{"n":1}, 2@b ann , 3@b bob g`)
	}
	b.comes(Conn{ID: "3", User: "cy"})
	a.goes("1")
	for _, h := range []*house{a, b} {
		h.until(t, `2@b ann , 3@b cy `)
	}
	if n := b.Stats().Connections; n != 0 {
		t.Errorf("%d connections of a", n)
	}
}

func TestQuestions(t *testing.T) {
	a, b := two(t)
	a.comes(Conn{ID: "1", User: "ann", Groups: []string{"g"}, Attributes: map[string]string{"role": "x"}})
	b.comes(Conn{ID: "2", User: "ann", Groups: []string{"g"}, Attributes: map[string]string{"role": "y"}})
	b.comes(Conn{ID: "3"})
	for _, h := range []*house{a, b} {
		h.until(t, "1@a ann g, 2@b ann g, 3@b  ")
		for want, got := range map[string]string{
			"1@a ann g, 2@b ann g": shown(h.ConnectionsOfUser("ann")) + strings.Repeat(" ", 0),
			"1@a ann g":            shown(h.ConnectionsWith("role", "x")),
			"2@b ann g":            shown(h.ConnectionsWith("role", "y")),
			"":                     shown(h.ConnectionsOfUser("")),
		} {
			if got != want {
				t.Errorf("node %s: got %q, want %q", h.self, got, want)
			}
		}
		if got := shown(h.ConnectionsOfGroup("g")); got != "1@a ann g, 2@b ann g" {
			t.Errorf("node %s: members of g are %s", h.self, got)
		}
		if !h.IsUserOnline("ann") || h.IsUserOnline("bob") || h.IsUserOnline("") {
			t.Errorf("node %s: who is online", h.self)
		}
		within(t, "ann is elsewhere once", func() bool { return h.Elsewhere("ann") == 1 }) // a node that is held up is silent for a while
	}
}

// TestLateNode: a node that comes late, or again, is told all, also in several pieces,
// and one that leaves takes its connections along.
func TestLateNode(t *testing.T) {
	x := new(backplane.Exchange)
	a := open(t, x.Join("a", ""), Config{})
	var want []string
	about := json.RawMessage(`"` + strings.Repeat("x", 4000) + `"`)
	for i := range 300 {
		id := fmt.Sprintf("%03d", i)
		a.comes(Conn{ID: id, About: about})
		want = append(want, id+"@a  "+string(about))
	}
	a.until(t, strings.Join(want, ", "))
	for range 2 {
		b := open(t, x.Join("b", ""), Config{})
		b.comes(Conn{ID: "b"})
		for _, h := range []*house{a, b} {
			h.until(t, strings.Join(want, ", ")+", b@b  ")
		}
		b.stop()
		a.until(t, strings.Join(want, ", "))
	}
}

// TestLostWords: what a full queue has dropped is asked for.
func TestLostWords(t *testing.T) {
	x := new(backplane.Exchange)
	a, b := open(t, x.Join("a", ""), Config{}), open(t, x.Join("b", ""), Config{Inbox: 1})
	for i := range 500 {
		a.comes(Conn{ID: fmt.Sprintf("%03d", i)})
		if i >= 10 {
			a.goes(fmt.Sprintf("%03d", i))
		}
	}
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf("%03d@a  ", i))
	}
	b.until(t, strings.Join(want, ", "))
	a.count.unsent.Store(0)
	a.Directory.mu.Lock()
	a.own.rev += 7 // words that nobody has heard
	a.own.set(Conn{ID: "x", Node: "a"})
	a.Directory.mu.Unlock()
	b.until(t, strings.Join(want, ", ")+", x@a  ")
}

// TestListedWhileFull: a full queue drops words, not the newest list of nodes: nobody
// tells that again.
func TestListedWhileFull(t *testing.T) {
	d := New(Config{Kind: kind, Inbox: 1}, backplane.NewMux(backplane.Alone("b")), nil)
	for range 2 {
		d.put(event{from: "a", body: []byte("{}")})
	}
	d.list([]backplane.Node{{Name: "b"}})
	d.list([]backplane.Node{{Name: "a"}, {Name: "b"}})
	if list := <-d.listed; len(list) != 2 || d.Stats().Dropped != 1 {
		t.Errorf("the list is %v, %d words are dropped", list, d.Stats().Dropped)
	}
}

// TestSilentNode: connections of a node that says nothing are listed, and do not count
// against a limit.
func TestSilentNode(t *testing.T) {
	x := new(backplane.Exchange)
	a := open(t, x.Join("a", ""), Config{})
	b := open(t, x.Join("b", ""), Config{Beat: time.Hour})
	b.comes(Conn{ID: "1", User: "ann"})
	a.until(t, "1@b ann ")
	within(t, "a silent node does not count", func() bool { return a.Elsewhere("ann") == 0 })
	if !a.IsUserOnline("ann") {
		t.Error("a silent node is not listed")
	}
}

func TestNonsense(t *testing.T) {
	a, b := two(t)
	b.comes(Conn{ID: "1"})
	a.until(t, "1@b  ")
	for _, body := range []string{"", "x", "[]", `{"life":1,"rev":99}`} {
		if err := b.mux.Publish(topic, backplane.Envelope{Kind: kind, Target: topic, Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	b.comes(Conn{ID: "2"})
	a.until(t, "1@b  , 2@b  ")
	if a.Stats().Malformed < 2 {
		t.Errorf("%+v", a.Stats())
	}
}
