package bridge

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// follower is a client that has joined: it applies deltas to its snapshot.
type follower struct {
	from    int // events of the group before it joined
	objects map[string]map[string]json.RawMessage
	seq     map[string]uint64
}

func follow(snapshot []area.Area, from int) *follower {
	f := &follower{from: from, objects: map[string]map[string]json.RawMessage{}, seq: map[string]uint64{}}
	for _, a := range snapshot {
		f.objects[string(a.ID)], f.seq[string(a.ID)] = fields(a), a.Seq
	}
	return f
}

func fields(a area.Area) (m map[string]json.RawMessage) {
	b, _ := json.Marshal(a)
	_ = json.Unmarshal(b, &m)
	delete(m, "seq")
	return m
}

// apply takes the deltas; a hole or a repeat is an error.
func (f *follower) apply(t *testing.T, list []sent) {
	t.Helper()
	for _, s := range list {
		var d []area.Delta
		must(t, json.Unmarshal([]byte(s.args), &d))
		id := string(*d[0].Area)
		if d[0].Seq != f.seq[id]+1 {
			t.Fatalf("%s: delta %d after %d", id, d[0].Seq, f.seq[id])
		}
		f.seq[id]++
		if d[0].Removed {
			delete(f.objects, id)
			delete(f.seq, id)
			continue
		}
		if f.objects[id] == nil {
			f.objects[id] = map[string]json.RawMessage{}
		}
		for k, v := range d[0].Set {
			f.objects[id][k] = v
		}
	}
}

func (f *follower) check(t *testing.T, want []area.Area) {
	t.Helper()
	is := follow(want, 0)
	if !reflect.DeepEqual(f.objects, is.objects) || !reflect.DeepEqual(f.seq, is.seq) {
		t.Errorf("followed\n%s\nwant\n%s", encode(f.objects), encode(is.objects))
	}
}

// A watcher asks to join after an object has changed and before its delta is
// sent: it has to wait, or it would get the change twice.
func TestJoinWaitsForTheDelta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, armed := make(chan struct{}), make(chan struct{})
		hub := newWatcher()
		hub.before = func(event string) {
			select {
			case <-armed:
				if event == eventArea {
					<-gate
				}
			default:
			}
		}
		w := newWorldWatched(t, newBus(), hub)
		synctest.Wait()
		close(armed)
		w.site.change(func() {
			a := newArea("north")
			a.Volume = 5
			w.site.areas["north"] = a
		})
		synctest.Wait()
		joined := func(group string) {
			if list := hub.of(group, eventArea); !strings.Contains(list[len(list)-1].args, `"volume":5`) {
				t.Errorf("joined %s before its delta was sent", group)
			}
		}
		go func() {
			if a, _ := w.view.Join("north", joined); a.Seq != 2 {
				t.Errorf("snapshot %d of north, want 2", a.Seq)
			}
		}()
		go func() {
			if all := w.view.JoinAll(joined); all[0].Seq != 2 {
				t.Errorf("snapshot %d of north among all, want 2", all[0].Seq)
			}
		}()
		synctest.Wait()
		close(gate)
		synctest.Wait()
		w.close()
	})
}

// Watchers join all the time while three sources change what they watch.
func TestDeltasHaveNoHoleAndNoRepeat(t *testing.T) {
	b := newBus()
	w := newWorld(t, b)
	var all, north []*follower
	join := func() {
		var before int
		snapshot := w.view.JoinAll(func(group string) { before = len(w.hub.of(group, eventArea)) })
		all = append(all, follow(snapshot, before))
		one, ok := w.view.Join("north", func(group string) { before = len(w.hub.of(group, eventArea)) })
		if !ok {
			t.Error("north is not there")
		}
		north = append(north, follow([]area.Area{one}, before))
	}
	const n = 150
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			w.site.change(func() {
				a := newArea("north")
				a.Volume = i
				w.site.areas["north"] = a
				if name := area.Name(fmt.Sprint("more-", i%5)); rand.IntN(2) == 0 {
					w.site.areas[name] = newArea(name)
				} else {
					delete(w.site.areas, name)
				}
			})
		}
	})
	wg.Go(func() {
		for i := range n {
			busy := area.IdleBusy("north", 1, uint64(i), time.Second)
			must(t, b.Publish(t.Context(), area.Message{Topic: area.BusyTopic("north"), Payload: busy.Encode(), Retain: true, From: area.FromArbiter}))
		}
	})
	wg.Go(func() {
		for i := range n {
			w.desk.put(area.Order{ID: area.WorkID(fmt.Sprint("o-", i)), Area: "south"})
		}
	})
	for range 20 {
		join()
	}
	wg.Wait()
	w.hub.await(t, "area:south", eventOrder, n)
	last := string(area.IdleBusy("north", 1, n-1, time.Second).Encode())
	w.hub.until(t, "the last change of north", func() bool {
		a, _ := w.view.Area("north")
		return string(a.Busy) == last && a.Volume == n-1
	})
	w.close()
	for _, f := range all {
		f.apply(t, w.hub.of(All, eventArea)[f.from:])
		f.check(t, w.view.Areas())
	}
	for _, f := range north {
		f.apply(t, w.hub.of("area:north", eventArea)[f.from:])
		a, _ := w.view.Area("north")
		f.check(t, []area.Area{a})
	}
}

