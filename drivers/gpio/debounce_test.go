package gpio

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// play feeds levels, one a millisecond, and tells what came of them, and when.
func play(d *debounce, levels []bool) (got []string) {
	now := time.Unix(0, 0)
	d.start(levels[0], now)
	for i, l := range levels {
		for {
			c := d.step(l, now.Add(time.Duration(i)*time.Millisecond))
			if c == nothing {
				break
			}
			got = append(got, fmt.Sprintf("%d:%s", i, [...]string{"", "pressed", "released", "stuck", "free"}[c]))
		}
	}
	return got
}

// levels is a level for so many milliseconds, then the other, and so on.
func levels(first bool, ms ...int) (l []bool) {
	for i, n := range ms {
		for range n {
			l = append(l, first == (i%2 == 0))
		}
	}
	return l
}

func TestDebounce(t *testing.T) {
	cases := []struct {
		name string
		in   []bool
		want string
	}{
		{"quiet", levels(false, 1000), "[]"},
		{"press", levels(false, 10, 100, 100), "[40:pressed 140:released]"},
		{"bounces", levels(false, 10, 3, 2, 5, 1, 100, 4, 4, 100), "[51:pressed 159:released]"},
		{"a spike is no press", levels(false, 10, 29, 100), "[]"},
		{"a gap is no release", levels(false, 10, 100, 29, 100, 100), "[40:pressed 269:released]"},
		{"just long enough", levels(false, 10, 31, 100), "[40:pressed 71:released]"},
		{"pressed at the start", levels(true, 100, 100), "[130:released]"},
		{"stuck", levels(false, 10, 1200, 100), "[40:pressed 1010:stuck 1240:released 1240:free]"},
		{"stuck at the start", levels(true, 1500), "[1000:stuck]"},
		{"never at rest", append(levels(false, 100), func() []bool {
			var l []bool
			for range 60 {
				l = append(l, levels(true, 10, 10)...)
			}
			return append(l, levels(false, 100)...)
		}()...), "[1100:stuck 1320:free]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := &debounce{settle: 30 * time.Millisecond, stuck: time.Second}
			if got := fmt.Sprint(play(d, c.in)); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// However a contact bounces, there is one press for each time that it stood
// still, and its waits find every change that looking each millisecond does.
func TestDebounceOfAnyBounce(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		l, presses := levels(false, 50), 0
		for range r.IntN(6) {
			l = append(l, bouncing(r, true)...)
			l = append(l, levels(true, 31+r.IntN(300))...)
			l = append(l, bouncing(r, false)...)
			l = append(l, levels(false, 31+r.IntN(300))...)
			presses++
		}
		every := play(&debounce{settle: 30 * time.Millisecond}, l)
		if len(every) != 2*presses {
			t.Fatalf("seed %d: %v, want %d presses", seed, every, presses)
		}
		if edges := watch(&debounce{settle: 30 * time.Millisecond}, l); fmt.Sprint(edges) != fmt.Sprint(every) {
			t.Fatalf("seed %d: by edges and waits %v, by looking all the time %v", seed, edges, every)
		}
	}
}

func bouncing(r *rand.Rand, to bool) (l []bool) {
	for range r.IntN(10) {
		l = append(l, levels(to, 1+r.IntN(5), 1+r.IntN(5))...)
	}
	return l
}

// watch looks only at edges, and when the debouncer asked to.
func watch(d *debounce, levels []bool) (got []string) {
	now := time.Unix(0, 0)
	d.start(levels[0], now)
	due := now.Add(d.wait(now, time.Second))
	for i, l := range levels {
		at := now.Add(time.Duration(i) * time.Millisecond)
		if i > 0 && l == levels[i-1] && at.Before(due) {
			continue
		}
		for {
			c := d.step(l, at)
			if c == nothing {
				break
			}
			got = append(got, fmt.Sprintf("%d:%s", i, [...]string{"", "pressed", "released", "stuck", "free"}[c]))
		}
		due = at.Add(d.wait(at, time.Second))
	}
	return got
}
