package history

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

var start = time.Unix(1_795_255_200, 0)

func at(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }

func newMemory(t *testing.T, cfg Config) *Memory {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSeries(t *testing.T) {
	m, k := newMemory(t, Config{}), Key{Device: "hall", Metric: "temperature"}
	for _, p := range []struct {
		at int
		v  any
	}{{0, 20.0}, {30, 22.0}, {60, 30.0}, {200, true}, {230, false}, {300, "open"}} {
		m.Add(k, at(p.at).UnixMilli(), p.v)
	}
	m.Add(k, at(230).UnixMilli()+500, 3.0)
	ms := start.UnixMilli()
	for name, c := range map[string]struct {
		from, to int
		step     time.Duration
		want     []Point
	}{
		"minutes":         {0, 240, time.Minute, []Point{{ms, 21}, {ms + 60_000, 30}, {ms + 180_000, 4.0 / 3}}},
		"whole":           {0, 240, 4 * time.Minute, []Point{{ms, (20 + 22 + 30 + 1 + 0 + 3) / 6.0}}},
		"points":          {0, 61, 0, []Point{{ms, 20}, {ms + 30_000, 22}, {ms + 60_000, 30}}},
		"end is left out": {0, 60, time.Minute, []Point{{ms, 21}}},
		"steps from from": {30, 100, 40 * time.Second, []Point{{ms + 30_000, 26}}},
		"nothing":         {70, 100, time.Second, []Point{}},
		"backwards":       {100, 0, time.Second, []Point{}},
	} {
		if got := m.Series(k, at(c.from), at(c.to), c.step); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if got := m.Series(Key{Device: "other"}, at(0), at(9), 0); got == nil || len(got) != 0 {
		t.Errorf("series that is not there: got %v, want an empty list", got)
	}
	if b, _ := json.Marshal(Point{5, 1.5}); string(b) != "[5,1.5]" {
		t.Errorf("JSON of a point: %s", b)
	}
}

func TestKeepsAnHourAtAnyRate(t *testing.T) {
	m, k := newMemory(t, Config{}), Key{Device: "fast"}
	for i := range 3 * 3600 * 4 { // three hours at four a second
		m.Add(k, start.UnixMilli()+int64(i)*250, float64(i))
	}
	points := m.Series(k, start, at(4*3600), 0)
	if len(points) != 3601 || len(m.series[k].buf) > 8192 {
		t.Errorf("%d points in room for %d, want 3601", len(points), len(m.series[k].buf))
	}
	if first := points[0].TS; first < at(2*3600-2).UnixMilli() {
		t.Errorf("oldest point is %v old", at(3*3600).Sub(time.UnixMilli(first)))
	}
	if m.Add(k, start.UnixMilli(), 1.0); m.Stats().Late != 1 {
		t.Errorf("an old point: %+v, want one late", m.Stats())
	}
}

func TestRefusesNewSeriesBeyondTheBound(t *testing.T) {
	m := newMemory(t, Config{Series: 2, Keep: time.Minute})
	add := func(device area.DeviceID, s int) bool { return m.Add(Key{Device: device}, at(s).UnixMilli(), 1.0) }
	if !add("a", 0) || !add("b", 50) || add("c", 60) || !add("a", 60) {
		t.Error("a and b have a place, c has none")
	}
	if !add("c", 111) {
		t.Error("c found no place although b is too old")
	}
	if got, want := m.Stats(), (Stats{Series: 2, Refused: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestConcurrentUse(t *testing.T) {
	m := newMemory(t, Config{Series: 10})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 1000 {
				k := Key{Device: area.DeviceID(fmt.Sprint((i + n) % 12))}
				m.Add(k, at(n).UnixMilli(), float64(n))
				m.Series(k, at(0), at(n), time.Minute)
			}
		})
	}
	wg.Wait()
	if got := m.Stats().Series; got != 10 {
		t.Errorf("%d series, want 10", got)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []Config{{Keep: time.Millisecond}, {Keep: 25 * time.Hour}, {Series: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	m, _ := New(Config{})
	k := Key{Device: "hall", Metric: "temperature"}
	for i := int64(0); b.Loop(); i++ {
		m.Add(k, i*100, 1.5)
	}
}
