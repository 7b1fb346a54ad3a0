package history

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Config bounds a history.
type Config struct {
	Keep   time.Duration // how far back it goes; default and zero: 1 h; 1 s to 24 h
	Series int           // most series; default and zero: 1,000
}

func (c Config) withDefaults() Config {
	if c.Keep == 0 {
		c.Keep = time.Hour
	}
	if c.Series == 0 {
		c.Series = 1000
	}
	return c
}

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	c = c.withDefaults()
	if c.Keep < time.Second || c.Keep > 24*time.Hour || c.Series < 1 {
		return fmt.Errorf("history: keep %v is not 1s to 24h, or series %d is not positive", c.Keep, c.Series)
	}
	return nil
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

// Stats counts what a history has and refused.
type Stats struct {
	Series  int    // at present
	Refused uint64 // points of series that found no place
	Late    uint64 // points that are older than their series' newest
}

// Memory is a history in memory. It is safe for concurrent use and never
// blocks for long.
type Memory struct {
	cfg           Config
	refused, late atomic.Uint64

	mu     sync.Mutex // guards what follows
	series map[Key]*ring
}

// New makes an empty history. Its error is that of [Config.Validate].
func New(cfg Config) (*Memory, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Memory{cfg: cfg.withDefaults(), series: map[Key]*ring{}}, nil
}

// Add keeps one point; ts is in Unix milliseconds. It tells whether the point
// found a place: that of text never does.
func (m *Memory) Add(k Key, ts int64, value any) bool {
	f, ok := number(value)
	if !ok {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.series[k]
	if r == nil {
		if len(m.series) >= m.cfg.Series {
			m.forgetBefore(ts - m.cfg.Keep.Milliseconds())
		}
		if len(m.series) >= m.cfg.Series {
			m.refused.Add(1)
			return false
		}
		r = new(ring)
		m.series[k] = r
	}
	if !r.add(ts, f, ts-m.cfg.Keep.Milliseconds()) {
		m.late.Add(1)
		return false
	}
	return true
}

// forgetBefore drops the series whose newest point is older than oldest.
func (m *Memory) forgetBefore(oldest int64) {
	for k, r := range m.series {
		if r.newest() < oldest {
			delete(m.series, k)
		}
	}
}

// Series is the mean of each step of a series from from (included) to to (left
// out), counted from from; steps without a point are left out. A step of zero
// or less gives the points themselves. It is never nil.
func (m *Memory) Series(k Key, from, to time.Time, step time.Duration) []Point {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.series[k]
	if r == nil {
		return []Point{}
	}
	return r.steps(from.UnixMilli(), to.UnixMilli(), step.Milliseconds())
}

// Stats counts.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	n := len(m.series)
	m.mu.Unlock()
	return Stats{Series: n, Refused: m.refused.Load(), Late: m.late.Load()}
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
