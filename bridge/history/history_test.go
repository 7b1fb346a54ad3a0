package history

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

var start = time.Unix(1_795_255_200, 0)

func at(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }

// clock is a wall clock that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func open(t testing.TB, cfg Config, c *clock) *Store {
	t.Helper()
	s, err := New(cfg, c.read, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSeries(t *testing.T) {
	c := &clock{now: start}
	s, k := open(t, Config{}, c), Key{Device: "hall", Metric: "temperature"}
	for _, p := range []struct {
		at int
		v  any
	}{{0, 20.0}, {60, 30.0}, {30, 22.0}, {200, true}, {230, false}, {300, "open"}} {
		s.Add(k, at(p.at).UnixMilli(), p.v)
	}
	s.Add(k, at(230).UnixMilli()+500, 3.0)
	ms := start.UnixMilli()
	check := func(when string) {
		t.Helper()
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
			if got := s.Series(k, at(c.from), at(c.to), c.step); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s, %s: got %v, want %v", when, name, got, c.want)
			}
		}
	}
	check("gathered")
	c.set(at(600))
	s.rotate()
	check("in a segment")
	if got := s.Series(Key{Device: "other"}, at(0), at(9), 0); got == nil || len(got) != 0 {
		t.Errorf("series that is not there: got %v, want an empty list", got)
	}
	if b, _ := json.Marshal(Point{5, 1.5}); string(b) != "[5,1.5]" {
		t.Errorf("JSON of a point: %s", b)
	}
}

// fill lets a sensor measure once a second for a while, with a rotation each
// window.
func fill(s *Store, c *clock, k Key, from, to int, value func(i int) float64) {
	fillEach(s, c, k, from, to, 1, value)
}

func fillEach(s *Store, c *clock, k Key, from, to, step int, value func(i int) float64) {
	for i := from; i < to; i += step {
		c.set(at(i))
		s.Add(k, at(i).UnixMilli(), value(i))
		if i%10 == 9 {
			s.flush()
		}
		if c.read().Sub(s.windowBegun()) >= s.cfg.Window {
			s.rotate()
		}
	}
}

func count(i int) float64 { return float64(i) }

func TestPointsForAnHourThenMeans(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			c := &clock{now: start}
			s, k := open(t, Config{Dir: dir}, c), Key{Device: "hall", Metric: "co2", Channel: "a"}
			fill(s, c, k, 0, 3*3600, count)
			recent := s.Series(k, at(2*3600+600), at(3*3600), 0)
			if len(recent) != 3000 || recent[0].Value != 2*3600+600 {
				t.Errorf("%d points of the last 50 minutes, the first %v", len(recent), recent[0])
			}
			old := s.Series(k, at(0), at(3600), 0)
			if len(old) != 360 || old[0].Value != 4.5 || old[0].TS != start.UnixMilli() {
				t.Errorf("%d means of the first hour, the first %v", len(old), old[0])
			}
			if steps := s.Series(k, at(0), at(3*3600), time.Hour); len(steps) != 3 || math.Abs(steps[1].Value-(3600+1799.5)) > 0.01 {
				t.Errorf("hours: %v", steps)
			}
			fillEach(s, c, k, 3*3600, 26*3600, 60, count)
			if gone := s.Series(k, at(0), at(3600), 0); len(gone) != 0 {
				t.Errorf("%d points after a day", len(gone))
			}
			if there := s.Series(k, at(3*3600), at(26*3600), time.Hour); len(there) != 23 {
				t.Errorf("%d hours of 23", len(there))
			}
			if got := s.Stats(); got.Failed != 0 || got.Damaged != 0 || got.Shed != 0 || got.Segments > 2*6*24 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestSurvivesTheProcess(t *testing.T) {
	for _, seconds := range []int{5, 599, 1300, 7300} {
		t.Run(fmt.Sprint(seconds), func(t *testing.T) {
			dir, c := t.TempDir(), &clock{now: start}
			s, k := open(t, Config{Dir: dir}, c), Key{Device: "hall", Metric: "co2"}
			fill(s, c, k, 0, seconds, count)
			s.flush()
			want := s.Series(k, at(0), at(seconds), 0)
			for range 3 { // each is killed: nothing is closed, nothing is sealed
				s = open(t, Config{Dir: dir}, c)
				if got := s.Series(k, at(0), at(seconds), 0); !reflect.DeepEqual(got, want) {
					t.Fatalf("%d points, want %d", len(got), len(want))
				}
			}
			fill(s, c, k, seconds, seconds+1500, count)
			if got := s.Series(k, at(seconds-1), at(seconds+1500), 0); len(got) != 1501 {
				t.Errorf("%d points afterwards, want 1501", len(got))
			}
		})
	}
}

func TestKilledBetweenTwoSegments(t *testing.T) {
	dir, c := t.TempDir(), &clock{now: start}
	s, k := open(t, Config{Dir: dir}, c), Key{Device: "hall", Metric: "co2"}
	fill(s, c, k, 0, 300, count)
	s.flush()
	c.set(at(600))
	all, from, to, _ := s.take()
	s.seal(all, from, to, kindMean)
	s = open(t, Config{Dir: dir}, c)
	if got := s.Series(k, at(0), at(600), 0); len(got) != 300 {
		t.Errorf("%d points, want 300", len(got))
	}
	if got := s.Stats(); got.Segments != 0 {
		t.Errorf("%+v", got)
	}
}

func TestDamageIsLeftOut(t *testing.T) {
	dir, c := t.TempDir(), &clock{now: start}
	s, k := open(t, Config{Dir: dir}, c), Key{Device: "hall", Metric: "co2"}
	fill(s, c, k, 0, 1500, count)
	s.flush()
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(f) == journalEnd {
			b = b[:len(b)-3] // killed while it wrote
		} else {
			b[len(b)/2] ^= 0x55
		}
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, Config{Dir: dir}, c)
	if got := s.Series(k, at(0), at(1500), 0); len(got) < 280 || len(got) > 300 {
		t.Errorf("%d points, want nearly the 300 of the journal", len(got))
	}
	if s.Stats().Damaged == 0 {
		t.Error("damage is not counted")
	}
	fill(s, c, k, 1500, 3000, count)
}

