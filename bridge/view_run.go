package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// maxBusy bounds the areas whose busy is kept, also those that the roster does
// not have yet: over an outside broker anybody may make some up.
const maxBusy = 10_000

// Gathered readings go out in this many portions, of so many devices at least.
const (
	portions   = 10
	minPortion = 64
)

// owned is what the view's objects are made of; Run's goroutine alone has it.
type owned struct {
	base    map[area.Name]area.Area // the roster's part
	busy    map[area.Name]area.Busy
	raw     map[area.Name][]byte
	queue   map[area.Name][]area.Queued
	players map[area.DeviceID]area.Device // the roster's part
	late    map[area.DeviceID]struct{}    // devices with new readings alone
	going   []area.DeviceID               // of them, those whose turn it is
	portion int                           // how many of these go at a time
}

func newOwned() owned {
	return owned{
		base: map[area.Name]area.Area{}, busy: map[area.Name]area.Busy{}, raw: map[area.Name][]byte{},
		queue: map[area.Name][]area.Queued{}, players: map[area.DeviceID]area.Device{}, late: map[area.DeviceID]struct{}{},
	}
}

// Run owns the objects and sends their deltas until ctx ends; it then returns
// nil. Its error is that of the subscription.
func (v *View) Run(ctx context.Context) error {
	defer close(v.ended)
	cancel, err := v.Bus.Subscribe(area.BusyTopic("+"), v.mail.heard)
	if err != nil {
		return fmt.Errorf("subscribe to the areas' busy: %w", err)
	}
	defer cancel()
	defer v.Roster.Watch(v.mail.roster)()
	defer v.Orders.Watch(v.mail.order)()
	defer v.Sensors.Watch(v.mail.sensor)()
	v.mail.roster()
	for _, d := range v.Sensors.Devices() {
		v.mail.sensor(d.ID, true)
	}
	v.read(v.mail.take())
	close(v.ready)
	v.loop(ctx)
	return nil
}

func (v *View) loop(ctx context.Context) {
	settle := time.NewTimer(v.cfg.Settle)
	settle.Stop()
	defer settle.Stop()
	waiting := false // for settle
	for {
		select {
		case <-ctx.Done():
			return
		case join := <-v.joins:
			join()
		case <-v.mail.wake:
			v.read(v.mail.take())
		case <-settle.C:
			waiting = false
			v.settled()
		}
		if pause := v.pause(); pause > 0 && !waiting {
			waiting = true
			settle.Reset(pause)
		}
	}
}

// read makes of the letters what they change, each object once.
func (v *View) read(l letters) {
	areas, devices := map[area.Name]struct{}{}, map[area.DeviceID]struct{}{}
	if l.roster {
		v.readRoster(areas, devices)
	}
	for a, b := range l.busy {
		was, ok := v.state.busy[a]
		if !ok && len(v.state.busy) >= maxBusy || ok && was.Newer(b) {
			continue
		}
		v.state.busy[a], v.state.raw[a] = b, l.raw[a]
		areas[a] = struct{}{}
	}
	for _, o := range l.orders {
		v.orders.Add(1)
		toWatchers(v.Hub, o.Area, eventOrder, o)
		areas[o.Area] = struct{}{}
		delete(v.state.queue, o.Area)
	}
	changed := len(areas)+len(devices) > 0 // areas and players, no sensors yet
	for d, urgent := range l.sensors {
		if urgent {
			devices[d] = struct{}{}
		} else {
			v.state.late[d] = struct{}{}
		}
	}
	for a := range areas {
		v.remakeArea(a)
	}
	for d := range devices {
		v.remakeDevice(d)
	}
	if changed {
		v.watchers.changed()
	}
}

// readRoster finds the areas and players whose part of the roster changed.
func (v *View) readRoster(areas map[area.Name]struct{}, devices map[area.DeviceID]struct{}) {
	base := map[area.Name]area.Area{}
	for _, a := range v.Roster.Areas() {
		base[a.ID] = a
	}
	differ(v.state.base, base, areas)
	players := map[area.DeviceID]area.Device{}
	for _, d := range v.Roster.Players() {
		players[d.ID] = d
	}
	differ(v.state.players, players, devices)
	v.state.base, v.state.players = base, players
}

// differ adds the keys under which two maps differ.
func differ[K comparable, V any](was, is map[K]V, keys map[K]struct{}) {
	for k, a := range is {
		if b, ok := was[k]; !ok || !reflect.DeepEqual(a, b) {
			keys[k] = struct{}{}
		}
	}
	for k := range was {
		if _, ok := is[k]; !ok {
			keys[k] = struct{}{}
		}
	}
}

