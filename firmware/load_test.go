package firmware

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/firmware/fetch"
)

// quarter is devices that share what they have; the caches are real.
type quarter struct {
	mu     sync.Mutex
	caches map[area.DeviceID]*fetch.Cache
	given  atomic.Int64 // clips, from one to another
}

// resident is the quarter as one of its devices sees it.
type resident struct {
	q  *quarter
	id area.DeviceID
}

func (r resident) Ask(_ context.Context, sum clip.Sum) (shelves []fetch.Shelf) {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	for id, c := range r.q.caches {
		if id == r.id {
			continue
		}
		s := fetch.Shelf{Device: id, Has: fetch.Nothing}
		if whole, coming := c.Has(sum); whole {
			s.Has = fetch.Whole
		} else if coming {
			s.Has = fetch.Coming
		}
		shelves = append(shelves, s)
	}
	return shelves
}

func (r resident) Get(ctx context.Context, who area.DeviceID, sum clip.Sum, head http.Header) (*http.Response, error) {
	r.q.mu.Lock()
	c := r.q.caches[who]
	r.q.mu.Unlock()
	f, err := c.Look(sum)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rec := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	req.Header = head
	http.ServeContent(rec, req, "", time.Time{}, f)
	r.q.given.Add(1)
	return rec.Result(), nil
}

// move brings a device that plays clips into the quarter.
func (q *quarter) move(t *testing.T, r *referee, s *shelf, id area.DeviceID) *dev {
	return newDev(t, r, id, func(d *dev, _ *Config) {
		c, err := fetch.Open(fetch.Config{Dir: filepath.Join(d.data, "clips"), Near: resident{q, id}}, fetch.NewWeb(fetch.WebConfig{Dial: s.pipe.Dial}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		d.clips = c
		q.mu.Lock()
		defer q.mu.Unlock()
		q.caches[id] = c
	})
}

// download is the work that brings the clip of another one.
func download(b area.Body) area.Body {
	return area.Body{Kind: area.KindDownload, Clip: b.Clip, Chime: "none", Repeat: 1}
}

// heardOf gathers the events of downloads.
func heardOf(t *testing.T, r *referee) func() []brought {
	t.Helper()
	var mu sync.Mutex
	var got []brought
	cancel, err := r.b.Subscribe("tacet/device/+/event/download", func(m area.Message) {
		var b brought
		if err := json.Unmarshal(m.Payload, &b); err != nil {
			t.Errorf("%s: %v", m.Payload, err)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, b)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return func() []brought { mu.Lock(); defer mu.Unlock(); return slices.Clone(got) }
}

func TestADownloadComesOnceForTheArea(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		s := newShelf(t, r)
		events := heardOf(t, r)
		q := &quarter{caches: map[area.DeviceID]*fetch.Cache{}}
		devs := []*dev{q.move(t, r, s, "gate-1"), q.move(t, r, s, "gate-2"), q.move(t, r, s, "gate-3")}
		tone := s.tone(3)
		letGo := s.hold(tone)
		for range 5 {
			r.offer("", "o-1", 1, download(tone))
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Second) // the hub is slow
		letGo()
		time.Sleep(10 * time.Second)
		done := r.told("", area.OpDone)
		if len(done) != 1 || done[0].Work != "o-1" || done[0].Result != area.Played || done[0].Sound != nil {
			t.Fatalf("done: %+v", done)
		}
		var near, hub, loaded uint64
		for _, d := range devs {
			st := d.clips.(*fetch.Cache).Stats()
			near, hub, loaded = near+st.Near, hub+st.Hub, loaded+d.Stats().Loaded
			if len(d.plays()) != 0 || d.Stats().Played != 0 || d.Stats().Unloaded != 0 {
				t.Errorf("%+v", d.Stats())
			}
		}
		if near != 2 || hub != 1 || loaded != 1 || q.given.Load() != 2 {
			t.Errorf("%d clips of the hub, %d of neighbours, %d downloads", hub, near, loaded)
		}
		e := events()
		if len(e) != 1 {
			t.Fatalf("events: %+v", e)
		}
		slices.Sort(e[0].Has)
		if !e[0].On || e[0].Work != "o-1" || e[0].Clip != *tone.Clip || !slices.Equal(e[0].Has, []area.DeviceID{"gate-1", "gate-2", "gate-3"}) || len(e[0].Lacks) != 0 {
			t.Errorf("event: %+v", e[0])
		}
		// What is here is played at once, without the hub.
		s.mu.Lock()
		delete(s.clips, path(tone))
		s.mu.Unlock()
		r.offer("gate-2", "o-2", 1, tone)
		time.Sleep(10 * time.Second)
		if p := devs[1].plays(); len(p) != 1 || p[0].work != "o-2" {
			t.Errorf("plays = %+v", p)
		}
	})
}

// A download keeps no sound waiting, however urgent it is, and one that cannot be
// done is given back with its reason.
func TestADownloadIsNobodysTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		s := newShelf(t, r)
		events := heardOf(t, r)
		d := reader(t, r, s, "gate-1")
		slow, gone := s.tone(3), s.tone(4)
		letGo := s.hold(slow)
		s.mu.Lock()
		delete(s.clips, path(gone))
		s.mu.Unlock()
		r.do(func() { r.prio = area.Emergency })
		r.offer("gate-1", "slow", 1, download(slow))
		r.do(func() { r.prio = area.Normal })
		time.Sleep(time.Second)
		r.offer("gate-1", "o-1", 1, speech("one"))
		time.Sleep(5 * time.Second)
		if p := d.plays(); len(p) != 1 || p[0].work != "o-1" {
			t.Errorf("beside a download: %+v", p)
		}
		letGo()
		time.Sleep(5 * time.Second)
		r.offer("gate-1", "gone", 1, download(gone))
		time.Sleep(5 * time.Second)
		if c := r.told("", area.OpDecline); len(c) != 1 || c[0].Work != "gone" || c[0].Reason != area.EndClipMissing {
			t.Errorf("declined: %+v", c)
		}
		if e := events(); len(e) != 1 || !e[0].On || !slices.Equal(e[0].Has, []area.DeviceID{"gate-1"}) {
			t.Errorf("events: %+v", e)
		}
		if done := r.told("", area.OpDone); len(done) != 2 || done[1].Work != "slow" || done[1].Result != area.Played {
			t.Errorf("done: %+v", done)
		}
	})
}

