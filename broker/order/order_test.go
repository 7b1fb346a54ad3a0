package order

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// site is a roster of two areas: north with two players at gates 1 and 2, south
// with one, who is away.
type site struct {
	mu      sync.Mutex
	players []area.Device
}

func newSite() *site {
	return &site{players: []area.Device{
		{ID: "gate-1", Area: "north", Presence: area.Online}, {ID: "gate-2", Area: "north", Presence: area.Online},
		{ID: "gate-3", Area: "south", Presence: area.Offline}, {ID: "loose", Area: area.Unassigned, Presence: area.Online},
	}}
}

func (s *site) Area(a area.Name) (area.Area, bool) {
	return area.Area{ID: a, Volume: 70}, a == "north" || a == "south"
}

func (s *site) Players() []area.Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.players)
}

func (s *site) Resolve(to area.To) (area.Name, area.LocationID, area.DeviceID, error) {
	switch {
	case to.Area != nil && (*to.Area == "north" || *to.Area == "south" || *to.Area == "unassigned"):
		return area.Name(*to.Area), "", "", nil
	case to.Area != nil:
		return "", "", "", area.Errorf(area.CodeUnknownArea, "no area %s", *to.Area)
	case to.Location != nil && *to.Location == "1":
		return "north", "1", "", nil
	case to.Location != nil:
		return "", "", "", area.Errorf(area.CodeUnknownLocation, "no location %s", *to.Location)
	}
	for _, d := range s.players {
		if string(d.ID) == *to.Device {
			return d.Area, "", d.ID, nil
		}
	}
	return "", "", "", area.Errorf(area.CodeUnknownDevice, "no device %s", *to.Device)
}

// desk is a dispatcher that does what the test says.
type desk struct {
	mu       sync.Mutex
	works    []area.Work
	cancels  []string
	refuse   error
	onCancel func(id area.WorkID, reason string)
}

func (d *desk) Submit(_ context.Context, w area.Work) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return d.refuse
	}
	d.works = append(d.works, w)
	return nil
}

func (d *desk) Cancel(_ context.Context, id area.WorkID, reason string) error {
	d.mu.Lock()
	d.cancels = append(d.cancels, string(id)+" "+reason)
	f := d.onCancel
	d.mu.Unlock()
	if f != nil {
		f(id, reason)
	}
	return nil
}

func (d *desk) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = err
}

func (d *desk) submitted() []area.Work {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.works)
}

type bench struct {
	*Service
	desk  *desk
	site  *site
	store *Memory
	told  chan area.Order
}

func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	b := &bench{desk: &desk{}, site: newSite(), store: NewMemory(0), told: make(chan area.Order, 1000)}
	s, err := New(cfg, b.store, b.site, b.desk, Speech{}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b.Service = s
	s.Watch(func(o area.Order) {
		select {
		case b.told <- o:
		default:
			t.Errorf("the watcher is told too much")
		}
	})
	return b
}

// running is a bench whose Run runs, in a bubble.
func running(t *testing.T, cfg Config, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cfg)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		f(t, b)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
}

func say(to, text string) area.OrderRequest {
	return area.OrderRequest{To: area.To{Area: &to}, Message: &text}
}

func (b *bench) accept(t *testing.T, r area.OrderRequest) area.Order {
	t.Helper()
	o, err := b.Accept(t.Context(), r, By{Who: "ann"})
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	return o
}

func (b *bench) report(id area.WorkID, states ...area.OrderState) {
	for _, st := range states {
		r := area.Report{Work: id, State: st, Att: 1}
		if st != area.OrderWaiting && st != area.OrderOffered {
			r.Device = "gate-1"
		}
		b.Report(r)
	}
}

func (b *bench) get(t *testing.T, id area.WorkID) area.Order {
	t.Helper()
	synctest.Wait()
	o, err := b.Get(id)
	if err != nil {
		t.Fatalf("Get %s: %v", id, err)
	}
	return o
}

func states(o area.Order) string {
	var all []string
	for _, h := range o.History {
		all = append(all, string(h.State))
	}
	return strings.Join(all, " ")
}