// pause is how long until devices' readings are sent; 0: there are none.
func (v *View) pause() time.Duration {
	switch {
	case len(v.state.going) > 0:
		return v.cfg.Settle / portions
	case len(v.state.late) > 0:
		return v.cfg.Settle
	}
	return 0
}

// settled remakes devices whose readings were gathered: few at once, many in
// portions, so that thousands do not flood the queues of the watchers.
func (v *View) settled() {
	s := &v.state
	if len(s.going) == 0 {
		s.going = slices.AppendSeq(s.going, maps.Keys(s.late))
		s.portion = max(minPortion, (len(s.going)+portions-1)/portions)
		clear(s.late)
	}
	n := min(s.portion, len(s.going))
	for _, d := range s.going[:n] {
		v.remakeDevice(d)
	}
	s.going = slices.Delete(s.going, 0, n)
}

// remakeArea makes an area's object anew and sends what is different.
func (v *View) remakeArea(name area.Name) {
	was, known := v.areas[name]
	next, ok := v.state.base[name]
	if !ok {
		v.forgetArea(name, was, known)
		return
	}
	if _, ok := v.state.queue[name]; !ok {
		v.state.queue[name] = append([]area.Queued{}, v.Orders.Queue(name)...)
	}
	next.Busy, next.Queue = v.busyOf(next), v.state.queue[name]
	set := area.Diff(nil, next)
	if known {
		set = area.Diff(was, next)
	}
	if len(set) == 0 {
		return
	}
	next.Seq = was.Seq + 1
	v.mu.Lock()
	v.areas[name] = next
	if v.state.busy[name].State == area.Held {
		v.held[name] = true
	} else {
		delete(v.held, name)
	}
	v.mu.Unlock()
	v.areaDeltas.Add(1)
	toWatchers(v.Hub, name, eventArea, area.Delta{Area: &name, Seq: next.Seq, Set: set})
}

// busyOf is the retained state of an area. Until its arbiter has published the
// first, the area is what it will then be: settling.
func (v *View) busyOf(a area.Area) json.RawMessage {
	if raw, ok := v.state.raw[a.ID]; ok {
		return raw
	}
	return area.Busy{Area: a.ID, State: area.Settling, LeaseMs: a.LeaseMs}.Encode()
}

func (v *View) forgetArea(name area.Name, was area.Area, known bool) {
	delete(v.state.queue, name)
	if !known {
		return
	}
	delete(v.state.busy, name)
	delete(v.state.raw, name)
	v.mu.Lock()
	delete(v.areas, name)
	delete(v.held, name)
	v.mu.Unlock()
	v.areaDeltas.Add(1)
	toWatchers(v.Hub, name, eventArea, area.Delta{Area: &name, Seq: was.Seq + 1, Removed: true})
}

// remakeDevice makes a device's object anew and sends what is different.
func (v *View) remakeDevice(id area.DeviceID) {
	delete(v.state.late, id)
	was, known := v.devices[id]
	next, ok := v.device(id)
	if !ok {
		if known {
			v.forgetDevice(id, was)
		}
		return
	}
	set := area.Diff(nil, next)
	if known {
		set = area.Diff(was, next)
	}
	if len(set) == 0 {
		return
	}
	next.Seq = was.Seq + 1
	v.mu.Lock()
	v.devices[id] = next
	v.mu.Unlock()
	v.deviceDeltas.Add(1)
	v.sendDevice(was, next, known, set)
}

// sendDevice tells the watchers of a device's area and those of all. The
// watchers of an area that it left hear so; those of one that it came to may
// never have heard of it, and get all of it.
func (v *View) sendDevice(was, next area.Device, known bool, set map[string]json.RawMessage) {
	delta := area.Delta{Device: &next.ID, Seq: next.Seq, Set: set}
	v.Hub.Send(All, eventDevice, delta)
	if known && was.Area != next.Area {
		v.Hub.Send(v.GroupOf(was.Area), eventDevice, delta)
		delta.Set = area.Diff(nil, next)
	}
	v.Hub.Send(v.GroupOf(next.Area), eventDevice, delta)
}

func (v *View) forgetDevice(id area.DeviceID, was area.Device) {
	v.mu.Lock()
	delete(v.devices, id)
	v.mu.Unlock()
	v.deviceDeltas.Add(1)
	toWatchers(v.Hub, was.Area, eventDevice, area.Delta{Device: &id, Seq: was.Seq + 1, Removed: true})
}

// device is a device as it is now. One that turns from sensor to player while
// it is asked for is asked for again.
func (v *View) device(id area.DeviceID) (area.Device, bool) {
	for range 2 {
		if p, ok := v.Roster.Player(id); ok {
			p.Readings = v.Sensors.ReadingsOf(id)
			return p, true
		}
		if s, ok := v.Sensors.Device(id); ok {
			return s, true
		}
	}
	return area.Device{}, false
}