// A device without clips leaves downloads to others.
func TestADownloadNeedsClips(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		name := clip.SumOf(nil).String()
		r.offer("", "o-1", 1, area.Body{Kind: area.KindDownload, Clip: &name})
		r.offer("", "o-2", 1, area.Body{Kind: area.KindDownload})
		time.Sleep(5 * time.Second)
		if st := d.Stats(); st.Unfit != 2 || st.Takes != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// lonely is clips of which no other device ever has one.
type lonely struct{ Clips }

func (lonely) Await(ctx context.Context, _ func() string, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

func (lonely) Spread(context.Context, string) (has, lacks []area.DeviceID) {
	return nil, []area.DeviceID{"gate-2", "gate-3"}
}

func (lonely) Fetch(context.Context, func() string, string) (io.ReadSeekCloser, error) {
	return empty{bytes.NewReader(nil)}, nil
}

// empty is a file with nothing in it.
type empty struct{ *bytes.Reader }

func (empty) Close() error { return nil }

// Who has not got it is told, and downloads that find no room are counted.
func TestWhatADownloadDidNotReach(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		events := heardOf(t, r)
		d := newDev(t, r, "gate-1", func(d *dev, _ *Config) { d.clips = lonely{} })
		name := clip.SumOf(nil).String()
		r.offer("", "o-1", 1, area.Body{Kind: area.KindDownload, Clip: &name})
		time.Sleep(5 * time.Second)
		if e := events(); len(e) != 1 || e[0].On || e[0].Fault != "not at gate-2, gate-3" || len(e[0].Lacks) != 2 {
			t.Errorf("events: %+v", e)
		}
		if done := r.told("", area.OpDone); len(done) != 1 || done[0].Result != area.Played {
			t.Errorf("done: %+v", done)
		}
		r.do(func() { r.silent = true })
		for i := range mostBeside + 5 {
			r.offer("", area.WorkID("x-"+string(rune('a'+i))), 1, area.Body{Kind: area.KindDownload, Clip: &name})
		}
		time.Sleep(5 * time.Second)
		if n := d.Stats().Unloaded; n != 5 {
			t.Errorf("%d found no room, want 5", n)
		}
	})
}