func TestViewOfAnArea(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus()
		w := newWorld(t, b)
		synctest.Wait()
		say := func(busy area.Busy) {
			must(t, b.Publish(t.Context(), area.Message{Topic: area.BusyTopic("north"), Payload: busy.Encode(), From: area.FromArbiter}))
			synctest.Wait()
		}
		held := area.IdleBusy("north", 2, 5, time.Second)
		held.State = area.Held
		say(held)
		if w.view.Speaking() != 1 {
			t.Errorf("%d areas speak, want 1", w.view.Speaking())
		}
		say(area.IdleBusy("north", 2, 4, time.Second)) // older
		say(area.IdleBusy("south", 2, 9, time.Second)) // of another area
		w.desk.put(area.Order{ID: "o-1", Area: "north", State: area.OrderWaiting})
		synctest.Wait()
		a, _ := w.view.Area("north")
		if string(a.Busy) != string(held.Encode()) || a.Seq != 3 || len(a.Queue) != 1 {
			t.Errorf("north: %s", encode(a))
		}
		if a, _ = w.view.Area("south"); !strings.Contains(string(a.Busy), `"state":"settling","holder":null`) || string(encode(a.Queue)) != "[]" || a.Seq != 1 {
			t.Errorf("south: %s", encode(a))
		}
		w.site.change(func() { delete(w.site.areas, "north") })
		synctest.Wait()
		if got := w.hub.of(All, eventArea); got[len(got)-1].args != `[{"area":"north","seq":4,"removed":true}]` || w.view.Speaking() != 0 {
			t.Errorf("removed: %s", got[len(got)-1].args)
		}
		if got := events(w.hub.of("area:north", eventOrder)); len(w.hub.of(All, eventOrder)) != 1 || got == "" {
			t.Errorf("OrderChanged: %s", got)
		}
		w.close()
		if w.view.Stats() != (ViewStats{AreaDeltas: 5, Orders: 1}) {
			t.Errorf("%+v", w.view.Stats())
		}
		if _, ok := w.view.Join("south", func(string) {}); !ok || len(w.view.JoinAll(func(string) {})) != 1 {
			t.Error("joining is not possible after the end")
		}
	})
}

// Who makes an area finds it in the view when it has caught up, with every key.
func TestViewCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		synctest.Wait()
		for i := range 50 {
			name := area.Name(fmt.Sprint("new-", i))
			w.site.change(func() { w.site.areas[name] = newArea(name) })
			w.view.CatchUp()
			if a, ok := w.view.Area(name); !ok || a.Seq != 1 || !strings.Contains(string(a.Busy), `"term":0,"rev":0,"state":"settling"`) {
				t.Fatalf("%s right after it was made: %s", name, encode(a))
			}
		}
		w.close()
		w.view.CatchUp()
	})
}

// Whoever is told of a change finds it shown, also where the roster has told others first.
func TestViewTellsWhatItShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		synctest.Wait()
		var shown []string
		cancel := w.view.Watch(func() {
			a, _ := w.view.Area("north")
			d, _ := w.view.Device("gate-1")
			shown = append(shown, fmt.Sprint(a.Name, " ", d.Presence))
		})
		told := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if !slices.Equal(shown, want) {
				t.Errorf("told of %q, want %q", shown, want)
			}
			shown = nil
		}
		for _, p := range []area.Presence{area.Online, area.Offline} {
			w.site.change(func() {
				w.site.players["gate-1"] = area.Device{ID: "gate-1", Kind: "player", Area: "north", Presence: p}
			})
			told("north " + string(p))
		}
		w.site.change(func() { w.site.areas["north"] = area.Area{ID: "north", Name: "The North"} })
		told("The North offline")
		w.publish(t, "home/north/hall/co2", "400")
		told()
		w.site.change(func() {})
		told()
		cancel()
		w.site.change(func() { delete(w.site.players, "gate-1") })
		told()
		w.close()
	})
}

func TestViewOfDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		synctest.Wait()
		last := func(group string) (d area.Delta) {
			t.Helper()
			synctest.Wait()
			list := w.hub.of(group, eventDevice)
			var deltas []area.Delta
			must(t, json.Unmarshal([]byte(list[len(list)-1].args), &deltas))
			return deltas[0]
		}
		w.publish(t, "home/north/hall/co2", "400")
		if d := last("area:north"); d.Seq != 1 || string(d.Set["kind"]) != `"sensor"` || len(d.Set) != 16 {
			t.Errorf("a new sensor: %s", encode(d))
		}
		for i := range 10 { // gathered
			w.publish(t, "home/north/hall/co2", fmt.Sprint(i))
			time.Sleep(50 * time.Millisecond)
		}
		if d := last("area:north"); d.Seq != 1 {
			t.Errorf("a reading has a delta of its own: %s", encode(d))
		}
		time.Sleep(time.Second)
		if d := last("area:north"); d.Seq != 2 || len(d.Set) != 2 || d.Set["readings"] == nil || d.Set["last_seen"] == nil {
			t.Errorf("gathered readings: %s", encode(d))
		}
		time.Sleep(time.Hour)
		if d := last("area:north"); string(d.Set["presence"]) != `"offline"` || d.Seq != 3 {
			t.Errorf("a silent sensor: %s", encode(d))
		}
		if _, err := w.reg.Assign("hall", registryAssignment("south")); err != nil {
			t.Fatal(err)
		}
		if d := last("area:north"); d.Seq != 4 || string(d.Set["area"]) != `"south"` || len(d.Set) != 2 {
			t.Errorf("moved away: %s", encode(d))
		}
		if d := last("area:south"); d.Seq != 4 || len(d.Set) != 16 {
			t.Errorf("moved here: %s", encode(d))
		}
		w.publish(t, "tacet/device/gate-1/tele/noise", "60")
		if d := last(All); string(d.Set["area"]) != `"unassigned"` || string(d.Set["id"]) != `"gate-1"` {
			t.Errorf("an unassigned one: %s", encode(d))
		}
		w.site.change(func() {
			w.site.players["gate-1"] = area.Device{ID: "gate-1", Kind: "player", Area: "north", Presence: area.Online}
		})
		if d := last("area:north"); d.Seq != 2 || string(d.Set["kind"]) != `"player"` || w.view.Online() != 1 {
			t.Errorf("the sensor is a player: %s", encode(d))
		}
		if got := w.view.Devices(DeviceFilter{Kind: "player", Area: "north", Presence: area.Online}); len(got) != 1 || len(got[0].Readings) != 1 || got[0].Readings[0].Area != "north" {
			t.Errorf("players: %s", encode(got))
		}
		if got := w.view.Devices(DeviceFilter{}); len(got) != 2 || got[0].ID != "gate-1" {
			t.Errorf("devices: %s", encode(got))
		}
		w.close()
	})
}

func TestManyReadingsGoInPortions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		const n = 1000
		round := func() {
			for i := range n {
				w.publish(t, fmt.Sprintf("home/north/s%d/co2", i), fmt.Sprint(time.Now().UnixMilli()))
			}
			synctest.Wait()
		}
		round()
		time.Sleep(time.Millisecond)
		round()
		before := len(w.hub.of(All, eventDevice))
		for range 12 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if now := len(w.hub.of(All, eventDevice)); now-before > n/10 {
				t.Errorf("%d devices at once, want at most %d", now-before, n/10)
			}
			before = len(w.hub.of(All, eventDevice))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := len(w.hub.of(All, eventDevice)); got != 2*n {
			t.Errorf("%d deltas, want %d", got, 2*n)
		}
		w.close()
	})
}

func TestMailboxDropsTheOldestOrder(t *testing.T) {
	m := newMailbox(2)
	for i := range 5 {
		m.order(area.Order{Attempt: i})
	}
	if l := m.take(); len(l.orders) != 2 || l.orders[0].Attempt != 3 || m.dropped.Load() != 3 {
		t.Errorf("%+v, %d dropped", l.orders, m.dropped.Load())
	}
}