func TestDefaults(t *testing.T) {
	b := newBench(t, Config{})
	o := b.accept(t, say("north", "hello"))
	switch {
	case o.Kind != "announce", o.Priority != area.Normal, o.Chime != "none", o.Repeat != 1, time.Duration(o.Expires) != 5*time.Minute,
		o.IfBusy != area.BusyQueue, o.Volume == nil || *o.Volume != 70, o.Redo != area.RedoRetry, o.Attempt != 1, o.Languages == nil:
		t.Errorf("defaults are wrong: %+v", o)
	case !o.ExpiresAt.Equal(o.CreatedAt.Add(5 * time.Minute)):
		t.Errorf("expires_at %s, created_at %s", o.ExpiresAt, o.CreatedAt)
	}
	if w := b.desk.submitted(); len(w) != 1 || w[0].ID != o.ID || *w[0].Body.Volume != 70 || w[0].Body.Chime != "none" {
		t.Errorf("the dispatcher got %+v", w)
	}
	if _, ok := b.store.Get(o.ID); !ok {
		t.Error("the order is not in the store")
	}
}

func TestLifeOfAnOrder(t *testing.T) {
	running(t, Config{}, func(t *testing.T, b *bench) {
		o := b.accept(t, say("north", "hello"))
		time.Sleep(time.Second)
		b.report(o.ID, area.OrderWaiting, area.OrderOffered, area.OrderOffered, area.OrderAssigned)
		b.Report(area.Report{Work: o.ID, State: area.OrderPlaying, Device: "gate-1", Att: 1, Dur: 4200 * time.Millisecond})
		o = b.get(t, o.ID)
		if got, want := states(o), "accepted waiting offered assigned playing"; got != want {
			t.Errorf("history %q, want %q", got, want)
		}
		if o.StartedAt == nil || o.DurationMs != 4200 || o.Device == nil || *o.Device != "gate-1" || o.EstimatedStart != nil {
			t.Errorf("playing order is %+v", o)
		}
		time.Sleep(4 * time.Second)
		b.report(o.ID, area.OrderPlayed)
		o = b.get(t, o.ID)
		b.report(o.ID, area.OrderFailed)
		if again := b.get(t, o.ID); o.State != area.OrderPlayed || again.State != area.OrderPlayed || o.EndedAt == nil || len(again.History) != 6 {
			t.Errorf("ended order is %+v, later %+v", o, again)
		}
		st := b.Stats()
		if st.Played != 1 || st.Live != 0 || st.Unknown != 1 || st.ToSoundP95 != time.Second {
			t.Errorf("stats %+v", st)
		}
		var last area.Order
		for len(b.told) > 0 {
			last = <-b.told
		}
		if last.State != area.OrderPlayed {
			t.Errorf("the watcher's last is %s", last.State)
		}
	})
}

func TestPreempted(t *testing.T) {
	running(t, Config{}, func(t *testing.T, b *bench) {
		o := b.accept(t, say("north", "hello"))
		b.report(o.ID, area.OrderOffered, area.OrderPlaying)
		b.Report(area.Report{Work: o.ID, State: area.OrderWaiting, Reason: area.EndPreempted, Att: 2})
		o = b.get(t, o.ID)
		if o.State != area.OrderWaiting || *o.Reason != "preempted" || o.Attempt != 2 || o.StartedAt != nil || o.Device != nil {
			t.Errorf("preempted order is %+v", o)
		}
		b.Report(area.Report{Work: o.ID, State: area.OrderOffered, Att: 2})
		if o = b.get(t, o.ID); o.Reason != nil {
			t.Errorf("the reason stays: %s", *o.Reason)
		}
	})
}

func TestReportsCoalesce(t *testing.T) {
	b := newBench(t, Config{}) // Run does not run
	o := b.accept(t, say("north", "hello"))
	b.report(o.ID, area.OrderAssigned, area.OrderPlaying)
	for range 100 {
		b.report(o.ID, area.OrderWaiting, area.OrderOffered)
	}
	b.report(o.ID, area.OrderPlaying, area.OrderPlayed)
	if n := len(b.live[o.ID].inbox); n != maxReports {
		t.Errorf("%d reports wait, want %d", n, maxReports)
	}
	b.apply()
	o, _ = b.Get(o.ID)
	if o.State != area.OrderPlayed || !strings.Contains(states(o), "accepted playing") || b.Stats().Coalesced == 0 {
		t.Errorf("state %s, history %s", o.State, states(o))
	}
	if len(o.History) > maxHistory {
		t.Errorf("history has %d lines", len(o.History))
	}
}

