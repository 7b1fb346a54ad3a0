package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Config bounds a history.
type Config struct {
	Dir    string        // where it is kept; empty: in memory alone, compressed
	Keep   time.Duration // how far back it goes; default and zero: 24 h; at least Raw
	Raw    time.Duration // how far back single points go; default and zero: 1 h; at least Window
	Window time.Duration // how much is gathered for one segment; default and zero: 10 min; at least 1 s
	Series int           // most series; default and zero: 1,000
	Bytes  int64         // most bytes in all; default and zero: 64 MiB; the oldest go first
}

func (c Config) withDefaults() Config {
	for p, v := range map[*time.Duration]time.Duration{&c.Keep: 24 * time.Hour, &c.Raw: time.Hour, &c.Window: 10 * time.Minute} {
		if *p == 0 {
			*p = v
		}
	}
	if c.Series == 0 {
		c.Series = 1000
	}
	if c.Bytes == 0 {
		c.Bytes = 64 << 20
	}
	return c
}

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	if c.Window < time.Second || c.Raw < c.Window || c.Keep < c.Raw {
		faults = append(faults, fmt.Errorf("history: window %v, raw %v and keep %v do not grow from 1s", c.Window, c.Raw, c.Keep))
	}
	if c.Series < 1 || c.Bytes < 1<<16 {
		faults = append(faults, fmt.Errorf("history: series %d is not positive, or bytes %d are under 64 KiB", c.Series, c.Bytes))
	}
	return errors.Join(faults...)
}

// Key names a series. An empty channel is none.
type Key struct {
	Device  area.DeviceID
	Metric  string
	Channel string
}

// Point is the mean of one step. Its JSON is [ts, value].
type Point struct {
	TS    int64 // Unix milliseconds of the step's begin, or of the point itself
	Value float64
}

// MarshalJSON writes [ts, value].
func (p Point) MarshalJSON() ([]byte, error) { return json.Marshal([2]any{p.TS, p.Value}) }

// Sum is the points of one step. Its JSON is [ts, total, n].
type Sum struct {
	TS    int64 // Unix milliseconds of the step's begin, or of the point itself
	Total float64
	N     float64 // how many points
}

// MarshalJSON writes [ts, total, n].
func (s Sum) MarshalJSON() ([]byte, error) { return json.Marshal([3]any{s.TS, s.Total, s.N}) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Sum) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[3]any{&s.TS, &s.Total, &s.N})
}

// Join is the sums of two histories as those of one; both are in the order of time and
// counted from the same instant.
func Join(a, b []Sum) []Sum {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(x, y Sum) int { return compare(x.TS, y.TS) })
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 && out[n-1].TS == s.TS {
			out[n-1].Total, out[n-1].N = out[n-1].Total+s.Total, out[n-1].N+s.N
			continue
		}
		out = append(out, s)
	}
	return out
}

// Means is the mean of each sum. It is never nil.
func Means(list []Sum) []Point {
	points := make([]Point, 0, len(list))
	for _, s := range list {
		points = append(points, Point{TS: s.TS, Value: s.Total / s.N})
	}
	return points
}

// Stats counts what a history has and refused.
type Stats struct {
	Series   int    // at present
	Segments int    // at present
	Bytes    int64  // of segments and journal, at present
	Refused  uint64 // points of series that found no place
	Late     uint64 // points that are older than what their series still gathers
	Damaged  uint64 // segments and ends of journals that could not be read
	Shed     uint64 // segments that went before their time, for want of room
	Failed   uint64 // writes that failed
}

// Store is a history. It is safe for concurrent use; Add never waits for the
// disk.
type Store struct {
	cfg Config
	now func() time.Time
	log *slog.Logger

	refused, late, damaged, shed, failed atomic.Uint64

	mu       sync.Mutex // guards what follows
	series   map[Key]*series
	next     uint32     // id of the next series
	segments []*segment // the older first
	begun    time.Time  // when the window that is gathered began
	journal  *journal   // nil: in memory alone, or not opened
	fresh    []*series  // with points that the journal does not have

	work sync.Mutex // held while the disk is written; never inside mu
}