func TestOldTimesOfASensorAreKept(t *testing.T) {
	c := &clock{now: start}
	s, k := open(t, Config{Dir: t.TempDir()}, c), Key{Device: "Device A", Metric: "temperature"}
	old := time.UnixMilli(1483228800000)
	s.Add(k, old.UnixMilli()+1000, 43.0)
	s.Add(k, old.UnixMilli(), 42.0)
	want := []Point{{old.UnixMilli(), 42}, {old.UnixMilli() + 1000, 43}}
	for range 2 {
		if got := s.Series(k, old, old.Add(time.Minute), 0); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		c.set(at(600))
		s.rotate()
	}
}

func TestRefusesNewSeriesBeyondTheBound(t *testing.T) {
	c := &clock{now: start}
	s := open(t, Config{Series: 2, Window: time.Second, Raw: time.Second, Keep: time.Minute}, c)
	add := func(device area.DeviceID, sec int) bool {
		c.set(at(sec))
		return s.Add(Key{Device: device}, at(sec).UnixMilli(), 1.0)
	}
	if !add("a", 0) || !add("b", 50) || add("c", 60) || !add("a", 60) {
		t.Error("a and b have a place, c has none")
	}
	s.rotate()
	if !add("c", 111) {
		t.Error("c found no place although b is too old")
	}
	if got := s.Stats(); got.Series != 2 || got.Refused != 1 {
		t.Errorf("%+v", got)
	}
}

// TestADayOfAThousandSensors is the size that is promised: noise is the hardest
// to compress.
func TestADayOfAThousandSensors(t *testing.T) {
	c, r := &clock{now: start}, rand.New(rand.NewPCG(1, 2))
	s := open(t, Config{Dir: t.TempDir()}, c)
	for i := range 600 {
		c.set(at(i))
		for n := range 1000 {
			s.Add(Key{Device: area.DeviceID(fmt.Sprintf("sensor-%d", n)), Metric: "temperature"}, at(i).UnixMilli()+r.Int64N(20), math.Round(2000+100*r.NormFloat64())/100)
		}
		s.flush()
	}
	journal := s.Stats().Bytes
	c.set(at(600))
	s.rotate()
	var raw, mean int64
	for _, g := range s.segments {
		if g.kind == kindRaw {
			raw = g.size
		} else {
			mean = g.size
		}
	}
	day := 144*mean + 7*raw + 2*journal
	t.Logf("window: journal %d, points %d, means %d bytes; a day %.1f MiB", journal, raw, mean, float64(day)/(1<<20))
	if day > 64<<20 {
		t.Errorf("a day is %d bytes, more than 64 MiB", day)
	}
}

func TestShedsTheOldestForWantOfRoom(t *testing.T) {
	c := &clock{now: start}
	s, k := open(t, Config{Dir: t.TempDir(), Bytes: 1 << 16, Raw: 24 * time.Hour}, c), Key{Device: "d"}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 40 {
		k.Metric = fmt.Sprint(n)
		fill(s, c, k, n*700, n*700+700, func(int) float64 { return r.Float64() })
	}
	got := s.Stats()
	if got.Shed == 0 || got.Bytes > 2<<16 {
		t.Errorf("%+v", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	s, err := New(Config{Series: 10, Dir: t.TempDir(), Window: time.Second, Raw: time.Second}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 1000 {
				k := Key{Device: area.DeviceID(fmt.Sprint((i + n) % 12))}
				s.Add(k, at(n).UnixMilli(), float64(n))
				s.Series(k, at(0), at(n), time.Minute)
				if n%100 == 0 {
					s.flush()
					s.rotate()
				}
			}
		})
	}
	wg.Wait()
	if got := s.Stats().Series; got != 10 {
		t.Errorf("%d series, want 10", got)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []Config{{Keep: time.Millisecond}, {Window: 2 * time.Hour}, {Series: -1}, {Bytes: 1}} {
		if _, err := New(c, time.Now, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	c := &clock{now: start}
	s, k := open(b, Config{}, c), Key{Device: "hall", Metric: "temperature"}
	for i := int64(0); b.Loop(); i++ {
		s.Add(k, i*100, 1.5)
	}
}

// TestJoin: the means of two histories are those of all points, wherever each is.
func TestJoin(t *testing.T) {
	c := &clock{now: start}
	a, b, k := open(t, Config{}, c), open(t, Config{}, c), Key{Device: "hall", Metric: "temperature"}
	for i, s := range []*Store{a, b, b, a, b} {
		s.Add(k, at(40*i).UnixMilli(), float64(i))
	}
	ms := start.UnixMilli()
	sums := func(s *Store) []Sum { return s.Sums(k, start, at(600), time.Minute) }
	raw, err := json.Marshal(sums(b))
	var there []Sum
	if err == nil {
		err = json.Unmarshal(raw, &there)
	}
	if err != nil || !reflect.DeepEqual(there, sums(b)) {
		t.Fatalf("%s is read as %v, %v", raw, there, err)
	}
	want := []Point{{ms, 0.5}, {ms + 60_000, 2}, {ms + 120_000, 3.5}}
	if got := Means(Join(sums(a), there)); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Means(Join(sums(a), nil)); len(got) != 2 {
		t.Errorf("with nothing: %v", got)
	}
}
