package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// node is a registry among others, and what it shows of theirs.
type node struct {
	*Registry
	mux  *backplane.Mux
	on   *disk
	stop func()

	hold chan struct{} // not nil: showing waits for it

	mu    sync.Mutex
	shown []string
}

// open starts a node of an exchange, in a bubble; stop ends it.
func open(t *testing.T, x *backplane.Exchange, name string, on *disk) *node {
	t.Helper()
	n := &node{mux: backplane.NewMux(x.Join(name, "")), on: on}
	_, ros := newRegistry(t, Config{}, new(Memory))
	hist, err := history.New(history.Config{}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if n.Registry, err = New(Config{Node: name}, ros, hist, new(Memory), on, time.Now, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	n.Join(n.mux, func(r area.Reading) {
		if n.hold != nil {
			<-n.hold
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.shown = append(n.shown, fmt.Sprint(r.Device, " ", r.Area, " ", r.Metric, " ", r.Value))
	})
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = n.mux.Run(ctx) })
	parts.Go(func() { _ = n.Run(ctx) })
	n.stop = func() { cancel(); parts.Wait(); synctest.Wait() }
	synctest.Wait()
	return n
}

// news is what was shown since it was last asked.
func (n *node) news() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := fmt.Sprint(n.shown)
	n.shown = nil
	return s
}

// is describes a device as a node shows it.
func (n *node) is(d area.DeviceID) string {
	dev, ok := n.Device(d)
	if !ok {
		return "none"
	}
	s := fmt.Sprint(dev.Name, " ", dev.Area, " ", showPresence(dev), " at ", dev.Node)
	for _, r := range dev.Readings {
		s += fmt.Sprint(", ", r.Metric, " ", r.Value, " ", r.Quality)
	}
	return s
}

// same looks that all nodes show a device so.
func same(t *testing.T, when string, d area.DeviceID, want string, all ...*node) {
	t.Helper()
	synctest.Wait()
	for _, n := range all {
		if got := n.is(d); got != want {
			t.Errorf("%s: at %s it is\n%q, want\n%q", when, n.cfg.Node, got, want)
		}
	}
}

// TestSensorsAreOne: what any node hears of a sensor all show, in whichever order it
// comes; what one takes back is gone at all.
func TestSensorsAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		a, b := open(t, x, "a", newDisk()), open(t, x, "b", newDisk())
		defer func() { a.stop() }()
		defer func() { b.stop() }()
		var urgent, calm int
		defer b.Watch(func(_ area.DeviceID, u bool) {
			if u {
				urgent++
			} else {
				calm++
			}
		})()
		a.Put(value("hall", "north", "temperature", 21.5), "t/hall", false)
		time.Sleep(time.Second)
		same(t, "first", "hall", "hall north online (connected) at a, temperature 21.5 good", a, b)
		if got := b.news(); got != "[hall north temperature 21.5]" || urgent != 1 || calm != 0 {
			t.Errorf("b has shown %s, %d times urgent, %d not", got, urgent, calm)
		}
		a.Put(value("hall", "north", "temperature", 22.0), "t/hall", false)
		time.Sleep(time.Second)
		if got := b.news(); got != "[hall north temperature 22]" || urgent != 1 || calm != 1 {
			t.Errorf("b has shown %s, %d times urgent, %d not", got, urgent, calm)
		}
		x1, _ := a.Device("hall")
		x2, _ := b.Device("hall")
		if !x1.LastSeen.Equal(x2.LastSeen.Time) || x1.Readings[0] != x2.Readings[0] && x1.Readings[0].TS != x2.Readings[0].TS {
			t.Errorf("a shows %+v, b %+v", x1, x2)
		}

		b.Put(value("hall", "north", "humidity", 40.0), "t/hall/h", false) // of another client, at another node
		b.See(mapping.Sight{Device: "hall", Name: "Hall"}, "tasmota", "t/hall/h")
		time.Sleep(time.Second)
		same(t, "heard at both", "hall", "Hall north online (connected) at b, humidity 40 good, temperature 22 good", a, b)
		a.Present(mapping.Presence{Device: "hall", State: area.Asleep, Reason: area.PresentAsleep}, "t/hall/p", false)
		time.Sleep(time.Second)
		same(t, "asleep", "hall", "Hall north asleep (asleep) at a, humidity 40 good, temperature 22 good", a, b)
		b.Put(value("hall", "north", "temperature", 23.0), "t/hall", false)
		time.Sleep(time.Second)
		same(t, "it has moved", "hall", "Hall north asleep (asleep) at b, humidity 40 good, temperature 23 good", a, b)

		b.Disown("t/hall/h", nil)
		time.Sleep(time.Second)
		same(t, "taken back", "hall", "Hall north asleep (asleep) at b, temperature 23 good", a, b)
		b.Put(value("hall", "north", "co2", nil), "t/hall/c", false)
		b.Put(value("new", "", "co2", 400.0), "t/new", true)
		time.Sleep(time.Second)
		same(t, "bad", "hall", "Hall north asleep (asleep) at b, co2 <nil> bad, temperature 23 good", a, b)
		same(t, "retained", "new", "new unassigned unknown at b, co2 400 stale", a, b)
		b.Forget("new")
		time.Sleep(time.Second)
		same(t, "forgotten", "new", "none", a, b)
		b.Put(value("new", "", "co2", 400.0), "t/new", true)
		time.Sleep(time.Second)
		if err := a.Remove(t.Context(), "new"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		same(t, "removed elsewhere", "new", "none", a, b)
		if s := a.Stats(); s.Sensors != 1 || s.Readings != 2 || s.Unread+s.Dropped+s.Unsent != 0 || len(a.history.Keys()) != 1 {
			t.Errorf("a counts %+v, and has %d series", s, len(a.history.Keys()))
		}
	})
}

