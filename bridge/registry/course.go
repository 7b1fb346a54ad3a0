package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// Course asks for the courses of readings.
type Course struct {
	Filter
	From, To time.Time     // from From (included) to To (left out)
	Step     time.Duration // of which each is one mean, counted from From
	After    string        // only series whose [Series.Key] comes after it
	Most     int           // of these the first, so many; zero: all
}

// Series is the course of one reading.
type Series struct {
	Device  area.DeviceID   `json:"device"`
	Metric  string          `json:"metric"`
	Channel *string         `json:"channel"`
	Unit    *string         `json:"unit"`
	Points  []history.Point `json:"points"`
}

// Key orders series; no part of it has a control character.
func (s Series) Key() string { return KeyOf(s.Device, s.Metric, s.Channel) }

// KeyOf is that of a reading.
func KeyOf(d area.DeviceID, metric string, channel *string) string {
	k := string(d) + "\x00" + metric
	if channel != nil {
		k += "\x00" + *channel
	}
	return k
}

// Courses is the course of each reading that c picks: the mean of each step, empty steps
// left out, and of what was measured before a restart and not again, whose area is the
// assigned one and whose unit the canonical one. Text has no points. The series are in
// the order of their keys.
//
// Each node keeps what it has heard itself, so the others are asked, five seconds at
// most. Missing are the nodes whose part is not in the answer: those that do not answer,
// and those that are gone and have heard one of the devices since From. It may read the
// disk.
func (r *Registry) Courses(ctx context.Context, c Course) (list []Series, missing []string) {
	all := r.pieces(c)
	if r.mux != nil {
		var others []piece
		others, missing = r.piecesOfOthers(ctx, c)
		all = joined(all, slices.DeleteFunc(others, func(p piece) bool { return !r.picks(c, p) }))
		r.talk.missing.Add(uint64(len(missing)))
	}
	list = make([]Series, 0, len(all))
	for _, p := range c.cut(all) {
		list = append(list, Series{Device: p.Device, Metric: p.Metric, Channel: textOrNil(p.Channel), Unit: textOrNil(p.Unit), Points: history.Means(p.Sums)})
	}
	return list, missing
}

// piece is what one node has of a series.
type piece struct {
	Device  area.DeviceID `json:"d"`
	Metric  string        `json:"m"`
	Channel string        `json:"c,omitempty"`
	Unit    string        `json:"u,omitempty"`
	Sums    []history.Sum `json:"s"`

	shown bool // there is a reading of it
}

func (p piece) key() string { return KeyOf(p.Device, p.Metric, textOrNil(p.Channel)) }

func comparePieces(a, b piece) int { return cmp.Compare(a.key(), b.key()) }

// cut is the first pieces, as many as are asked for.
func (c Course) cut(list []piece) []piece {
	if c.Most > 0 && len(list) > c.Most {
		return list[:c.Most]
	}
	return list
}

// picks tells whether a piece of another node is asked for; the area is that of here.
func (r *Registry) picks(c Course, p piece) bool {
	return c.matches(area.Reading{Device: p.Device, Metric: p.Metric, Channel: textOrNil(p.Channel), Area: r.AreaOf(p.Device)})
}

// keys is the series that there may be at this node, without sums and in their order:
// of each reading that there is, and of others in its history.
func (r *Registry) keys(c Course) (list []piece) {
	for _, is := range r.Readings(c.Filter) {
		list = append(list, piece{Device: is.Device, Metric: is.Metric, Channel: orNone(is.Channel), Unit: orNone(is.Unit), shown: true})
	}
	for _, k := range r.history.Keys() {
		p := piece{Device: k.Device, Metric: k.Metric, Channel: k.Channel, Unit: mapping.UnitOf(k.Metric)}
		if !r.has(k) && r.picks(c, p) {
			list = append(list, p)
		}
	}
	list = slices.DeleteFunc(list, func(p piece) bool { return p.key() <= c.After })
	slices.SortFunc(list, comparePieces)
	return list
}

func (r *Registry) sums(p piece, c Course) []history.Sum {
	return r.history.Sums(history.Key{Device: p.Device, Metric: p.Metric, Channel: p.Channel}, c.From, c.To, c.Step)
}

// pieces is what this node has: of readings also where they have no points.
func (r *Registry) pieces(c Course) (list []piece) {
	for _, p := range r.keys(c) {
		if c.Most > 0 && len(list) == c.Most {
			break
		}
		if p.Sums = r.sums(p, c); len(p.Sums) > 0 || p.shown {
			list = append(list, p)
		}
	}
	return list
}

// has tells whether there is a reading of a key.
func (r *Registry) has(k history.Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[k.Device]
	if e == nil {
		return false
	}
	_, ok := e.readings[k]
	return ok
}

