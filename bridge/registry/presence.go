package registry

import (
	"slices"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// maxAbout bounds what a sensor says of itself.
const maxAbout = 16

// Present takes what a message said of a device's being there. A retained copy
// does not move last_seen, and what it says of a device that is there holds for
// [Config].Timeout, unless a live message comes.
func (r *Registry) Present(p mapping.Presence, topic string, replay bool) {
	at, in := r.now(), r.seen(p.Area, topic)
	r.mu.Lock()
	e, isNew := r.entryOf(p.Device)
	if e == nil {
		r.mu.Unlock()
		return
	}
	r.devices[p.Device] = e
	was, place := e.said, e.place()
	e.said = word{state: p.State, reason: p.Reason, topic: topic, replay: replay, at: at}
	if p.Area != "" {
		e.area = in
	}
	if !replay && p.State == area.Online {
		r.heardLive(e, at)
	}
	changed := isNew || was.state != p.State || was.reason != p.Reason || place != e.place()
	e.changed, e.moved = e.changed || changed, e.moved || !replay
	r.said(p.Device, e)
	r.mu.Unlock()
	if changed {
		r.tell(p.Device, true)
	}
}

// See takes what a message said of a device itself. It moves neither last_seen
// nor presence.
func (r *Registry) See(s mapping.Sight, by, topic string) {
	in := r.seen(s.Area, topic)
	r.mu.Lock()
	e, isNew := r.entryOf(s.Device)
	if e == nil {
		r.mu.Unlock()
		return
	}
	r.devices[s.Device] = e
	place, changed := e.place(), isNew
	if s.Area != "" {
		e.area = in
	}
	if s.Name != "" && s.Name != e.name {
		e.name, changed = s.Name, true
	}
	changed = e.learn("convention", by) || changed
	for k, v := range s.Attributes {
		changed = e.learn(k, v) || changed
	}
	changed = changed || place != e.place()
	e.changed = e.changed || changed
	if changed {
		r.said(s.Device, e)
	}
	r.mu.Unlock()
	if changed {
		r.tell(s.Device, true)
	}
}

// learn keeps one thing that a sensor said of itself, or that it says no more, and
// tells whether it is news.
func (e *entry) learn(key, value string) bool {
	was, known := e.about[key]
	if was == value || !known && len(e.about) >= maxAbout {
		return false
	}
	if value == "" {
		delete(e.about, key)
		return true
	}
	if e.about == nil {
		e.about = map[string]string{}
	}
	e.about[key] = value
	return true
}

// Heard notes that something has just happened at a device, such as the press of a
// button, which leaves no value: it is there. One that is not known is none.
func (r *Registry) Heard(d area.DeviceID) {
	r.mu.Lock()
	e := r.devices[d]
	cameBack := e != nil && r.heardLive(e, r.now())
	if e != nil {
		e.moved = true
		r.said(d, e)
	}
	r.mu.Unlock()
	if cameBack {
		r.tell(d, true)
	}
}

// Forget takes a device away that its own convention took away. What an
// operator said of it is kept.
func (r *Registry) Forget(d area.DeviceID) {
	r.mu.Lock()
	e := r.devices[d]
	if e != nil {
		r.drop(d, e)
		r.untell(d)
	}
	r.mu.Unlock()
	if e != nil {
		r.tell(d, true)
	}
}

// drop forgets a device but for its assignment; the caller holds the lock.
func (r *Registry) drop(d area.DeviceID, e *entry) {
	r.readings -= len(e.readings)
	r.count.forgotten.Add(1)
	if r.shelf != nil && !e.kept.IsZero() {
		r.gone[d] = true
	}
	if e.assigned == (Assignment{}) {
		delete(r.devices, d)
		return
	}
	r.devices[d] = r.newEntry()
	r.devices[d].assigned = e.assigned
}

// Disown forgets what a topic said here of all devices but some: it has turned out to
// be theirs. A device of which nothing is left goes.
func (r *Registry) Disown(topic string, but []area.DeviceID) {
	var changed []area.DeviceID
	r.mu.Lock()
	for d, e := range r.devices {
		if slices.Contains(but, d) {
			continue
		}
		before := len(e.readings)
		for k, reading := range e.readings {
			if reading.Topic == topic && reading.node == r.cfg.Node {
				delete(e.readings, k)
			}
		}
		r.readings -= before - len(e.readings)
		said := e.said.topic == topic
		if said {
			e.said = word{}
		}
		if before == len(e.readings) && !said {
			continue
		}
		changed = append(changed, d)
		e.changed = true
		if len(e.readings) == 0 && e.said.state == "" {
			r.drop(d, e)
			r.untell(d)
		} else {
			r.said(d, e)
		}
	}
	r.mu.Unlock()
	for _, d := range changed {
		r.tell(d, true)
	}
}
