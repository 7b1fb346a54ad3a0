package backplane_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
)

// crew are muxes of an exchange that run until the test ends.
func crew(t *testing.T, set func(name string, m *backplane.Mux), names ...string) (list []*backplane.Mux, stop []func()) {
	t.Helper()
	x := new(backplane.Exchange)
	for _, name := range names {
		m := backplane.NewMux(x.Join(name, ""))
		set(name, m)
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		halt := func() { end(); <-done }
		list, stop = append(list, m), append(stop, halt)
	}
	for _, m := range list {
		until(t, func() bool { return len(m.Plane().Nodes()) == len(names) })
	}
	return list, stop
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(backplanetest.Patience)
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("not within the time")
		}
	}
}

const question = backplane.KindUser + 1

func TestAsk(t *testing.T) {
	hold := make(chan struct{})
	list, stop := crew(t, func(name string, m *backplane.Mux) {
		m.OnAsk(question, func(ctx context.Context, from string, body []byte) ([]byte, error) {
			switch {
			case string(body) == "wait" && name == "c":
				<-hold
			case string(body) == "fail":
				return nil, errors.New("no")
			}
			return fmt.Appendf(nil, "%s to %s: %s", name, from, body), nil
		})
	}, "a", "b", "c")
	a := list[0]
	gather := func(ctx context.Context, kind byte, nodes []string, body string) (out []string) {
		a.Ask(ctx, kind, nodes, []byte(body), func(node string, b []byte, err error) bool {
			if err != nil {
				b = []byte(err.Error())
			}
			out = append(out, node+" "+string(b))
			return true
		})
		slices.Sort(out)
		return out
	}
	if got := gather(t.Context(), question, nil, "hi"); !slices.Equal(got, []string{"b b to a: hi", "c c to a: hi"}) {
		t.Errorf("all: %q", got)
	}
	if got := gather(t.Context(), question, []string{"c"}, "hi"); !slices.Equal(got, []string{"c c to a: hi"}) {
		t.Errorf("one: %q", got)
	}
	if got := gather(t.Context(), question, nil, "fail"); !slices.Equal(got, []string{"b no", "c no"}) {
		t.Errorf("failing: %q", got)
	}
	if got := gather(t.Context(), question+1, []string{"b"}, ""); len(got) != 1 {
		t.Errorf("unknown: %q", got)
	}
	if got := gather(t.Context(), question, []string{"nobody"}, ""); !slices.Equal(got, []string{"nobody " + backplane.ErrNoNode.Error()}) {
		t.Errorf("nobody: %q", got)
	}
	var first string
	a.Ask(t.Context(), question, nil, []byte("wait"), func(node string, _ []byte, _ error) bool { first = node; return false })
	if first != "b" {
		t.Errorf("first is %q", first)
	}
	short, end := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer end()
	if got := gather(short, question, []string{"c"}, "wait"); !slices.Equal(got, []string{"c " + backplane.ErrSilent.Error() + ": c"}) {
		t.Errorf("silent: %q", got)
	}
	answers := make(chan []string)
	go func() { answers <- gather(t.Context(), question, []string{"c"}, "wait") }()
	until(t, func() bool { return a.Stats().Asked >= 10 })
	close(hold)
	if got := <-answers; len(got) != 1 {
		t.Errorf("in the end: %q", got)
	}
	for _, s := range stop {
		s()
	}
}

func TestAskOfOneThatGoes(t *testing.T) {
	begun := make(chan struct{})
	list, stop := crew(t, func(_ string, m *backplane.Mux) {
		m.OnAsk(question, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			close(begun)
			<-ctx.Done()
			return nil, ctx.Err()
		})
	}, "a", "b")
	go func() { <-begun; stop[1]() }()
	list[0].Ask(t.Context(), question, nil, nil, func(_ string, _ []byte, err error) bool {
		if !errors.Is(err, backplane.ErrGone) && (err == nil || err.Error() != context.Canceled.Error()) {
			t.Errorf("got %v", err)
		}
		return true
	})
	stop[0]()
}

// forgetful is a plane that does not know some of its nodes for a while, and tells of
// lives as it likes.
type forgetful struct {
	backplane.Plane
	refuse  chan error // what Send says first; then it is the plane's
	refused chan struct{}
	h       backplane.Handler
	running chan struct{}
}

func (f *forgetful) Run(ctx context.Context, h backplane.Handler) error {
	f.h = h
	close(f.running)
	return f.Plane.Run(ctx, h)
}

