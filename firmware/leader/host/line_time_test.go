package host

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// wire is a trunk that the test holds in its hand, with the times of what was said.
type wire struct {
	mu      sync.Mutex
	up      bool
	said    []spoken
	heard   []func(area.Trunk)
	changed []func(bool)
}

type spoken struct {
	at time.Time
	area.Trunk
}

func (w *wire) Want(string, bool) {}

func (w *wire) Up() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.up
}

func (w *wire) Send(t area.Trunk) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, spoken{time.Now(), t})
	return nil
}

func (w *wire) Watch(heard func(area.Trunk), changed func(bool)) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard, w.changed = append(w.heard, heard), append(w.changed, changed)
	return func() {}
}

func (w *wire) Documents(func([]byte)) (func(), error) { return func() {}, nil }

// hear says something as the hub.
func (w *wire) hear(t area.Trunk) {
	t.Area, t.Life = "north", "h1"
	for _, f := range w.heard {
		f(t)
	}
	synctest.Wait()
}

// set has the connection stand, or not.
func (w *wire) set(up bool) {
	w.mu.Lock()
	w.up = up
	w.mu.Unlock()
	for _, f := range w.changed {
		f(up)
	}
	synctest.Wait()
}

// since is what of a kind was said since a moment.
func (w *wire) since(from time.Time, op area.TrunkOp) (list []spoken) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.said {
		if s.Op == op && !s.at.Before(from) {
			list = append(list, s)
		}
	}
	return list
}

// rule has a host lead without sockets, until the test ends.
func rule(t *testing.T, w *wire) *reign {
	t.Helper()
	start := time.Now()
	h, err := New(Config{Device: "gate-1", Dir: t.TempDir()}, Parts{
		Link: w, Renderer: second{}, Clock: func() area.Instant { return area.Instant(time.Since(start)) + 1 }, Now: time.Now, Log: silent,
	})
	if err != nil {
		t.Fatal(err)
	}
	doc := area.Peers{V: 1, Rev: 1, Area: "north", Hub: "hub-1", Topology: area.TopologyLocal, Mode: area.ModeAvailable, Policy: area.PolicyStop,
		LeaseMs: 3000, Volume: 70, Key: make([]byte, area.AreaKeySize), Locations: []area.PeerPlace{{ID: "1", Name: "Gate 1"}},
		Members: []area.Member{{Device: "gate-1", MID: "m1", Index: 16, Addr: "10.0.0.5:7946"}}}
	r := &reign{Host: h, area: "north", addr: "10.0.0.5:1883",
		Reign: leader.Reign{Peers: doc, Term: 200, Ready: func(string, string, uint64) {}, Heard: func(uint64) {}, Document: func([]byte) {}}}
	r.me, _ = doc.Member("gate-1")
	if r.auth, err = auth.New(guests(doc, silent), nil, time.Now, silent); err != nil {
		t.Fatal(err)
	}
	if r.broker, err = broker.New(limits("127.0.0.1:0", r.auth), silent); err != nil { // it does not listen
		t.Fatal(err)
	}
	for _, step := range []func() error{r.openArea, r.openOrders, r.openInside} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	r.line = newLine(r)
	h.inside.Store(r)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for _, part := range []func(context.Context) error{h.Run, r.run} {
		work.Go(func() {
			if err := part(ctx); err != nil {
				t.Errorf("a part ends with %v", err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		work.Wait()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return r
}

// What a leader says, and for how long it waits, by the clock: it leads once a
// second and at once on a change, settles for what it says, takes the hub's devices
// for gone 3 s after the trunk is, and says what it owes each second until it is got.
func TestLineInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{up: true}
		r := rule(t, w)
		began := time.Now()
		time.Sleep(10*time.Second + 500*time.Millisecond)
		leads := w.since(began, area.TrunkLead)
		if n := len(leads); n < 10 || n > 14 { // some more where it begins and where it has settled
			t.Errorf("in ten seconds it has said %d times that it leads", n)
		}
		settles := func(at time.Duration) (ms int64) {
			for _, s := range leads {
				if s.at.Sub(began) <= at {
					ms = s.SettleMs
				}
			}
			return ms
		}
		if s := settles(1500 * time.Millisecond); s < 2000 || s > 2300 || settles(10*time.Second) != 0 {
			t.Errorf("of 3.25 s it settles for %d ms more after a second, and for %d in the end", s, settles(10*time.Second))
		}
		w.hear(area.Trunk{Op: area.TrunkLed, Term: r.line.shown.Term})

		w.hear(area.Trunk{Op: area.TrunkUp, Device: "web-1", Location: "1", Via: area.ViaSignalR})
		online := func() bool { d, ok := r.roster.Player("web-1"); return ok && d.Presence == area.Online }
		if !online() {
			t.Fatal("a device of the hub is not there")
		}
		w.set(false)
		time.Sleep(awayAfter - time.Millisecond)
		synctest.Wait()
		if !online() {
			t.Error("a device of the hub is gone before its time")
		}
		time.Sleep(leadEvery + time.Millisecond)
		synctest.Wait()
		if online() {
			t.Error("a device of the hub is there without the hub")
		}
		w.set(true)
		w.hear(area.Trunk{Op: area.TrunkLed, Term: r.line.shown.Term})

		from := time.Now() // nobody is there to take this one
		w.hear(area.Trunk{Op: area.TrunkSubmit, N: 7, Handed: &area.Handed{Work: "o-1", Prio: area.Normal, DurMs: 1000, TTLMs: 2000, Body: area.Body{Kind: "announce"}, Att: 1}})
		time.Sleep(20 * time.Second)
		ended := func(from time.Time) (n int, last uint64) {
			for _, s := range w.since(from, area.TrunkReport) {
				if s.Report.State.Ended() {
					n, last = n+1, s.N
				}
			}
			return n, last
		}
		n, which := ended(from)
		if n < 15 || n > 20 {
			t.Errorf("in 18 s it has told the end %d times", n)
		}
		w.hear(area.Trunk{Op: area.TrunkGot, N: which})
		got := time.Now().Add(time.Millisecond)
		time.Sleep(time.Minute)
		if n, _ := ended(got); n != 0 {
			t.Errorf("it tells the end %d times more to a hub that has it", n)
		}
	})
}
