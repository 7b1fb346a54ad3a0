package history

import "time"

// together is how close two points are that become one.
const together = int64(time.Second / time.Millisecond)

// sum is one or more points that came together.
type sum struct {
	ts    int64 // of the first
	total float64
	n     float64
}

// ring is the points of one series, oldest first from head. It grows as it
// needs, and never beyond an hour's points, since add drops the old ones.
type ring struct {
	buf  []sum
	head int
	n    int
}

// add keeps a point and drops those before oldest. It refuses one that is
// older than the newest.
func (r *ring) add(ts int64, value float64, oldest int64) bool {
	if r.n > 0 {
		last := r.at(r.n - 1)
		if ts < last.ts {
			return false
		}
		if ts-last.ts < together {
			last.total, last.n = last.total+value, last.n+1
			return true
		}
	}
	for r.n > 0 && r.at(0).ts < oldest {
		r.head, r.n = (r.head+1)%len(r.buf), r.n-1
	}
	if r.n == len(r.buf) {
		r.grow()
	}
	r.n++
	*r.at(r.n - 1) = sum{ts: ts, total: value, n: 1}
	return true
}

func (r *ring) at(i int) *sum { return &r.buf[(r.head+i)%len(r.buf)] }

func (r *ring) grow() {
	bigger := make([]sum, max(8, 2*len(r.buf)))
	for i := range r.n {
		bigger[i] = *r.at(i)
	}
	r.buf, r.head = bigger, 0
}

func (r *ring) newest() int64 { return r.at(r.n - 1).ts }

// steps is the mean of each step that has a point.
func (r *ring) steps(from, to, step int64) []Point {
	points := []Point{}
	var open sum // the step that is being summed
	flush := func() {
		if open.n > 0 {
			points = append(points, Point{TS: open.ts, Value: open.total / open.n})
		}
	}
	for i := range r.n {
		p := r.at(i)
		if p.ts < from || p.ts >= to {
			continue
		}
		start := p.ts
		if step > 0 {
			start = from + (p.ts-from)/step*step
		}
		if open.n == 0 || open.ts != start {
			flush()
			open = sum{ts: start}
		}
		open.total, open.n = open.total+p.total, open.n+p.n
	}
	flush()
	return points
}
