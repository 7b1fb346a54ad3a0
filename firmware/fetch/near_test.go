package fetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
)

// street is neighbours who have what the test says.
type street struct {
	mu    sync.Mutex
	has   map[area.DeviceID]Has
	bytes []byte // that who has it gives
	busy  int    // refused before one is given
	asked map[area.DeviceID]int
	given int
}

func newStreet(b []byte, has map[area.DeviceID]Has) *street {
	return &street{has: has, bytes: b, asked: map[area.DeviceID]int{}}
}

func (s *street) Ask(context.Context, clip.Sum) (shelves []Shelf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for who, has := range s.has {
		s.asked[who]++
		shelves = append(shelves, Shelf{who, has})
	}
	slices.SortFunc(shelves, func(a, b Shelf) int { return bytes.Compare([]byte(a.Device), []byte(b.Device)) })
	return shelves
}

func (s *street) Get(ctx context.Context, who area.DeviceID, sum clip.Sum, head http.Header) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has[who] != Whole {
		return nil, errors.New("nobody is at home")
	}
	rec := httptest.NewRecorder()
	if s.busy > 0 {
		s.busy--
		rec.WriteHeader(http.StatusServiceUnavailable)
		return rec.Result(), nil
	}
	s.given++
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/clips/"+sum.Hex(), nil)
	r.Header = head
	http.ServeContent(rec, r, "", time.Time{}, bytes.NewReader(s.bytes))
	return rec.Result(), nil
}

func (s *street) becomes(who area.DeviceID, has Has) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has[who] = has
}

func some(n int) []byte { return bytes.Repeat([]byte("tacet "), n) }

// A clip comes from a neighbour that has it, and from the hub where none has, or
// what it gives is another.
func TestNeighboursAreAskedFirst(t *testing.T) {
	b := some(9000)
	for name, c := range map[string]struct {
		street *street
		hub    int64 // times that it is asked
		stats  Stats
	}{
		"nobody is there":       {newStreet(b, nil), 1, Stats{Hub: 1, Fetched: 1}},
		"nobody has it":         {newStreet(b, map[area.DeviceID]Has{"gate-2": Nothing, "gate-3": Silent, "gate-4": Coming}), 1, Stats{Hub: 1, Fetched: 1}},
		"one has it":            {newStreet(b, map[area.DeviceID]Has{"gate-2": Nothing, "gate-3": Whole}), 0, Stats{Near: 1, Fetched: 1}},
		"one gives another":     {newStreet([]byte("lies"), map[area.DeviceID]Has{"gate-3": Whole}), 1, Stats{Hub: 1, Fetched: 1, Wrong: 1}},
		"all who have are busy": {&street{has: map[area.DeviceID]Has{"gate-2": Whole, "gate-3": Whole}, bytes: b, busy: 9, asked: map[area.DeviceID]int{}}, 1, Stats{Hub: 1, Fetched: 1}},
		"one of them is busy":   {&street{has: map[area.DeviceID]Has{"gate-2": Whole, "gate-3": Whole}, bytes: b, busy: 1, asked: map[area.DeviceID]int{}}, 0, Stats{Near: 1, Fetched: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, serves(b))
			cache := h.cache(Config{Near: c.street}, WebConfig{})
			f, err := cache.Fetch(t.Context(), at, clip.SumOf(b).String())
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, b) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			s := cache.Stats()
			if n := h.asked.Load(); n != c.hub || s.Hub != c.stats.Hub || s.Near != c.stats.Near || s.Fetched != c.stats.Fetched || s.Wrong != c.stats.Wrong || s.Missing != 0 {
				t.Errorf("the hub was asked %d times, want %d; %+v, want %+v", n, c.hub, s, c.stats)
			}
		})
	}
}