// series is what is known of one key.
type series struct {
	id      uint32
	key     Key
	seen    time.Time // when its last point came
	noted   int       // of open: those before are in the journal as they are
	waits   bool      // is among the fresh
	open    []sum     // gathered, by their time
	closing []sum     // on its way into a segment
}

// New opens the history of a directory, and makes that where it is not there.
// What of it is damaged is left out, counted and logged. Its errors are that of
// [Config.Validate] and those of the directory.
func New(cfg Config, now func() time.Time, log *slog.Logger) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg.withDefaults(), now: now, log: log, series: map[Key]*series{}, begun: now()}
	if cfg.Dir == "" {
		return s, nil
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return s, nil
}

// Add keeps one point; ts is in Unix milliseconds. It tells whether the point
// found a place: that of text never does.
func (s *Store) Add(k Key, ts int64, value any) bool {
	f, ok := number(value)
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.now()
	one := s.seriesOf(k, at)
	if one == nil {
		s.refused.Add(1)
		return false
	}
	one.seen = at
	if !one.add(ts, f, 1) {
		s.late.Add(1)
		return false
	}
	if s.journal != nil && !one.waits {
		one.waits, s.fresh = true, append(s.fresh, one)
	}
	return true
}

// seriesOf is the series of a key, made where there is room; the caller holds
// the lock.
func (s *Store) seriesOf(k Key, at time.Time) *series {
	if one := s.series[k]; one != nil {
		return one
	}
	if len(s.series) >= s.cfg.Series {
		s.forget(at.Add(-s.cfg.Keep))
	}
	if len(s.series) >= s.cfg.Series {
		return nil
	}
	one := &series{id: s.next, key: k, seen: at}
	s.next++
	s.series[k] = one
	return one
}

// forget drops the series of which nothing came since.
func (s *Store) forget(since time.Time) {
	for k, one := range s.series {
		if one.seen.Before(since) && len(one.open) == 0 && len(one.closing) == 0 {
			delete(s.series, k)
		}
	}
}

// Keys lists the series that there are, in no order.
func (s *Store) Keys() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.series))
}

// Series is the mean of each step of a series from from (included) to to (left
// out), counted from from; steps without a point are left out. A step of zero
// or less gives the points themselves. It is never nil. It may read the disk.
func (s *Store) Series(k Key, from, to time.Time, step time.Duration) []Point {
	return Means(s.Sums(k, from, to, step))
}

// Sums is Series before the means are made: the sums of several histories of one series
// become those of all by [Join].
func (s *Store) Sums(k Key, from, to time.Time, step time.Duration) []Sum {
	s.mu.Lock()
	one := s.series[k]
	if one == nil {
		s.mu.Unlock()
		return []Sum{}
	}
	points := slices.Concat(one.closing, one.open)
	segments := s.best()
	s.mu.Unlock()
	a, b := from.UnixMilli(), to.UnixMilli()
	for _, g := range segments {
		more, err := g.read(one.id, a, b)
		if err != nil {
			s.damaged.Add(1)
			s.log.Warn("a piece of the history cannot be read", "device", k.Device, "err", err)
			continue
		}
		points = append(points, more...)
	}
	slices.SortStableFunc(points, func(x, y sum) int { return compare(x.ts, y.ts) })
	return steps(points, a, b, step.Milliseconds())
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// best is the segments to read: of each window the one with the points, else
// the one with the means. The caller holds the lock.
func (s *Store) best() []*segment {
	raw := map[int64]bool{}
	for _, g := range s.segments {
		if g.kind == kindRaw {
			raw[g.from] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(s.segments), func(g *segment) bool { return g.kind == kindMean && raw[g.from] })
}

// Stats counts.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Series: len(s.series), Segments: len(s.segments), Bytes: s.bytes(), Refused: s.refused.Load(), Late: s.late.Load(),
		Damaged: s.damaged.Load(), Shed: s.shed.Load(), Failed: s.failed.Load(),
	}
}

// bytes is how much there is in all; the caller holds the lock.
func (s *Store) bytes() (n int64) {
	for _, g := range s.segments {
		n += g.size
	}
	if s.journal != nil {
		n += s.journal.size
	}
	return n
}

func number(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}
