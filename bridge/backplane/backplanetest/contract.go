package backplanetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// Patience bounds how long an event may take; a test that waits longer fails.
const Patience = time.Minute

// Ear is a handler that keeps what it is told.
type Ear struct {
	mu     sync.Mutex
	news   chan struct{}
	heard  []backplane.Envelope
	missed map[string]uint64
	nodes  []string
	up     bool
	down   int // times that it was told that nobody can be reached
}

// NewEar makes an ear.
func NewEar() *Ear { return &Ear{news: make(chan struct{}, 1), missed: map[string]uint64{}} }

func (e *Ear) tell(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// Heard implements backplane.Handler.
func (e *Ear) Heard(x backplane.Envelope) { e.tell(func() { e.heard = append(e.heard, x) }) }

// Missed implements backplane.Handler.
func (e *Ear) Missed(origin string, _ int, n uint64) { e.tell(func() { e.missed[origin] += n }) }

// Changed implements backplane.Handler.
func (e *Ear) Changed(nodes []backplane.Node) {
	e.tell(func() {
		e.nodes = nil
		for _, n := range nodes {
			e.nodes = append(e.nodes, n.Name)
		}
	})
}

// Connected implements backplane.Handler.
func (e *Ear) Connected(up bool) {
	e.tell(func() {
		e.up = up
		if !up {
			e.down++
		}
	})
}

// Until waits until what the ear has been told fulfils done.
func (e *Ear) Until(t testing.TB, what string, done func(heard []backplane.Envelope, missed map[string]uint64, nodes []string, up bool) bool) {
	t.Helper()
	end := time.NewTimer(Patience)
	defer end.Stop()
	for {
		e.mu.Lock()
		ok := done(e.heard, e.missed, e.nodes, e.up)
		n, m, nodes, up := len(e.heard), fmt.Sprint(e.missed), e.nodes, e.up
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-e.news:
		case <-end.C:
			t.Fatalf("%s: not within %v; %d heard, missed %s, nodes %v, up %v", what, Patience, n, m, nodes, up)
		}
	}
}

// Bodies waits for n envelopes and gives their bodies.
func (e *Ear) Bodies(t testing.TB, n int) (list []string) {
	t.Helper()
	e.Until(t, fmt.Sprintf("%d envelopes", n), func(h []backplane.Envelope, _ map[string]uint64, _ []string, _ bool) bool { return len(h) >= n })
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.heard {
		list = append(list, string(x.Body))
	}
	return list
}

// Down is how often the ear was told that nobody can be reached.
func (e *Ear) Down() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.down
}

// Sees waits until exactly these nodes are alive.
func (e *Ear) Sees(t testing.TB, names ...string) {
	t.Helper()
	e.Until(t, "nodes "+strings.Join(names, " "), func(_ []backplane.Envelope, _ map[string]uint64, nodes []string, _ bool) bool {
		return slices.Equal(nodes, names)
	})
}

// Start runs a plane until the test ends, or stop is called.
func Start(t testing.TB, p backplane.Plane) (e *Ear, stop func() error) {
	t.Helper()
	e = NewEar()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, e) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := stop(); err != nil && !errors.Is(err, backplane.ErrTwice) {
			t.Errorf("run of %s: %v", p.Self(), err)
		}
	})
	e.Until(t, p.Self()+" connected", func(_ []backplane.Envelope, _ map[string]uint64, _ []string, up bool) bool { return up })
	return e, stop
}

// Hears waits until a partition that b listens to is heard: a publishes on it until
// something comes.
func Hears(t testing.TB, a backplane.Plane, b *Ear, partition int) {
	t.Helper()
	end := time.NewTimer(Patience)
	defer end.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		b.mu.Lock()
		n := len(b.heard)
		if n > 0 {
			b.heard = nil
		}
		b.mu.Unlock()
		if n > 0 {
			break
		}
		if err := a.Publish(partition, backplane.Envelope{Target: "hello", Body: []byte("hello")}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-again.C:
		case <-b.news:
		case <-end.C:
			t.Fatalf("partition %d not heard within %v", partition, Patience)
		}
	}
	if err := a.Publish(partition, backplane.Envelope{Target: "last", Body: []byte("last")}); err != nil {
		t.Fatal(err)
	}
	b.Until(t, "the last hello", func(h []backplane.Envelope, _ map[string]uint64, _ []string, _ bool) bool {
		return len(h) > 0 && h[len(h)-1].Target == "last"
	})
	b.mu.Lock()
	b.heard = nil
	b.mu.Unlock()
}

