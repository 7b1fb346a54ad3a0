package deviced

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// bus takes what is published.
type bus struct {
	mu   sync.Mutex
	list []area.Message
}

func (b *bus) Publish(_ context.Context, batch ...area.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, batch...)
	return nil
}

// take is what was published since the last time.
func (b *bus) take() (list []area.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, b.list = b.list, nil
	return list
}

func (b *bus) Subscribe(string, func(area.Message)) (func(), error) { return func() {}, nil }

// Each member hands its announcements to the leader while the area is on its own,
// by the same ids; else it is silent.
func TestAnnouncementsWhileTheHubIsAway(t *testing.T) {
	cfg := Default()
	cfg.Device, cfg.Area = "gate-1", "North Wing"
	cfg.Announcements = []Announcement{{ID: "closing", Cron: "*/5 * * * *", Message: "we close soon", Priority: "high"}, {ID: "beacon", Every: area.Duration(7 * time.Minute), Clip: "sha256:" + strings.Repeat("ab", 32)}}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // it begins at midnight, the first of January 2000
		var cut atomic.Bool
		var clock atomic.Value
		clock.Store(area.ClockSynced)
		// The bubble's clock is before anything was built.
		now := func() time.Time { return time.Now().AddDate(100, 0, 0) }
		member := func() *bus {
			b := &bus{}
			s, err := newAnnouncer(cfg, announcer{up: b, alone: func() (area.Name, bool) { return "north", cut.Load() }, clock: func() string { return clock.Load().(string) }, log: silent}, now)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				done <- besideAnnouncer(ctx, s, func(ctx context.Context) error { <-ctx.Done(); return nil })
			}()
			t.Cleanup(func() { stop(); <-done })
			return b
		}
		one, two := member(), member()
		after := func(d time.Duration) (ids []string) {
			time.Sleep(d)
			synctest.Wait()
			first, second := one.take(), two.take()
			if len(first) != len(second) {
				t.Fatalf("one member says %d works, another %d", len(first), len(second))
			}
			for i, m := range first {
				if string(m.Payload) != string(second[i].Payload) {
					t.Errorf("one says %s, another %s", m.Payload, second[i].Payload)
				}
				s, err := area.ParseSubmit(m.Payload)
				if err != nil || m.Topic != area.SubmitTopic("north") || m.QoS != 1 {
					t.Errorf("%+v, %v", m, err)
				}
				ids = append(ids, string(s.Work))
			}
			return ids
		}
		if ids := after(12 * time.Minute); len(ids) != 0 {
			t.Errorf("while the hub is there: %v", ids)
		}
		cut.Store(true)
		ids := after(10*time.Minute + time.Second)
		if want := 2 + 2; len(ids) < want-1 || len(ids) > want+1 {
			t.Errorf("in ten minutes %v", ids)
		}
		if slices.Sort(ids); len(slices.Compact(ids)) != len(ids) {
			t.Errorf("two firings have one id: %v", ids)
		}
		clock.Store(area.ClockUnknown)
		if ids := after(12 * time.Minute); len(ids) != 0 {
			t.Errorf("without knowing the time: %v", ids)
		}
	})
}

func TestAnnouncementFaults(t *testing.T) {
	good := Announcement{ID: "closing", Cron: "* * * * *", Message: "x"}
	for name, change := range map[string]func(*Announcement){
		"no id":         func(a *Announcement) { a.ID = "" },
		"neither time":  func(a *Announcement) { a.Cron = "" },
		"both times":    func(a *Announcement) { a.Every = area.Duration(time.Minute) },
		"no such cron":  func(a *Announcement) { a.Cron = "* *" },
		"too often":     func(a *Announcement) { a.Cron, a.Every = "", area.Duration(9*time.Second) },
		"backwards":     func(a *Announcement) { a.Cron, a.Every = "", area.Duration(-time.Minute) },
		"no such zone":  func(a *Announcement) { a.TimeZone = "Nowhere" },
		"says nothing":  func(a *Announcement) { a.Message = "" },
		"says two":      func(a *Announcement) { a.Clip = "sha256:" + strings.Repeat("ab", 32) },
		"no such clip":  func(a *Announcement) { a.Message, a.Clip = "", "x" },
		"no such prio":  func(a *Announcement) { a.Priority = "loud" },
		"no such chime": func(a *Announcement) { a.Chime = strings.Repeat("x", 1000) },
	} {
		cfg := Default()
		cfg.Device, cfg.Area = "gate-1", "north"
		one := good
		change(&one)
		cfg.Announcements = []Announcement{one}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "announcements[0]") {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := Default()
	often := good
	often.Cron, often.Every = "", area.Duration(time.Second)
	cfg.Device, cfg.Area, cfg.Announcements = "gate-1", "north", []Announcement{{ID: "x", Message: "x"}, often}
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "announcements[0]: exactly one of cron and every is needed") || !strings.Contains(err.Error(), "announcements[1].every: 1s is less than 10s") {
		t.Errorf("what is wrong is not named: %v", err)
	}
	cfg = Default()
	cfg.Device, cfg.Area, cfg.Announcements = "gate-1", "north", []Announcement{good, good}
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "stands twice") {
		t.Errorf("twice: %v", err)
	}
}
