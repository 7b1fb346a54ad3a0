package fault

import (
	"testing"
)

// TestHistory judges what a key shows after a fault.
func TestHistory(t *testing.T) {
	set := func(n uint64, acked bool) operation { return operation{n, acked} }
	cases := map[string]struct {
		base  uint64
		ops   []operation
		found uint64
		want  Verdict
	}{
		"as acknowledged":             {0, []operation{set(1, true), set(2, true)}, 2, Kept},
		"later than acknowledged":     {0, []operation{set(1, true), set(2, false)}, 2, Kept},
		"none of it acknowledged":     {5, []operation{set(6, false)}, 5, Kept},
		"cleared":                     {5, []operation{set(0, true)}, 0, Kept},
		"clear not acknowledged":      {5, []operation{set(0, false)}, 5, Kept},
		"gone":                        {0, []operation{set(1, true)}, 0, Lost},
		"older":                       {0, []operation{set(1, true), set(2, true)}, 1, Lost},
		"gone, though it was there":   {5, nil, 0, Lost},
		"back":                        {5, []operation{set(0, true)}, 5, Resurrected},
		"back, from further away":     {0, []operation{set(4, true), set(5, true), set(0, true)}, 4, Resurrected},
		"never sent":                  {0, []operation{set(1, true)}, 9, Phantom},
		"set again after the clear":   {5, []operation{set(0, true), set(6, false)}, 6, Kept},
		"before the unacknowledged":   {5, []operation{set(0, true), set(6, false)}, 0, Kept},
		"not before the acknowledged": {5, []operation{set(0, true), set(6, true)}, 0, Lost},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := &history{base: c.base, ops: c.ops, top: c.base}
			for _, op := range c.ops {
				h.top = max(h.top, op.value)
			}
			if got := h.judge(c.found); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestValues(t *testing.T) {
	v, count := newValues(), new(tally)
	v.ack("a", v.intend("a", 1))
	v.ack("b", v.intend("b", 2))
	v.intend("b", 0)
	if got := v.present(); len(got) != 1 || got[0] != "a" {
		t.Errorf("present: got %q", got)
	}
	all := func(string) bool { return true }
	v.judge(map[string]uint64{"a": 1, "b": 0, "c": 3}, all, count)
	if count.n[Kept] != 2 || count.n[Phantom] != 1 || count.broken() != 1 {
		t.Errorf("got %v, %q", count.n, count.lines)
	}
	v.judge(map[string]uint64{"b": 2}, all, count) // from the second look on b is not there
	if count.n[Lost] != 1 || count.n[Resurrected] != 1 {
		t.Errorf("got %v, %q", count.n, count.lines)
	}
	v.judge(nil, func(string) bool { return false }, count)
	if count.broken() != 3 {
		t.Errorf("keys of another were judged: %q", count.lines)
	}
}

func TestStream(t *testing.T) {
	for _, once := range []bool{false, true} {
		s, count := newStream("q", once), new(tally)
		for range 5 {
			s.intend()
		}
		for _, n := range []uint64{1, 2, 4} {
			s.ack(n)
		}
		for _, n := range []uint64{1, 3, 2, 3, 6} {
			s.arrive(n, count)
		}
		if s.owes() != 1 {
			t.Errorf("%d are owed", s.owes())
		}
		s.settle(count)
		s.ack(1) // late: it has come
		s.settle(count)
		want := [verdicts]int{Kept: 2, Lost: 1, Phantom: 1, Disordered: 1}
		if once {
			want[Double] = 1
		}
		if count.n != want {
			t.Errorf("once %t: got %v, want %v: %q", once, count.n, want, count.lines)
		}
	}
}

func TestFigures(t *testing.T) {
	count := new(tally)
	count.add(Lost, "x")
	broken := 0
	for _, f := range count.figures() {
		if f.Broken() {
			broken++
		}
	}
	if broken != 1 {
		t.Errorf("%d figures are broken", broken)
	}
	if got := quantile([]float64{3, 1, 2, 4}, 0.5); got != 2 {
		t.Errorf("median %g", got)
	}
	if got := quantile([]float64{3, 1, 2, 4}, 0.95); got != 4 {
		t.Errorf("p95 %g", got)
	}
	if got := aim("x", "", 2, 1); got.Broken() || got.Target() != "<= 1" {
		t.Errorf("got %+v", got)
	}
	if got := plain("x", "", 2); got.Broken() || got.Target() != "" {
		t.Errorf("got %+v", got)
	}
}