func TestNotBefore(t *testing.T) {
	running(t, Config{}, func(t *testing.T, b *bench) {
		r := say("north", "later")
		due := area.At(time.Now().Add(time.Hour))
		r.NotBefore = &due
		o := b.accept(t, r)
		if o.State != area.OrderWaiting || !o.ExpiresAt.Equal(due.Add(5*time.Minute)) || o.EstimatedStart == nil || !o.EstimatedStart.Equal(due.Time) {
			t.Errorf("order for later is %+v", o)
		}
		time.Sleep(time.Hour - time.Second)
		synctest.Wait()
		if n := len(b.desk.submitted()); n != 0 {
			t.Errorf("handed over before its time")
		}
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if n := len(b.desk.submitted()); n != 1 {
			t.Errorf("%d works handed over when due, want 1", n)
		}
		b.report(o.ID, area.OrderPlaying)
		synctest.Wait()
		if p := b.Stats().ToSoundP95; p > 200*time.Millisecond {
			t.Errorf("order to sound %s is not counted from when it came due", p)
		}
	})
}

func TestCancel(t *testing.T) {
	running(t, Config{}, func(t *testing.T, b *bench) {
		b.desk.onCancel = func(id area.WorkID, reason string) {
			b.Report(area.Report{Work: id, State: area.OrderCancelled, Reason: reason})
		}
		o := b.accept(t, say("north", "hello"))
		got, err := b.Cancel(t.Context(), o.ID)
		if err != nil || got.State != area.OrderCancelled || *got.Reason != "user" {
			t.Errorf("Cancel: %+v, %v", got, err)
		}
		synctest.Wait()
		if _, err := b.Cancel(t.Context(), o.ID); !errors.Is(err, &area.Error{Code: area.CodeEnded}) {
			t.Errorf("Cancel again: %v", err)
		}
		if _, err := b.Cancel(t.Context(), "o-x"); !errors.Is(err, &area.Error{Code: area.CodeNotFound}) {
			t.Errorf("Cancel of nothing: %v", err)
		}
		later := say("north", "later")
		later.NotBefore = at(area.At(time.Now().Add(time.Hour)))
		o = b.accept(t, later)
		before := len(b.desk.cancels)
		if got, err = b.Cancel(t.Context(), o.ID); err != nil || got.State != area.OrderCancelled || len(b.desk.cancels) != before {
			t.Errorf("Cancel of one that waits here: %+v, %v", got, err)
		}
	})
}

func TestCancelOfPlayingAnswersWithin300ms(t *testing.T) {
	running(t, Config{}, func(t *testing.T, b *bench) {
		o := b.accept(t, say("north", "hello"))
		b.report(o.ID, area.OrderPlaying)
		synctest.Wait()
		start := time.Now()
		got, err := b.Cancel(t.Context(), o.ID)
		if err != nil || got.State != area.OrderPlaying || time.Since(start) > 300*time.Millisecond {
			t.Errorf("Cancel: state %s, %v, after %s", got.State, err, time.Since(start))
		}
		b.report(o.ID, area.OrderCancelled) // a report without a reason gets the one it was taken back for
		if o = b.get(t, o.ID); o.State != area.OrderCancelled || o.Reason == nil || *o.Reason != "user" {
			t.Errorf("ended as %+v", o)
		}
	})
}

func TestStop(t *testing.T) {
	running(t, Config{}, func(t *testing.T, b *bench) {
		first, second := b.accept(t, say("north", "one")), b.accept(t, say("north", "two"))
		other := b.accept(t, say("south", "three"))
		b.report(first.ID, area.OrderPlaying)
		synctest.Wait()
		got, err := b.StopArea(t.Context(), "north", false)
		if err != nil || !slices.Equal(got.Stopped, []area.WorkID{first.ID}) || len(got.Cancelled) != 0 {
			t.Errorf("StopArea without the waiting: %+v, %v", got, err)
		}
		got, err = b.StopAll(t.Context(), true)
		if err != nil || !slices.Equal(got.Stopped, []area.WorkID{first.ID}) || !slices.Equal(got.Cancelled, []area.WorkID{second.ID, other.ID}) {
			t.Errorf("StopAll: %+v, %v", got, err)
		}
		if last := b.desk.cancels[len(b.desk.cancels)-1]; last != string(first.ID)+" stop" {
			t.Errorf("the sounding one is not the last that is stopped: %v", b.desk.cancels)
		}
		if _, err := b.StopArea(t.Context(), "west", true); area.CodeOf(err) != area.CodeUnknownArea {
			t.Errorf("StopArea of nothing: %v", err)
		}
	})
}

