package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
)

func names(p *Plane) (list []string) {
	for _, n := range p.Nodes() {
		list = append(list, n.Name)
	}
	return list
}

// beats has planes that do not run beat once each, in turn.
func beats(t *testing.T, list ...*Plane) {
	t.Helper()
	for _, p := range list {
		if err := p.beat(t.Context(), !p.told.Load()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFlushedNodes: who is not there since the server was emptied is not dead. It is
// after a node timeout; and who leaves is gone at once where nothing was emptied.
func TestFlushedNodes(t *testing.T) {
	e := startEngine(t)
	cfg := e.node("a")
	cfg.NodeTimeout = time.Hour
	a, b := e.plane(cfg), e.join("b")
	both := []string{"a", "b"}
	beats(t, b, a)
	for name, look := range map[string]func(){
		"its beat":         func() { beats(t, a) },
		"the other's call": func() { a.called(t.Context()) },
		"the set is there": func() {
			e.do("SADD", cfg.nodesKey(), "a", "b")
			beats(t, a)
		},
	} {
		beats(t, b, a)
		a.emptied = time.Time{}
		e.do("FLUSHALL")
		look()
		if got := names(a); !slices.Equal(got, both) {
			t.Errorf("%s: a sees %v of an emptied server", name, got)
		}
		if err := a.Send("b", backplane.Envelope{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	beats(t, a) // it is told to the server again, after whichever case was the last
	a.emptied = time.Now().Add(-a.cfg.NodeTimeout)
	beats(t, a)
	if got := names(a); !slices.Equal(got, []string{"a"}) {
		t.Errorf("after the node timeout a sees %v", got)
	}
	beats(t, b, a)
	b.farewell()
	a.called(t.Context())
	if got := names(a); !slices.Equal(got, []string{"a"}) {
		t.Errorf("after b's farewell a sees %v", got)
	}
}

// TestNewcomerOfAFlushedServer: who starts at a server that was emptied sees the
// others at once, not at their next beats.
func TestNewcomerOfAFlushedServer(t *testing.T) {
	e := startEngine(t)
	slow := func(name string) *Plane {
		cfg := e.node(name)
		cfg.Heartbeat, cfg.NodeTimeout = time.Hour, 3*time.Hour
		return e.plane(cfg)
	}
	a, b, c := slow("a"), slow("b"), slow("c")
	ea, _ := backplanetest.Start(t, a)
	eb, _ := backplanetest.Start(t, b)
	ea.Sees(t, "a", "b")
	eb.Sees(t, "a", "b")
	e.do("FLUSHALL")
	ec, _ := backplanetest.Start(t, c)
	ec.Sees(t, "a", "b", "c")
	ea.Sees(t, "a", "b", "c")
	eb.Sees(t, "a", "b", "c")
}

// TestSeenNodeHears: who sees a node may write to it. It is not announced before it
// is known where the counting in its inbox is.
func TestSeenNodeHears(t *testing.T) {
	e := startEngine(t)
	a, b := e.join("a"), e.join("b")
	ctx, stop := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	tasks.Go(func() { b.subscribe(ctx) })
	tasks.Go(func() {
		if err := b.live(ctx); err != nil {
			t.Error(err)
		}
	})
	defer tasks.Wait()
	defer stop()
	announced := func() bool {
		t.Helper()
		out, err := a.s.do(t.Context(), func(c rueidis.Builder) rueidis.Commands {
			return rueidis.Commands{c.Exists().Key(b.cfg.nodeKey("b")).Build()}
		})
		if err != nil {
			t.Fatal(err)
		}
		n, _ := out[0].AsInt64()
		return n == 1
	}
	var begin chan<- bool
	for begin == nil { // in the place of the hearing goroutine
		<-b.in.wake
		for _, x := range b.in.take(nil) {
			if x.begin != nil {
				begin = x.begin
			}
		}
	}
	for range 100 { // a beat takes three of these
		if announced() {
			t.Fatal("b is announced before its inbox is followed")
		}
	}
	begin <- true
	for end := time.Now().Add(backplanetest.Patience); !announced(); {
		if time.Now().After(end) {
			t.Fatal("b is not announced")
		}
	}
}

// TestHistoryOwed: what could not be read from the history when it had to be is read
// with the next word of its sender, be it a beat.
func TestHistoryOwed(t *testing.T) {
	e := startEngine(t)
	a, b := e.join("a"), e.join("b")
	heard := backplanetest.NewEar()
	b.h = heard
	away, stop := context.WithCancel(t.Context())
	stop()
	for i, name := range []string{"a subscription that is back", "a gap"} {
		ch := channel{i, ""}
		x := newEar(t.Context(), b)
		if !x.begin(ch) {
			t.Fatal("the history cannot be read")
		}
		post := func(first uint64, list ...backplane.Envelope) letter {
			batch := &backplane.Batch{Origin: "a", Life: a.self.Life, First: first, List: list}
			return letter{to: ch, b: string(backplane.AppendBatch(nil, batch)), keep: len(list) > 0}
		}
		if i == 1 {
			x.live(ch, post(1).b) // a is known
		}
		before := len(heard.Bodies(t, 0))
		if ok := newSender(a).post(t.Context(), []letter{post(1, backplane.Envelope{Body: []byte("lost")})}); !ok[0] {
			t.Fatal("the server does not take it")
		}
		x.ctx = away
		beat := post(2).b
		if i == 0 {
			x.stood(ch)
		}
		x.live(ch, beat)
		x.ctx = t.Context()
		x.live(ch, beat)
		if got := heard.Bodies(t, 0)[before:]; !slices.Equal(got, []string{"lost"}) {
			t.Errorf("%s: heard %q; stats %+v", name, got, b.Stats())
		}
	}
	if s := b.Stats(); s.Missed != 0 || s.CaughtUp != 2 {
		t.Errorf("stats %+v", s)
	}
}

// TestHistoryIsReadBack: of the history no more is read than is new, unless that
// leaves a hole; what is malformed in it is passed over.
func TestHistoryIsReadBack(t *testing.T) {
	e := startEngine(t)
	cfg := e.node("a")
	cfg.History = 5 * page
	a, b := e.plane(cfg), e.join("b")
	heard := backplanetest.NewEar()
	b.h = heard
	ch := channel{1, ""}
	x := newEar(t.Context(), b)
	if !x.begin(ch) {
		t.Fatal("the history cannot be read")
	}
	first := uint64(1)
	batch := func() letter {
		v := &backplane.Batch{Origin: "a", Life: a.self.Life, First: first, List: []backplane.Envelope{{Body: []byte(itoa(int(first) - 1))}}}
		first++
		return letter{to: ch, b: string(backplane.AppendBatch(nil, v)), keep: true}
	}
	s := newSender(a)
	write := func(n int) {
		t.Helper()
		for range n {
			if !s.post(t.Context(), []letter{batch()})[0] {
				t.Fatal("the server does not take it")
			}
		}
	}
	reads := func() int {
		t.Helper()
		n, _ := strconv.Atoi(strings.Split(strings.Split(e.one.Info("commandstats", "cmdstat_lrange"), ",")[0], "=")[1])
		return n
	}
	x.live(ch, batch().b) // a is known
	write(3 * page)
	x.live(ch, batch().b)
	write(5)
	e.do("RPUSH", a.cfg.history(ch), "no batch")
	before := reads()
	x.live(ch, batch().b)
	if n := reads() - before; n > 2 {
		t.Errorf("%d pages are read for a gap of 5", n)
	}
	if got, want := heard.Bodies(t, 0), numbers(0, int(first)-1); !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
	write(10 * page)
	last := batch()
	x.live(ch, last.b)
	kept := 5*page + 5*page/8 + 1
	if st := b.Stats(); int(st.Missed) < 5*page-kept+5*page || int(st.Missed) > 5*page+1 || st.Malformed != 1 {
		t.Errorf("of 320 batches 160 are kept, and an eighth more at times; stats %+v", st)
	}
}

// TestHistorySentAgain: what was sent again and again while nothing was answered, and
// is cut off in the middle of one of these times, is whole all the same.
func TestHistorySentAgain(t *testing.T) {
	e := startEngine(t)
	a, b := e.join("a"), e.join("b")
	heard := backplanetest.NewEar()
	b.h = heard
	ch := channel{1, ""}
	x := newEar(t.Context(), b)
	if !x.begin(ch) {
		t.Fatal("the history cannot be read")
	}
	batch := func(n int) string {
		v := &backplane.Batch{Origin: "a", Life: a.self.Life, First: uint64(n) + 1, List: []backplane.Envelope{{Body: []byte(itoa(n))}}}
		return string(backplane.AppendBatch(nil, v))
	}
	x.live(ch, batch(0))
	for _, from := range []int{30, 1, 1} {
		for n := from; n < 2*page; n++ {
			e.do("RPUSH", a.cfg.history(ch), batch(n))
		}
	}
	if !x.stood(ch) {
		t.Fatal("the history cannot be read")
	}
	if got, want := heard.Bodies(t, 0), numbers(0, 2*page); !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
	if st := b.Stats(); st.Missed != 0 {
		t.Errorf("stats %+v", st)
	}
}