// joined is the pieces of all, by their keys: those of one series become one.
func joined(own, others []piece) (out []piece) {
	all := slices.Concat(own, others)
	slices.SortStableFunc(all, comparePieces)
	for _, p := range all {
		if n := len(out); n > 0 && comparePieces(out[n-1], p) == 0 {
			out[n-1].Sums = history.Join(out[n-1].Sums, p.Sums)
			continue
		}
		out = append(out, p)
	}
	return out
}

// courseTime is how long the others may take for their pieces.
const courseTime = 5 * time.Second

// courseBytes is about how much of a sum one answer has.
const (
	courseBytes = 256 << 10
	sumBytes    = 40 // of JSON, about
)

// asked is a [Course] on its way to another node, and answered what that has.
type (
	asked struct {
		Filter Filter `json:"filter"`
		FromMs int64  `json:"from"`
		ToMs   int64  `json:"to"`
		StepMs int64  `json:"step"`
		After  string `json:"after"`
		Most   int    `json:"most"`
	}
	answered struct {
		Pieces []piece `json:"pieces"`
		More   bool    `json:"more"` // there are others after these
	}
)

// piecesOfOthers asks every other node for its pieces. While none can be reached those
// are missing that have something. Where one does not give all of
// them it is missing, and what it gave is left out: a course has no holes of which nobody
// says anything.
func (r *Registry) piecesOfOthers(ctx context.Context, c Course) (list []piece, missing []string) {
	ctx, stop := context.WithTimeout(ctx, courseTime)
	defer stop()
	var tasks sync.WaitGroup
	var mu sync.Mutex // guards list and missing
	alive := map[string]bool{}
	for _, n := range r.mux.Plane().Nodes() {
		if alive[n.Name] = true; n.Name == r.mux.Plane().Self() {
			continue
		}
		if !r.up.Load() { // nobody waits for who cannot be reached
			delete(alive, n.Name)
			continue
		}
		tasks.Go(func() {
			some, err := r.piecesOf(ctx, n.Name, c)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				missing = append(missing, n.Name)
				r.log.Warn("courses of readings are not whole", "node", n.Name, "err", err)
				return
			}
			list = append(list, some...)
		})
	}
	tasks.Wait()
	missing = append(missing, r.goneWith(c, alive)...)
	slices.Sort(missing)
	return list, missing
}

// piecesOf asks one node, until it has nothing more.
func (r *Registry) piecesOf(ctx context.Context, node string, c Course) (list []piece, err error) {
	q := asked{c.Filter, c.From.UnixMilli(), c.To.UnixMilli(), c.Step.Milliseconds(), c.After, c.Most}
	for {
		question, err := json.Marshal(q)
		if err != nil {
			return nil, err
		}
		body, err := r.ask(ctx, kindCourse, node, question, courseTime)
		if err != nil {
			return nil, err
		}
		var a answered
		if err := json.Unmarshal(body, &a); err != nil {
			return nil, err
		}
		list = append(list, a.Pieces...)
		if !a.More || len(a.Pieces) == 0 || c.Most > 0 && len(list) >= c.Most {
			return list, nil
		}
		q.After = a.Pieces[len(a.Pieces)-1].key()
	}
}

// courses answers another node with what this one has.
func (r *Registry) courses(ctx context.Context, _ string, body []byte) ([]byte, error) {
	var q asked
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, err
	}
	c := Course{q.Filter, time.UnixMilli(q.FromMs), time.UnixMilli(q.ToMs), time.Duration(q.StepMs) * time.Millisecond, q.After, q.Most}
	if c.Step < time.Millisecond || c.To.Sub(c.From)/c.Step > mostSums {
		return nil, area.InvalidField("step", "more than %d points", mostSums)
	}
	a, size := answered{Pieces: []piece{}}, 0
	for _, p := range r.keys(c) {
		if p.Sums = r.sums(p, c); len(p.Sums) == 0 {
			continue
		}
		if size += len(p.Sums) * sumBytes; size > courseBytes && len(a.Pieces) > 0 || q.Most > 0 && len(a.Pieces) == q.Most {
			a.More = true
			break
		}
		if a.Pieces = append(a.Pieces, p); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return json.Marshal(a)
}

// mostSums bounds a series that another node asks for.
const mostSums = 10_000

// goneWith is the nodes that are gone and have heard, since the begin of a course, one
// of the devices that it picks. When they heard it last is known to the ten minutes in
// which that is written.
func (r *Registry) goneWith(c Course, alive map[string]bool) []string {
	since := c.From.Add(-writeLate).UnixMilli()
	gone := map[string]bool{}
	for _, d := range r.ids(c.Device) {
		in := r.AreaOf(d)
		if c.Area != nil && *c.Area != in || c.Areas != nil && !slices.Contains(c.Areas, in) {
			continue
		}
		r.mu.Lock()
		if e := r.devices[d]; e != nil {
			for node, at := range e.nodes {
				gone[node] = gone[node] || at >= since && !alive[node]
			}
		}
		r.mu.Unlock()
	}
	maps.DeleteFunc(gone, func(_ string, is bool) bool { return !is })
	return slices.Sorted(maps.Keys(gone))
}
