package replaytest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/replay"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// node is a server with a log.
type node struct {
	cable *cable // nil: none of its own
	*signalr.Server
	pipe *signalrtest.Pipe
	stop func()
}

// answer is what joining a group answered.
type answer struct {
	Epoch  string
	Offset uint64
	Gap    bool
}

func (a answer) position() signalr.Position {
	return signalr.Position{Epoch: a.Epoch, Offset: a.Offset}
}

func newNode(t *testing.T, p backplane.Plane, l signalr.Log) *node {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	past, err := replay.New(replay.Config{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	mux := backplane.NewMux(p)
	cluster := backplane.NewCluster(mux)
	n := &node{}
	if n.Server, err = signalr.New(signalr.Config{Cluster: cluster, Log: l, History: past, OutboxBytes: 8 << 20, Repositioned: repositioned}, log); err != nil {
		t.Fatal(err)
	}
	n.Method("Join", signalr.Func2(func(_ context.Context, c *signalr.Call, g string, from *signalr.Position) (answer, error) {
		if from == nil {
			at, err := c.Conn().JoinAt(g)
			return answer{at.Epoch, at.Offset, false}, err
		}
		at, gap, err := c.Conn().JoinSince(g, *from)
		return answer{at.Epoch, at.Offset, gap}, err
	}))
	cluster.Serve(n.Server)
	ctx, end := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = mux.Run(ctx) })
	tasks.Go(func() { _ = n.Run(ctx) })
	n.pipe = signalrtest.NewPipe(n.Server)
	n.stop = sync.OnceFunc(func() { end(); tasks.Wait(); _ = n.pipe.Close() })
	t.Cleanup(n.stop)
	return n
}

func repositioned(group string, at signalr.Position, gap bool) (string, []any) {
	return "Moved", []any{answer{at.Epoch, at.Offset, gap}}
}

// member is a client and what it has heard.
type member struct {
	*signalrtest.Client
	heard chan int
	gaps  chan struct{}

	mu sync.Mutex
	at signalr.Position // it counts
}