func TestDispatcherRefuses(t *testing.T) {
	running(t, Config{}, func(t *testing.T, b *bench) {
		b.desk.set(area.Errorf(area.CodeRate, "queue full"))
		r := say("north", "hello")
		r.ID = at("o-1")
		if _, err := b.Accept(t.Context(), r, By{}); area.CodeOf(err) != area.CodeRate {
			t.Errorf("Accept: %v", err)
		}
		if _, err := b.Get("o-1"); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("the refused order is there: %v", err)
		}
		b.desk.set(errors.New("not now")) // it was accepted: it is tried again until it expires
		b.accept(t, r)
		r.ID = at("o-2")
		time.Sleep(3 * time.Second)
		b.desk.set(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if w := b.desk.submitted(); len(w) != 1 || w[0].ID != "o-1" {
			t.Errorf("handed over: %+v", w)
		}
		b.desk.set(errors.New("not now"))
		b.accept(t, r)
		time.Sleep(6 * time.Minute)
		if o := b.get(t, "o-2"); o.State != area.OrderExpired {
			t.Errorf("never taken, it ends as %s", o.State)
		}
	})
}

func TestSilentDispatcher(t *testing.T) {
	running(t, Config{}, func(t *testing.T, b *bench) {
		here, away, held := b.accept(t, say("north", "a")), b.accept(t, say("south", "b")), b.accept(t, say("north", "c"))
		b.report(held.ID, area.OrderAssigned)
		time.Sleep(5*time.Minute + 20*time.Second)
		if o := b.get(t, here.ID); o.State.Ended() {
			t.Errorf("ended in the dispatcher's grace: %s", o.State)
		}
		time.Sleep(20 * time.Second)
		if o := b.get(t, here.ID); o.State != area.OrderExpired || o.Reason != nil {
			t.Errorf("player present: ended %s", o.State)
		}
		if o := b.get(t, away.ID); o.State != area.OrderFailed || *o.Reason != area.EndNoDevice {
			t.Errorf("no player present: ended %s", o.State)
		}
		if o := b.get(t, held.ID); o.State != area.OrderAssigned {
			t.Errorf("assigned: %s after its expiry", o.State)
		}
		time.Sleep(24 * time.Hour)
		if o := b.get(t, held.ID); o.State != area.OrderFailed || *o.Reason != area.EndLostContact {
			t.Errorf("assigned: ended %s", o.State)
		}
	})
}

func TestTakenUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		r := say("north", "hello")
		r.To = area.To{Device: at("gate-2")}
		o := b.accept(t, r)
		next := &desk{}
		s, err := New(Config{}, b.store, b.site, next, Speech{}, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Run(ctx)
		synctest.Wait()
		if w := next.submitted(); len(w) != 1 || w[0].ID != o.ID || w[0].Device != "gate-2" {
			t.Errorf("after a restart the dispatcher got %+v", w)
		}
	})
}

func TestTooMany(t *testing.T) {
	b := newBench(t, Config{MaxLive: 1})
	b.accept(t, say("north", "a"))
	if _, err := b.Accept(t.Context(), say("north", "b"), By{}); area.CodeOf(err) != area.CodeRate {
		t.Errorf("over the bound: %v", err)
	}
}

func TestConfig(t *testing.T) {
	err := Config{MaxLive: -1, Grace: -1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "MaxLive") || !strings.Contains(err.Error(), "Grace") {
		t.Errorf("Validate: %v", err)
	}
	if _, err := New(Config{MaxKeys: -1}, NewMemory(0), newSite(), &desk{}, Speech{}, time.Now, slog.Default()); err == nil {
		t.Error("New takes a bad configuration")
	}
}

func TestIDs(t *testing.T) {
	var g ids
	now := time.Now()
	var all []string
	for range 2000 {
		all = append(all, string(g.next(now)))
	}
	if !slices.IsSorted(all) || len(slices.Compact(all)) != 2000 || !area.IsID(all[0]) || len(all[0]) != 16 {
		t.Errorf("ids are wrong: %v", all[:3])
	}
}