// TestReadingsAreBoundOnTheirWay: however often sensors speak, the other nodes are told
// at most ten times a second, and about once a second of a thousand.
func TestReadingsAreBoundOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		a, b := open(t, x, "a", newDisk()), open(t, x, "b", newDisk())
		defer func() { a.stop() }()
		defer func() { b.stop() }()
		for _, c := range []struct {
			sensors int
			every   time.Duration
			most    int
		}{{1, 10 * time.Millisecond, 31}, {1000, 250 * time.Millisecond, 8}} { // a thousand need two envelopes
			before := a.mux.Plane().Stats().Published
			for i := range int(3 * time.Second / c.every) {
				for s := range c.sensors {
					a.Put(value(fmt.Sprint("s", s), "north", "noise", float64(i)), "t", false)
				}
				time.Sleep(c.every)
			}
			if n := a.mux.Plane().Stats().Published - before; n > uint64(c.most) || n < 3 {
				t.Errorf("of %d sensors %d envelopes were published", c.sensors, n)
			}
			time.Sleep(2 * time.Second)
			same(t, "in the end", "s0", fmt.Sprintf("s0 north online (connected) at a, noise %d good", 3*time.Second/c.every-1), a, b)
		}
	})
}

// TestNodeOfSensorsIsLost: of the sensors of a node that is gone nobody knows how they
// are; when it is back, or they are heard elsewhere, all know.
func TestNodeOfSensorsIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		disks := map[string]*disk{"a": newDisk(), "b": newDisk()}
		a, b := open(t, x, "a", disks["a"]), open(t, x, "b", disks["b"])
		defer func() { a.stop() }()
		defer func() { b.stop() }()
		for _, d := range []string{"s1", "s2"} {
			a.Put(value(d, "north", "co2", 1.0), "t/"+d, false)
		}
		a.Present(mapping.Presence{Device: "s2", State: area.Online, Reason: area.PresentConnected}, "t/s2", false)
		b.Put(value("s1", "north", "noise", 2.0), "t/s1/n", false)
		time.Sleep(time.Second)
		same(t, "before", "s1", "s1 north online (connected) at b, co2 1 good, noise 2 good", a, b)
		same(t, "before", "s2", "s2 north online (connected) at a, co2 1 good", a, b)
		a.stop()
		same(t, "a is gone", "s1", "s1 north online (connected) at b, co2 1 stale, noise 2 good", b)
		same(t, "a is gone", "s2", "s2 north unknown at a, co2 1 stale", b)
		b.Put(value("s2", "north", "co2", 3.0), "t/s2", false)
		a = open(t, x, "a", disks["a"])
		time.Sleep(time.Second)
		same(t, "a is back", "s1", "s1 north online (connected) at b, co2 1 stale, noise 2 good", a, b)
		same(t, "it has moved", "s2", "s2 north online (connected) at b, co2 3 good", a, b)
		a.Put(value("s1", "north", "co2", 4.0), "t/s1", false)
		time.Sleep(time.Second)
		same(t, "heard again", "s1", "s1 north online (connected) at a, co2 4 good, noise 2 good", a, b)
	})
}

