package backplane_test

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
)

func TestExchange(t *testing.T) {
	backplanetest.Test(t, func(*testing.T) func(string) backplane.Plane {
		x := new(backplane.Exchange)
		return func(name string) backplane.Plane { return x.Join(name, "") }
	})
}

func TestExchangeTellsWhatItRefuses(t *testing.T) {
	x := new(backplane.Exchange)
	a, b := x.Join("a", ""), x.Join("b", "")
	backplanetest.Start(t, a)
	held := make(chan struct{})
	eb := &slow{Ear: backplanetest.NewEar(), hold: held}
	done := make(chan error)
	go func() { done <- b.Run(t.Context(), eb) }()
	eb.Sees(t, "a", "b")
	var refused uint64
	for refused == 0 {
		if a.Send("b", backplane.Envelope{Body: []byte("x")}) == backplane.ErrFull {
			refused++
		}
	}
	close(held)
	eb.Until(t, "what was refused", func(_ []backplane.Envelope, missed map[string]uint64, _ []string, _ bool) bool {
		return missed["a"] == refused
	})
	if s := a.Stats(); s.Refused != 1 {
		t.Errorf("stats %+v", s)
	}
}

// slow hears nothing until it is let go.
type slow struct {
	*backplanetest.Ear
	hold chan struct{}
}

func (s *slow) Heard(e backplane.Envelope) { <-s.hold; s.Ear.Heard(e) }

func TestBatch(t *testing.T) {
	for name, want := range map[string]backplane.Batch{
		"empty":   {Origin: "hub-1", Life: 1 << 63, First: 1},
		"several": {Origin: "hub-1", Life: 7, First: 1 << 40, List: []backplane.Envelope{{Kind: 1, Target: "g", Body: []byte("b")}, {Flags: 255, Except: []string{"", "x"}, Body: []byte{}}}},
	} {
		for i := range want.List {
			want.List[i].Origin = want.Origin
		}
		got, err := backplane.ParseBatch(backplane.AppendBatch(nil, &want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	good := backplane.AppendBatch(nil, &backplane.Batch{Origin: "a", First: 1, List: []backplane.Envelope{{Target: "t", Body: []byte("body")}}})
	for i := range good {
		if _, err := backplane.ParseBatch(good[:i]); err == nil {
			t.Errorf("the first %d bytes are a batch", i)
		}
	}
	if _, err := backplane.ParseBatch(append(slices.Clone(good), 0)); err == nil {
		t.Error("something may follow a batch")
	}
	if _, err := backplane.ParseBatch(append([]byte{2}, good[1:]...)); err == nil {
		t.Error("version 2 is read")
	}
}

func FuzzParseBatch(f *testing.F) {
	f.Add(backplane.AppendBatch(nil, &backplane.Batch{Origin: "a", First: 1}))
	f.Add(backplane.AppendBatch(nil, &backplane.Batch{Origin: "a", First: 9, List: []backplane.Envelope{{Target: "t", Except: []string{"c"}, Body: []byte("body")}}}))
	f.Add([]byte{1, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, err := backplane.ParseBatch(b)
		if err != nil {
			return
		}
		again, err := backplane.ParseBatch(backplane.AppendBatch(nil, &batch))
		if err != nil || again.Origin != batch.Origin || again.First != batch.First || len(again.List) != len(batch.List) {
			t.Fatalf("%+v becomes %+v, %v", batch, again, err)
		}
		for i := range again.List {
			if !bytes.Equal(again.List[i].Body, batch.List[i].Body) || again.List[i].Target != batch.List[i].Target {
				t.Fatalf("envelope %d changes", i)
			}
		}
	})
}

func TestTracker(t *testing.T) {
	batch := func(life, first uint64, n int) backplane.Batch {
		return backplane.Batch{Origin: "a", Life: life, First: first, List: make([]backplane.Envelope, n)}
	}
	var tr backplane.Tracker
	for i, c := range []struct {
		b    backplane.Batch
		n    int
		hole uint64
		old  int
	}{
		{batch(1, 5, 2), 2, 0, 0}, // the first that is heard
		{batch(1, 7, 1), 1, 0, 0},
		{batch(1, 7, 1), 0, 0, 1}, // twice
		{batch(1, 6, 4), 2, 0, 2}, // half of it new
		{batch(1, 12, 1), 1, 2, 0},
		{batch(1, 13, 0), 0, 0, 0}, // a beat
		{batch(1, 15, 0), 0, 2, 0}, // a beat that shows a gap
		{batch(1, 3, 0), 0, 0, 0},
		{batch(2, 1, 1), 1, 0, 0}, // another life
		{batch(3, 3, 1), 1, 2, 0},
		{batch(1, 15, 2), 0, 0, 2}, // of a life that is over
		{batch(2, 1, 3), 0, 0, 3},
		{batch(3, 4, 1), 1, 0, 0},
	} {
		v := tr.Take(c.b)
		if len(v.New) != c.n || v.Hole != c.hole || v.Old != c.old {
			t.Errorf("step %d: %d new, hole %d, old %d", i, len(v.New), v.Hole, v.Old)
		}
	}
	tr.Begin(batch(3, 1, 1), 9)
	if n := tr.Next("a", 3); n != 9 {
		t.Errorf("begun at %d", n)
	}
	if n := tr.Next("a", 1); n != math.MaxUint64 {
		t.Errorf("of a life that is over %d is expected", n)
	}
	if n := tr.Next("a", 4); n != 1 {
		t.Errorf("of a new life %d is expected", n)
	}
	for life := uint64(4); life < 1000; life++ {
		tr.Take(batch(life, 1, 1))
	}
	if n, old := tr.Next("a", 998), tr.Next("a", 3); n != math.MaxUint64 || old != 1 {
		t.Errorf("after a thousand lives %d is expected of the last but one, and %d of one long ago", n, old)
	}
	tr.Forget("a")
	if v := tr.Take(batch(3, 5, 1)); len(v.New) != 1 || v.Hole != 0 {
		t.Errorf("forgotten: %+v", v)
	}
}
