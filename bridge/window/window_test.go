package window

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/census"
)

// join runs a node of an exchange; end ends it.
func join(t *testing.T, x *backplane.Exchange, name string, set func(*backplane.Mux) func(context.Context) error) (end func()) {
	t.Helper()
	m := backplane.NewMux(x.Join(name, ""))
	run := set(m)
	ctx, cancel := context.WithCancel(t.Context())
	var parts sync.WaitGroup
	parts.Go(func() { _ = m.Run(ctx) })
	if run != nil {
		parts.Go(func() { _ = run(ctx) })
	}
	synctest.Wait()
	return func() { cancel(); parts.Wait(); synctest.Wait() }
}

func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		var a, b *Source
		var watched []bool // of b
		endA := join(t, x, "a", func(m *backplane.Mux) func(context.Context) error { a = NewSource(m, time.Now); return nil })
		endB := join(t, x, "b", func(m *backplane.Mux) func(context.Context) error {
			b = NewSource(m, time.Now)
			b.OnWatch(func(any bool) { watched = append(watched, any) })
			return nil
		})
		defer endB()
		a.Send("area:north", "AreaChanged", 0) // nobody watches
		var mu sync.Mutex
		var seen []string
		lost := 0
		nodes := []census.Node{
			{Node: "v", Report: census.Report{Kind: census.KindView, State: census.Ready}},
			{Node: "c", Report: census.Report{Kind: census.KindHub, State: census.Gone}},
			{Node: "a", Report: census.Report{Kind: census.KindHub, State: census.Ready}},
			{Node: "b", Report: census.Report{Kind: census.KindHub, State: census.Degraded}},
		}
		var w *Window
		endV := join(t, x, "v", func(m *backplane.Mux) func(context.Context) error {
			w = New(Config{
				Nodes: func() []census.Node { mu.Lock(); defer mu.Unlock(); return slices.Clone(nodes) },
				Show: func(e Event) {
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, e.Group+" "+e.Name+" "+e.Key+" "+string(e.Args[0]))
				},
				Lost: func() { mu.Lock(); defer mu.Unlock(); lost++ },
			}, m)
			return w.Run
		})
		time.Sleep(time.Millisecond)
		if w.Source() != "a" || lost != 1 {
			t.Fatalf("the source is %q, %d times lost", w.Source(), lost)
		}
		a.Send("area:north", "AreaChanged", map[string]int{"seq": 1})
		b.Send("area:north", "AreaChanged", 2) // not the source
		a.SendLatest("topics", "Topic", "x", "y")
		time.Sleep(30 * time.Second)
		a.Send("area:north", "AreaChanged", 3)
		time.Sleep(time.Millisecond)
		want := []string{`area:north AreaChanged  {"seq":1}`, `topics Topic x "y"`, `area:north AreaChanged  3`}
		mu.Lock()
		if !slices.Equal(seen, want) {
			t.Errorf("seen was %q, want %q", seen, want)
		}
		nodes[2].State = census.Gone
		mu.Unlock()
		if s := a.Stats(); s.Watchers != 1 || s.Shown != 3 || s.Unshown != 0 {
			t.Errorf("counted %+v", s)
		}
		endA()
		time.Sleep(2 * time.Second)
		if w.Source() != "b" || lost != 3 {
			t.Errorf("the source is %q, %d times lost", w.Source(), lost)
		}
		endV()
		time.Sleep(2 * watchTime)
		b.Send("g", "e", 1)
		if s := b.Stats(); s.Watchers != 0 {
			t.Errorf("who is gone is still shown events: %+v", s)
		}
		if want := []bool{true, false}; !slices.Equal(watched, want) {
			t.Errorf("b was told that it is watched: %v, want %v", watched, want)
		}
		var none *Source
		none.Send("g", "e", 1)
		none.SendLatest("g", "e", "k", 1)
	})
}