// TestKeptSensorsOfOthers: the table that all nodes have tells what is newer there, but
// nothing of now; what it lacks of this node's is written again, and what is removed
// from it is gone.
func TestKeptSensorsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		on := newDisk()
		a := open(t, x, "a", on)
		defer func() { a.stop() }()
		a.Put(value("hall", "north", "co2", 1.0), "t/hall", false)
		time.Sleep(writeApart + writeSoon)
		synctest.Wait()
		seen := time.Now().UnixMilli()
		other := fmt.Sprintf(`{"area":"pier","name":"Hall","since":%d,"seen":%d,"by":"c","at":%d,"as_of":%d,"nodes":{"c":%d},"readings":[{"m":"noise","t":"t/n","v":3,"ts":%d,"h":%d}]}`, seen, seen, seen*1000, seen*1000, seen, seen, seen*1000)
		writes := on.written("hall")
		a.Changed("hall", []byte(other))
		same(t, "another has heard it", "hall", "Hall pier unknown at c, co2 1 good, noise 3 stale", a)
		time.Sleep(writeSoon)
		synctest.Wait()
		if n := on.written("hall") - writes; n != 1 {
			t.Errorf("what the record lacks was written %d times", n)
		}
		a.Put(value("hall", "pier", "co2", 2.0), "t/hall", false)
		a.Changed("hall", []byte(other))
		same(t, "it is heard here, and the record comes again", "hall", "Hall pier online (connected) at a, co2 2 good, noise 3 stale", a)
		a.Changed("far", []byte(other))
		same(t, "another sensor", "far", "Hall pier unknown at c, noise 3 stale", a)
		for _, bad := range []string{"{", `{"area":"north"}`} {
			a.Changed("far", []byte(bad))
		}
		a.Changed("\x00", []byte(other))
		a.Changed("hall", nil)
		same(t, "removed", "hall", "none", a)
		if s := a.Stats(); s.Sensors != 1 || s.Readings != 1 {
			t.Errorf("counted %+v", s)
		}
	})
}

// TestSensorsThatWereMissed: a node that has missed something asks for all of it, and
// what cannot be read breaks nothing.
func TestSensorsThatWereMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		a, b := open(t, x, "a", newDisk()), open(t, x, "b", newDisk())
		defer func() { a.stop() }()
		defer func() { b.stop() }()
		const many = 600  // more than one page
		a.up.Store(false) // what a has to tell waits
		for i := range many {
			a.Put(value(fmt.Sprint("s", i), "north", "a metric with a long name so that it does not go into one page", float64(i)), "home/north/of/a/long/topic/for/the/same/reason", false)
		}
		time.Sleep(2 * mostPause)
		if b.Stats().Sensors != 0 {
			t.Fatal("b knows already")
		}
		asked := b.Stats().Asked
		b.behind.add("a")
		synctest.Wait()
		if s := b.Stats(); s.Sensors != many || s.Asked != asked+1 || s.Heard < many || b.news() != "[]" {
			t.Errorf("b counts %+v", s)
		}
		a.up.Store(true)
		signal(a.stir)
		time.Sleep(2 * mostPause)
		if s := b.Stats(); s.Heard != 2*many || b.news() != "[]" { // it is told the same again
			t.Errorf("b counts %+v", s)
		}
		b.hold = make(chan struct{})
		a.Put(value("s0", "north", "co2", 1.0), "t", false)
		synctest.Wait()
		for range mostWords + 10 {
			b.enqueue(words{"a", []byte("{")})
		}
		synctest.Wait()
		close(b.hold)
		synctest.Wait()
		if s := b.Stats(); s.Dropped != 10 || s.Unread != mostWords || s.Asked < asked+2 {
			t.Errorf("b counts %+v", s)
		}
		b.enqueue(words{"a", []byte(`[{"d":""}]`)})
		b.behind.add("nobody")
		time.Sleep(time.Minute)
		if s := b.Stats(); s.Sensors != many || s.Unanswered != 0 {
			t.Errorf("b counts %+v", s)
		}
	})
}

// TestRemovedSensorStaysAway: what was on its way when an operator removed a sensor at
// another node brings it back nowhere; when it speaks again it is there.
func TestRemovedSensorStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		a, b := open(t, x, "a", newDisk()), open(t, x, "b", newDisk())
		defer func() { a.stop() }()
		defer func() { b.stop() }()
		a.Put(value("hall", "north", "co2", 1.0), "t/hall", false)
		time.Sleep(time.Second)
		a.Put(value("hall", "north", "co2", 2.0), "t/hall", false) // told at once
		synctest.Wait()
		a.Put(value("hall", "north", "co2", 3.0), "t/hall", false) // and this in a tenth of a second
		page, err := a.page("")
		if err != nil {
			t.Fatal(err)
		}
		late, _ := json.Marshal([]part{{Device: "hall", record: record{Seen: time.Now().UnixMilli()}}})
		a.Registry.mu.Lock()
		kept, _ := json.Marshal(a.devices["hall"].record("a", a.last))
		a.Registry.mu.Unlock()
		time.Sleep(time.Millisecond)
		if err := b.Remove(t.Context(), "hall"); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			for _, body := range [][]byte{page, late} {
				_, _ = b.take("a", body, false)
			}
			b.Changed("hall", kept)
			time.Sleep(20 * time.Millisecond)
		}
		same(t, "removed", "hall", "none", a, b)
		a.Put(value("hall", "north", "co2", 4.0), "t/hall", false)
		time.Sleep(time.Second)
		same(t, "it speaks again", "hall", "hall north online (connected) at a, co2 4 good", a, b)
		time.Sleep(2 * buriedFor)
		for _, n := range []*node{a, b} {
			n.Registry.mu.Lock()
			if len(n.buried) > 0 {
				t.Error("the removed one is remembered at", n.cfg.Node)
			}
			n.Registry.mu.Unlock()
		}
	})
}
