package redis

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
	"github.com/tacet-hub/tacet/bridge/signalr"
)

// TestMarks: a mark that one node sets another has, and while the server is away each has
// its own.
func TestMarks(t *testing.T) {
	t.Parallel()
	e := startEngine(t)
	var nodes []*Marks
	for _, name := range []string{"a", "b"} {
		s, err := NewServer(e.node(name))
		if err != nil {
			t.Fatal(err)
		}
		m := NewMarks(s)
		ctx, end := context.WithCancel(context.Background())
		var tasks sync.WaitGroup
		tasks.Go(func() { _ = m.Run(ctx) })
		t.Cleanup(func() { end(); tasks.Wait(); s.Close() })
		nodes = append(nodes, m)
	}
	a, b := nodes[0], nodes[1]
	at := signalr.Position{Epoch: "7", Offset: 42}
	a.Set("user/ann", "g", at)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(backplanetest.Patience); ; <-tick.C {
		if got, ok := b.Get("user/ann", "g"); ok && got == at {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("b does not know it; %+v", a.Stats())
		}
	}
	for _, x := range [][2]string{{"user/ann", "h"}, {"user/bob", "g"}, {"user/ann:", "g"}} {
		if got, ok := b.Get(x[0], x[1]); ok {
			t.Errorf("%v: %v", x, got)
		}
	}
	e.kill()
	if got, ok := a.Get("user/ann", "g"); !ok || got != at {
		t.Errorf("while the server is away a answers %v %v", got, ok)
	}
	if got, ok := b.Get("user/ann", "g"); ok {
		t.Errorf("while the server is away b answers %v", got)
	}
}

// TestLogBefore: where a group stood at an instant.
func TestLogBefore(t *testing.T) {
	e := startEngine(t)
	l := logs{e}.Log(t).(*Log)
	if _, ok := l.Before(t.Context(), "g", time.Now()); ok {
		t.Error("a group without epoch stood somewhere")
	}
	e.do("RPUSH", l.s.cfg.logListKey("g"), "0 mark", "1001000 x", "1002000 x", "1003000 x")
	e.do("SET", l.s.cfg.logNumberKey("g"), "3")
	e.do("SET", l.s.cfg.logEpochKey("g"), "5")
	for ms, want := range map[int64]uint64{0: 0, 1001000: 1, 1001500: 1, 1003000: 3, 9999999: 3} {
		at, ok := l.Before(t.Context(), "g", time.UnixMilli(ms))
		if !ok || at != (signalr.Position{Epoch: "5", Offset: want}) {
			t.Errorf("at %d: %v %v, want offset %d", ms, at, ok, want)
		}
	}
}
