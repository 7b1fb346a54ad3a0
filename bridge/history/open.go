package history

import (
	"slices"
	"sort"
)

// Bounds of what one series gathers.
const (
	together = int64(1000)   // milliseconds: points that are closer become one
	meanOf   = int64(10_000) // milliseconds: what older points become the mean of
	maxOpen  = 4096          // points; the oldest go
)

// sum is one or more points that came together.
type sum struct {
	ts    int64 // of the first, in Unix milliseconds
	total float64
	n     float64
}

// add keeps n points of a mean in the order of time. It refuses them where they
// are older than all there are, and there are too many.
func (s *series) add(ts int64, value, n float64) bool {
	at := sort.Search(len(s.open), func(i int) bool { return s.open[i].ts > ts })
	if at > 0 && ts-s.open[at-1].ts < together {
		s.open[at-1].total += value * n
		s.open[at-1].n += n
		s.noted = min(s.noted, at-1)
		return true
	}
	if len(s.open) >= maxOpen {
		if at == 0 {
			return false
		}
		s.open, at, s.noted = slices.Delete(s.open, 0, 1), at-1, max(0, s.noted-1)
	}
	s.open = slices.Insert(s.open, at, sum{ts: ts, total: value * n, n: n})
	s.noted = min(s.noted, at)
	return true
}

// set puts a point as the journal has it, the later word in the place of an
// earlier one.
func (s *series) set(p sum) {
	at := sort.Search(len(s.open), func(i int) bool { return s.open[i].ts >= p.ts })
	switch {
	case at < len(s.open) && s.open[at].ts == p.ts:
		s.open[at] = p
	case len(s.open) < maxOpen:
		s.open = slices.Insert(s.open, at, p)
	}
}

// steps is the sum of each step that has a point; the points are in the order of
// time.
func steps(all []sum, from, to, step int64) []Sum {
	sums := []Sum{}
	for _, p := range all {
		if p.ts < from || p.ts >= to {
			continue
		}
		start := p.ts
		if step > 0 {
			start = from + (p.ts-from)/step*step
		}
		if n := len(sums); n == 0 || sums[n-1].TS != start {
			sums = append(sums, Sum{TS: start})
		}
		one := &sums[len(sums)-1]
		one.Total, one.N = one.Total+p.total, one.N+p.n
	}
	return sums
}

// means is the points of each ten seconds as one.
func means(all []sum) (out []sum) {
	for _, p := range all {
		ts := p.ts - ((p.ts%meanOf)+meanOf)%meanOf
		if n := len(out); n > 0 && out[n-1].ts == ts {
			out[n-1].total += p.total
			out[n-1].n += p.n
			continue
		}
		out = append(out, sum{ts: ts, total: p.total, n: p.n})
	}
	return out
}