// Test runs the contract. join makes a node of a hub that all nodes of the subtest
// share.
func Test(t *testing.T, site func(t *testing.T) (join func(name string) backplane.Plane)) {
	t.Run("nodes", func(t *testing.T) { nodes(t, site(t)) })
	t.Run("partitions", func(t *testing.T) { partitions(t, site(t)) })
	t.Run("listening", func(t *testing.T) { listening(t, site(t)) })
	t.Run("order", func(t *testing.T) { order(t, site(t)) })
	t.Run("inbox", func(t *testing.T) { inbox(t, site(t)) })
	t.Run("envelope", func(t *testing.T) { envelope(t, site(t)) })
	t.Run("twice", func(t *testing.T) { twice(t, site(t)) })
	t.Run("returns", func(t *testing.T) { returns(t, site(t)) })
}

func nodes(t *testing.T, join func(string) backplane.Plane) {
	a := join("a")
	ea, _ := Start(t, a)
	if list := a.Nodes(); len(list) != 1 || list[0].Name != "a" {
		t.Errorf("alone: %v", list)
	}
	eb, stop := Start(t, join("b"))
	ea.Sees(t, "a", "b")
	eb.Sees(t, "a", "b")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	ea.Sees(t, "a")
	if s := a.Stats(); s.Nodes != 1 || !s.Connected {
		t.Errorf("stats %+v", s)
	}
}