// What the hub began, a neighbour ends.
func TestNeighboursGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := some(9000)
		h := newHub(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "54000")
			_, _ = w.Write(b[:20_000])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		near := newStreet(b, map[area.DeviceID]Has{"gate-2": Nothing})
		cache := h.cache(Config{Near: near}, WebConfig{})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := cache.Fetch(ctx, at, clip.SumOf(b).String()); !errors.Is(err, ErrMissing) {
			t.Errorf("half a clip: %v", err)
		}
		near.becomes("gate-2", Whole)
		f, err := cache.Fetch(t.Context(), at, clip.SumOf(b).String())
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if s := cache.Stats(); s.Near != 1 || s.Resumed == 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Who awaits a clip asks the hub when it has to.
func TestAwait(t *testing.T) {
	b := some(9000)
	for name, c := range map[string]struct {
		first Has           // of the neighbour
		after time.Duration // then it becomes
		then  Has
		hub   int64         // times that the hub is asked
		least time.Duration // it takes
		most  time.Duration
	}{
		"it has it":              {Whole, time.Hour, Whole, 0, 0, time.Second},
		"it gets it":             {Nothing, 10 * time.Second, Whole, 0, 10 * time.Second, 12 * time.Second},
		"it gets it slowly":      {Coming, 5 * time.Minute, Whole, 0, 5 * time.Minute, 5*time.Minute + 2*time.Second},
		"it never begins":        {Nothing, time.Hour, Whole, 1, asideTime, asideTime + asideTime/2 + 2*time.Second},
		"it says nothing":        {Silent, time.Hour, Whole, 1, asideTime, asideTime + asideTime/2 + 2*time.Second},
		"it begins and gives up": {Coming, time.Minute, Nothing, 1, time.Minute + asideTime - 2*time.Second, time.Minute + asideTime + asideTime/2 + 2*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, serves(b))
				near := newStreet(b, map[area.DeviceID]Has{"gate-2": c.first})
				cache := h.cache(Config{Near: near}, WebConfig{})
				change := time.AfterFunc(c.after, func() { near.becomes("gate-2", c.then) })
				defer change.Stop()
				began := time.Now()
				if err := cache.Await(t.Context(), at, clip.SumOf(b).String()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < c.least || took > c.most || h.asked.Load() != c.hub {
					t.Errorf("it took %v, want %v to %v; the hub was asked %d times, want %d", took, c.least, c.most, h.asked.Load(), c.hub)
				}
			})
		})
	}
}

// Without neighbours nothing is waited for, and a name that is none is told.
func TestAwaitAlone(t *testing.T) {
	b := some(100)
	h := newHub(t, serves(b))
	cache := h.cache(Config{}, WebConfig{})
	if err := cache.Await(t.Context(), at, clip.SumOf(b).String()); err != nil || h.asked.Load() != 1 {
		t.Errorf("%v, the hub was asked %d times", err, h.asked.Load())
	}
	if err := cache.Await(t.Context(), at, clip.SumOf(b).String()); err != nil || h.asked.Load() != 1 {
		t.Errorf("again: %v, the hub was asked %d times", err, h.asked.Load())
	}
	if err := cache.Await(t.Context(), at, "sha256:0"); !errors.Is(err, ErrMissing) {
		t.Errorf("no name: %v", err)
	}
	if has, lacks := cache.Spread(t.Context(), clip.SumOf(b).String()); has != nil || lacks != nil {
		t.Errorf("the neighbours of nobody: %v, %v", has, lacks)
	}
}

func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near := newStreet(nil, map[area.DeviceID]Has{"gate-2": Whole, "gate-3": Coming, "gate-4": Nothing, "gate-5": Silent})
		h := newHub(t, nil)
		cache := h.cache(Config{Near: near}, WebConfig{})
		name := clip.SumOf(some(1)).String()
		time.AfterFunc(10*time.Second, func() { near.becomes("gate-4", Coming) })
		time.AfterFunc(time.Minute, func() { near.becomes("gate-4", Whole) })
		time.AfterFunc(2*time.Minute, func() { near.becomes("gate-3", Whole) })
		began := time.Now()
		has, lacks := cache.Spread(t.Context(), name)
		if took := time.Since(began); took < 2*time.Minute || took > 2*time.Minute+2*time.Second {
			t.Errorf("it took %v", took)
		}
		if !slices.Equal(has, []area.DeviceID{"gate-2", "gate-3", "gate-4"}) || !slices.Equal(lacks, []area.DeviceID{"gate-5"}) {
			t.Errorf("%v have it, %v lack it", has, lacks)
		}
		near.becomes("gate-4", Nothing)
		began = time.Now()
		if _, lacks = cache.Spread(t.Context(), name); time.Since(began) < spreadTime || time.Since(began) > spreadTime+2*time.Second || len(lacks) != 2 {
			t.Errorf("one that never begins: %v lack it after %v", lacks, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began = time.Now()
		if cache.Spread(ctx, name); time.Since(began) != 5*time.Second {
			t.Errorf("its context ended after 5 s, it after %v", time.Since(began))
		}
	})
}

// What a neighbour is told of a download that stands still is that nothing is
// coming.
func TestHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := some(9000)
		h := newHub(t, serves(b))
		down := func() string { return "" } // it does not know the hub
		cache := h.cache(Config{}, WebConfig{})
		sum := clip.SumOf(b)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { _, err := cache.Fetch(ctx, down, sum.String()); ended <- err }()
		synctest.Wait()
		if whole, coming := cache.Has(sum); whole || !coming {
			t.Errorf("it has begun: %v, %v", whole, coming)
		}
		time.Sleep(stillTime)
		if whole, coming := cache.Has(sum); whole || coming {
			t.Errorf("it stands still: %v, %v", whole, coming)
		}
		cancel()
		<-ended
		if _, err := cache.Look(sum); err == nil {
			t.Error("half a clip is given")
		}
		if err := cache.Await(t.Context(), at, sum.String()); err != nil {
			t.Fatal(err)
		}
		if whole, coming := cache.Has(sum); !whole || coming {
			t.Errorf("it is here: %v, %v", whole, coming)
		}
	})
}