func (n *node) dial(t *testing.T) *member {
	t.Helper()
	m := &member{heard: make(chan int, 100_000), gaps: make(chan struct{}, 100)}
	ctx, stop := context.WithTimeout(t.Context(), Patience)
	defer stop()
	var err error
	m.Client, err = signalrtest.Dial(ctx, "http://hub.test/hub", signalrtest.Options{NetDial: n.pipe.Dial, On: map[string]func([]json.RawMessage){"Moved": m.moved, "Push": func(args []json.RawMessage) {
		var i int
		_ = json.Unmarshal(args[0], &i)
		m.mu.Lock()
		m.at.Offset++
		m.mu.Unlock()
		m.heard <- i
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func (m *member) join(t *testing.T, group string, from *signalr.Position) (a answer) {
	t.Helper()
	raw, err := m.Invoke(t.Context(), "Join", group, from)
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = a.position()
	return a
}

// hears waits for the numbers from first to last, each once and in order.
func (m *member) hears(t *testing.T, first, last int) {
	t.Helper()
	for want := first; want <= last; want++ {
		select {
		case got := <-m.heard:
			if got != want {
				t.Fatalf("heard %d, want %d", got, want)
			}
		case <-time.After(Patience):
			t.Fatalf("%d is not heard", want)
		}
	}
}

// set waits for the numbers from first to last, each once, in any order.
func (m *member) set(t *testing.T, first, last int) {
	t.Helper()
	var all []int
	for range last - first + 1 {
		select {
		case got := <-m.heard:
			all = append(all, got)
		case <-time.After(Patience):
			t.Fatalf("%d of %d are heard", len(all), last-first+1)
		}
	}
	slices.Sort(all)
	for i, n := range all {
		if n != first+i {
			t.Fatalf("heard %v", all)
		}
	}
}

// TestNodes tries a hub of two nodes with a log.
func TestNodes(t *testing.T, stores func(*testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store, *node, *node){
		"back to the other": backToTheOther, "replay and live meet": replayAndLiveMeet, "one order": oneOrder,
		"nobody there": nobodyThere, "away": away, "forgotten": forgotten, "set back": setBack, "several groups": severalGroups, "ahead": ahead,
	} {
		t.Run(name, func(t *testing.T) {
			x, s := new(backplane.Exchange), stores(t)
			c := &cable{Plane: x.Join("b", ""), Log: s.Log(t)}
			b := newNode(t, c, c)
			b.cable = c
			test(t, s, newNode(t, x.Join("a", ""), s.Log(t)), b)
		})
	}
}

func push(n *node, group string, first, last int) {
	for i := first; i <= last; i++ {
		n.Group(group).Send("Push", i)
	}
}

// backToTheOther: a position of one node is one of the other.
func backToTheOther(t *testing.T, _ Store, a, b *node) {
	m := a.dial(t)
	at := m.join(t, "g", nil)
	push(b, "g", 1, 10)
	m.hears(t, 1, 10)
	at.Offset += 10
	a.stop()
	push(b, "g", 11, 20)
	back := b.dial(t)
	from := at.position()
	if got := back.join(t, "g", &from); got.Epoch != at.Epoch || got.Gap || got.Offset < 10 || got.Offset > 20 { // of which more follow
		t.Errorf("back: %+v", got)
	}
	back.hears(t, 11, 20)
	push(b, "g", 21, 22)
	back.hears(t, 21, 22)
	for name, from := range map[string]signalr.Position{"another epoch": {Epoch: "7777777777777777", Offset: 3}, "the future": {Epoch: at.Epoch, Offset: 99}, "none": {}} {
		if got := b.dial(t).join(t, "g", &from); !got.Gap {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// ahead: who comes from a node that has heard more misses nothing, and is told so.
func ahead(t *testing.T, _ Store, a, b *node) {
	m, stays := a.dial(t), b.dial(t)
	at := m.join(t, "g", nil)
	stays.join(t, "g", nil)
	push(a, "g", 1, 5)
	m.hears(t, 1, 5)
	stays.hears(t, 1, 5)
	b.cable.deaf.Store(true)
	push(a, "g", 6, 10)
	m.hears(t, 6, 10)
	from := signalr.Position{Epoch: at.Epoch, Offset: 10}
	back := b.dial(t)
	if got := back.join(t, "g", &from); got != (answer{at.Epoch, 10, false}) {
		t.Errorf("back: %+v", got)
	}
	stays.hears(t, 6, 10)
	b.cable.deaf.Store(false)
	push(a, "g", 11, 12)
	back.hears(t, 11, 12)
	stays.hears(t, 11, 12)
}

// replayAndLiveMeet: who comes back while both nodes send hears each event once.
func replayAndLiveMeet(t *testing.T, _ Store, a, b *node) {
	const rounds, events = 6, 200
	at := a.dial(t).join(t, "g", nil).position()
	next := 1
	for r := range rounds {
		n := []*node{a, b}[r%2]
		var sending sync.WaitGroup
		sending.Go(func() { push(a, "g", next, next+events-1) })
		m := n.dial(t)
		from := at
		got := m.join(t, "g", &from)
		if got.Gap {
			t.Fatalf("round %d: %+v", r, got)
		}
		m.hears(t, next, next+events-1)
		sending.Wait()
		at.Offset += events
		next += events
		_ = m.Close()
	}
}

// oneOrder: members at both nodes see what both send in one order.
func oneOrder(t *testing.T, _ Store, a, b *node) {
	const each = 300
	ma, mb := a.dial(t), b.dial(t)
	ma.join(t, "g", nil)
	mb.join(t, "g", nil)
	var tasks sync.WaitGroup
	tasks.Go(func() { push(a, "g", 1, each) })
	tasks.Go(func() { push(b, "g", each+1, 2*each) })
	tasks.Wait()
	for i := range 2 * each {
		if x, y := <-ma.heard, <-mb.heard; x != y {
			t.Fatalf("event %d is %d at one node and %d at the other", i, x, y)
		}
	}
}

// nobodyThere: what is sent while nobody is in a group anywhere is there for who comes.
func nobodyThere(t *testing.T, _ Store, a, b *node) {
	m := a.dial(t)
	at := m.join(t, "g", nil).position()
	_ = m.Close()
	push(b, "g", 1, 3)
	for _, n := range []*node{a, b, a} {
		back := n.dial(t)
		if got := back.join(t, "g", &at); got.Gap {
			t.Errorf("%+v", got)
		}
		back.hears(t, 1, 3)
		_ = back.Close()
	}
}

// away: while the log does not answer everybody hears everything, once, and who comes back
// with a position of before is told of a gap.
func away(t *testing.T, s Store, a, b *node) {
	ma, mb := a.dial(t), b.dial(t)
	at := ma.join(t, "g", nil).position()
	mb.join(t, "g", nil)
	push(a, "g", 1, 5)
	ma.hears(t, 1, 5)
	mb.hears(t, 1, 5)
	s.Away(t, true)
	push(a, "g", 6, 10)
	ma.set(t, 6, 10)
	mb.set(t, 6, 10)
	during := b.dial(t)
	from := during.join(t, "g", nil).position()
	push(b, "g", 11, 12)
	for _, m := range []*member{ma, mb, during} {
		m.set(t, 11, 12)
	}
	if got := b.dial(t).join(t, "g", &from); got.Gap {
		t.Errorf("to the node that was there: %+v", got)
	}
	s.Away(t, false)
	whole(t, a, b)
	push(a, "g", 13, 15)
	for _, m := range []*member{ma, mb, during} {
		m.set(t, 13, 15)
	}
	for i := range 2 {
		x := []signalr.Position{{Epoch: at.Epoch, Offset: 5}, {Epoch: at.Epoch, Offset: 10}}[i]
		for _, n := range []*node{a, b} {
			if got := n.dial(t).join(t, "g", &x); !got.Gap {
				t.Errorf("with a position of before: %+v", got)
			}
		}
	}
	back := b.dial(t)
	at = a.dial(t).join(t, "g", nil).position()
	push(b, "g", 16, 16)
	if got := back.join(t, "g", &at); got.Gap {
		t.Errorf("after it is back: %+v", got)
	}
	back.hears(t, 16, 16)
}

// whole waits until group g has an epoch for all again.
func whole(t *testing.T, nodes ...*node) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(Patience); ; <-tick.C {
		var at []string
		for _, n := range nodes {
			p, _ := n.Position("g")
			if !signalr.Later(p.Epoch, "0") {
				p.Epoch = fmt.Sprint(len(at), p.Epoch)
			}
			at = append(at, p.Epoch)
		}
		if slices.Max(at) == slices.Min(at) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("g is at %v", at)
		}
	}
}

// forgotten: a log that was emptied gets another epoch, and positions of before a gap.
func forgotten(t *testing.T, s Store, a, b *node) {
	ma := a.dial(t)
	at := ma.join(t, "g", nil).position()
	push(a, "g", 1, 3)
	ma.hears(t, 1, 3)
	s.Forget(t)
	push(b, "g", 4, 8)
	ma.set(t, 4, 8)
	at.Offset = 3
	if got := b.dial(t).join(t, "g", &at); !got.Gap || got.Epoch == at.Epoch {
		t.Errorf("%+v", got)
	}
}

// severalGroups: who is in several groups of a target hears an event once, numbered or not.
func severalGroups(t *testing.T, _ Store, a, b *node) {
	both, one, own := b.dial(t), b.dial(t), b.dial(t)
	for _, g := range []string{"g", "h", "own"} {
		both.join(t, g, nil)
	}
	one.join(t, "h", nil)
	own.join(t, "own", nil)
	for i := range 3 {
		b.Groups("g", "h", "own").Send("Push", i)
	}
	b.All().Send("Push", 99)
	for _, m := range []*member{both, one, own} {
		got := map[int]int{}
		for range 4 {
			select {
			case n := <-m.heard:
				got[n]++
			case <-time.After(Patience):
				t.Fatalf("heard %v", got)
			}
		}
		if len(got) != 4 {
			t.Errorf("heard %v", got)
		}
	}
}