func (f *forgetful) Send(node string, e backplane.Envelope) error {
	select {
	case err := <-f.refuse:
		f.refused <- struct{}{}
		return err
	default:
		return f.Plane.Send(node, e)
	}
}

// pair are two muxes; b's plane is forgetful.
func pair(t *testing.T, answer func() ([]byte, error)) (a, b *backplane.Mux, f *forgetful) {
	t.Helper()
	x := new(backplane.Exchange)
	f = &forgetful{Plane: x.Join("b", ""), refuse: make(chan error, 1), refused: make(chan struct{}, 1), running: make(chan struct{})}
	a, b = backplane.NewMux(x.Join("a", "")), backplane.NewMux(f)
	b.OnAsk(question, func(context.Context, string, []byte) ([]byte, error) { return answer() })
	for _, m := range []*backplane.Mux{a, b} {
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		t.Cleanup(func() { end(); <-done })
	}
	<-f.running
	until(t, func() bool { return len(a.Plane().Nodes()) == 2 })
	return a, b, f
}

// TestAskOfOneThatForgets: an answer to an asker that is not known just then is sent
// when it is, and given up when the asker waits no longer; one that is too large is
// told.
func TestAskOfOneThatForgets(t *testing.T) {
	a, b, f := pair(t, func() ([]byte, error) { return []byte("here"), nil })
	ask := func(ctx context.Context) (got string) {
		a.Ask(ctx, question, []string{"b"}, nil, func(_ string, body []byte, err error) bool {
			got = fmt.Sprint(string(body), err)
			return true
		})
		return got
	}
	f.refuse <- backplane.ErrNoNode
	go func() { <-f.refused; f.h.Changed(f.Plane.Nodes()) }()
	if got := ask(t.Context()); got != "here<nil>" {
		t.Errorf("got %s", got)
	}
	f.refuse <- backplane.ErrTooLarge
	if got := ask(t.Context()); got != backplane.ErrTooLarge.Error()+": an answer of 4 bytes" {
		t.Errorf("got %s", got)
	}
	<-f.refused
	f.refuse <- backplane.ErrFull
	short, end := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer end()
	if got := ask(short); got != backplane.ErrSilent.Error()+": b" {
		t.Errorf("got %s", got)
	}
	until(t, func() bool { return b.Stats().Unsent == 1 })
}

// TestAskOfOneThatRestarts: who was asked in another life does not answer any more.
func TestAskOfOneThatRestarts(t *testing.T) {
	hold := make(chan struct{})
	x := new(backplane.Exchange)
	f := &forgetful{Plane: x.Join("a", ""), running: make(chan struct{})}
	a, b := backplane.NewMux(f), backplane.NewMux(x.Join("b", ""))
	b.OnAsk(question, func(context.Context, string, []byte) ([]byte, error) { <-hold; return nil, nil })
	for _, m := range []*backplane.Mux{a, b} {
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		t.Cleanup(func() { end(); <-done })
	}
	t.Cleanup(func() { close(hold) })
	<-f.running
	until(t, func() bool { return len(b.Plane().Nodes()) == 2 })
	go func() {
		until(t, func() bool { return a.Stats().Asked == 1 })
		nodes := f.Plane.Nodes()
		for i := range nodes {
			nodes[i].Life++
		}
		f.h.Changed(nodes)
	}()
	a.Ask(t.Context(), question, []string{"b"}, nil, func(_ string, _ []byte, err error) bool {
		if !errors.Is(err, backplane.ErrGone) {
			t.Errorf("got %v", err)
		}
		return true
	})
}

func TestWant(t *testing.T) {
	heard := make(chan string, 10)
	list, _ := crew(t, func(name string, m *backplane.Mux) {
		m.OnHear(backplane.KindUser, func(e backplane.Envelope) { heard <- name + " " + e.Target })
	}, "a", "b")
	a, b := list[0], list[1]
	b.Want("north", true)
	b.Want("north", true)
	b.Want("north", false)
	for _, target := range []string{"north", "south"} {
		if err := a.Publish(target, backplane.Envelope{Kind: backplane.KindUser, Target: target}); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-heard; got != "b north" {
		t.Errorf("heard %q", got)
	}
	b.Want("north", false)
	if err := a.Publish("north", backplane.Envelope{Kind: backplane.KindUser, Target: "late"}); err != nil {
		t.Fatal(err)
	}
	b.Want("south", true)
	if err := a.Publish("south", backplane.Envelope{Kind: backplane.KindUser, Target: "south"}); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "b south" {
		t.Errorf("heard %q", got)
	}
}
