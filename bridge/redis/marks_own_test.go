package redis

import (
	"context"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// TestMarksOfThisNode: a mark that was set here counts before the server has it, unless
// that has a further one; and when the node ends all of them are shared.
func TestMarksOfThisNode(t *testing.T) {
	e := startEngine(t)
	marks := func(name string) *Marks {
		s, err := NewServer(e.node(name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return NewMarks(s)
	}
	a, b := marks("a"), marks("b")
	end := func(m *Marks) {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
	}
	at := func(epoch string, offset uint64) signalr.Position {
		return signalr.Position{Epoch: epoch, Offset: offset}
	}
	for _, c := range []struct{ there, here, want signalr.Position }{
		{at("7", 10), at("7", 50), at("7", 50)},
		{at("7", 60), at("7", 50), at("7", 60)},
		{at("7", 60), at("8", 1), at("8", 1)},
		{at("9", 1), at("8", 60), at("9", 1)},
	} {
		b.Set("user/ann", "g", c.there)
		end(b)
		a.own.Set("user/ann", "g", c.here)
		if got, ok := a.Get("user/ann", "g"); !ok || got != c.want {
			t.Errorf("the server has %v, this node %v: answered is %v %t, want %v", c.there, c.here, got, ok, c.want)
		}
	}
	for i := range 2500 {
		a.Set("user/ann", "g"+itoa(i), at("7", 1))
	}
	end(a)
	if s := a.Stats(); s.Shared != 2500 {
		t.Errorf("at the end %d of 2500 are shared", s.Shared)
	}
}