func partitions(t *testing.T, join func(string) backplane.Plane) {
	a, b, c := join("a"), join("b"), join("c")
	ea, _ := Start(t, a)
	eb, _ := Start(t, b)
	ec, _ := Start(t, c)
	a.Listen(7, true)
	b.Listen(7, true)
	c.Listen(8, true)
	Hears(t, a, eb, 7)
	Hears(t, b, ea, 7)
	Hears(t, a, ec, 8)
	for i := range 3 {
		if err := a.Publish(7, backplane.Envelope{Target: "g", Body: []byte{byte('0' + i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := eb.Bodies(t, 3); strings.Join(got, "") != "012" {
		t.Errorf("b heard %q", got)
	}
	if err := a.Publish(8, backplane.Envelope{Body: []byte("mark")}); err != nil {
		t.Fatal(err)
	}
	if got := ec.Bodies(t, 1); !slices.Equal(got, []string{"mark"}) {
		t.Errorf("c heard %q, and should not hear partition 7", got)
	}
	ea.mu.Lock()
	defer ea.mu.Unlock()
	if len(ea.heard) > 0 {
		t.Errorf("a heard itself: %v", ea.heard)
	}
}

// listening: what is published when the listening has begun is heard, the first time.
func listening(t *testing.T, join func(string) backplane.Plane) {
	a, b := join("a"), join("b")
	Start(t, a)
	eb, _ := Start(t, b)
	n := 0
	for range 2 { // anew
		for p := range backplane.Partitions {
			b.Listen(p, true)
			select {
			case <-b.Listening(p):
			case <-time.After(Patience):
				t.Fatalf("partition %d is not listened to within %v", p, Patience)
			}
			if err := a.Publish(p, backplane.Envelope{Body: fmt.Append(nil, n)}); err != nil {
				t.Fatal(err)
			}
			n++
			if list := eb.Bodies(t, n); list[n-1] != fmt.Sprint(n-1) {
				t.Fatalf("envelope %d is %s", n-1, list[n-1])
			}
			b.Listen(p, false)
		}
	}
}

func order(t *testing.T, join func(string) backplane.Plane) {
	const n = 5000
	a, b := join("a"), join("b")
	Start(t, a)
	eb, _ := Start(t, b)
	b.Listen(1, true)
	Hears(t, a, eb, 1)
	for i := range n {
		if err := a.Publish(1, backplane.Envelope{Body: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i, got := range eb.Bodies(t, n) {
		if got != fmt.Sprint(i) {
			t.Fatalf("envelope %d is %s", i, got)
		}
	}
	if s := b.Stats(); s.Missed != 0 || s.Gaps != 0 {
		t.Errorf("stats %+v", s)
	}
}

func inbox(t *testing.T, join func(string) backplane.Plane) {
	a, b, c := join("a"), join("b"), join("c")
	ea, _ := Start(t, a)
	eb, _ := Start(t, b)
	ec, _ := Start(t, c)
	ea.Sees(t, "a", "b", "c")
	if err := a.Send("b", backplane.Envelope{Kind: 3, Target: "conn", Body: []byte("to b")}); err != nil {
		t.Fatal(err)
	}
	if err := a.Send("c", backplane.Envelope{Body: []byte("to c")}); err != nil {
		t.Fatal(err)
	}
	if got := eb.Bodies(t, 1); !slices.Equal(got, []string{"to b"}) {
		t.Errorf("b heard %q", got)
	}
	if got := ec.Bodies(t, 1); !slices.Equal(got, []string{"to c"}) {
		t.Errorf("c heard %q", got)
	}
	for _, name := range []string{"nobody", "a"} {
		if err := a.Send(name, backplane.Envelope{}); !errors.Is(err, backplane.ErrNoNode) {
			t.Errorf("to %s: %v", name, err)
		}
	}
}

func envelope(t *testing.T, join func(string) backplane.Plane) {
	a, b := join("a"), join("b")
	ea, _ := Start(t, a)
	eb, _ := Start(t, b)
	b.Listen(2, true)
	Hears(t, a, eb, 2)
	ea.Sees(t, "a", "b") // that b hears a does not say so
	want := backplane.Envelope{Kind: 9, Flags: 4, Target: "Süd", Except: []string{"x", ""}, Body: make([]byte, 100_000)}
	if err := a.Publish(2, want); err != nil {
		t.Fatal(err)
	}
	eb.Bodies(t, 1)
	eb.mu.Lock()
	got := eb.heard[0]
	eb.mu.Unlock()
	want.Origin = "a"
	if got.Kind != want.Kind || got.Flags != want.Flags || got.Target != want.Target || got.Origin != "a" ||
		!slices.Equal(got.Except, want.Except) || !slices.Equal(got.Body, want.Body) {
		t.Errorf("heard %+v", got)
	}
	for _, e := range []backplane.Envelope{
		{Body: make([]byte, backplane.MaxEnvelope+1)}, {Target: strings.Repeat("x", 2000)}, {Except: make([]string, 20_000)},
	} {
		if err := a.Publish(2, e); !errors.Is(err, backplane.ErrTooLarge) {
			t.Errorf("too large: %v", err)
		}
		if err := a.Send("b", e); !errors.Is(err, backplane.ErrTooLarge) {
			t.Errorf("too large, sent: %v", err)
		}
	}
}

// twice: who comes later under a name that is taken is refused, and whoever had it
// goes on.
func twice(t *testing.T, join func(string) backplane.Plane) {
	a, b := join("a"), join("b")
	ea, stop := Start(t, a)
	refused := make(chan error, 1)
	go func() { refused <- join("a").Run(t.Context(), NewEar()) }()
	select {
	case err := <-refused:
		if !errors.Is(err, backplane.ErrTwice) {
			t.Errorf("the second node of a name ended with %v", err)
		}
	case <-time.After(Patience):
		t.Fatal("two nodes have one name")
	}
	Start(t, b)
	ea.Sees(t, "a", "b")
	if err := stop(); err != nil {
		t.Errorf("the first node of a name ended with %v", err)
	}
}

// returns: a node that ends and comes back is heard from its first word.
func returns(t *testing.T, join func(string) backplane.Plane) {
	b := join("b")
	eb, _ := Start(t, b)
	b.Listen(3, true)
	a := join("a")
	_, stop := Start(t, a)
	Hears(t, a, eb, 3)
	eb.Sees(t, "a", "b") // a life shorter than the news of it is none
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	eb.Sees(t, "b")
	a = join("a")
	Start(t, a)
	for i := range 3 {
		if err := a.Publish(3, backplane.Envelope{Body: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := eb.Bodies(t, 3); !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Errorf("of the second life: %q", got)
	}
}
