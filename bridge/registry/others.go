package registry

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// take takes in parts of another node, and answers the device of the last; empty: there
// was none. What is told as it happens is shown.
func (r *Registry) take(from string, body []byte, happens bool) (last area.DeviceID, err error) {
	var list []part
	if err := json.Unmarshal(body, &list); err != nil {
		r.talk.unread.Add(1)
		r.log.Warn("sensors of another node cannot be read", "node", from, "err", err)
		return "", err
	}
	r.talk.heard.Add(uint64(len(list)))
	for _, p := range list {
		if _, err := area.ParseSensorID(string(p.Device)); err != nil {
			r.talk.unread.Add(1)
			continue
		}
		p.By, last = from, p.Device
		for _, reading := range r.takePart(p) {
			if happens {
				r.shown(reading)
			}
		}
	}
	return last, nil
}

// takePart takes in what a node tells of a device, and answers the readings that are
// news.
func (r *Registry) takePart(p part) []area.Reading {
	r.mu.Lock()
	m := merged{}
	switch e := r.devices[p.Device]; {
	case p.Gone:
		m.urgent = r.leave(p)
	case r.overdue(p):
	case !p.Whole && (e == nil || e.home == ""): // what was told before was missed
		r.behind.add(p.By)
	default:
		if e, _ = r.entryOf(p.Device); e != nil {
			m = r.merge(p, e)
		}
	}
	r.mu.Unlock()
	r.tell(p.Device, m.urgent)
	for i := range m.readings {
		m.readings[i].Area = r.areaOf(p.Device, m.readings[i].Area)
	}
	return m.readings
}

// merge takes a part into an entry; the caller holds the lock.
func (r *Registry) merge(p part, e *entry) merged {
	had := len(e.readings)
	m := e.merge(p, r.cfg.Node, r.cfg.Metrics, r.now(), r.cfg.Timeout)
	for i := range m.readings {
		m.readings[i].Area = e.place()
	}
	r.devices[p.Device] = e
	r.readings += len(e.readings) - had
	r.count.metrics.Add(uint64(m.refused))
	return m
}

// leave forgets what a node has told of a device that it has forgotten, and the device
// where nothing is left of it. The caller holds the lock.
func (r *Registry) leave(p part) bool {
	e := r.devices[p.Device]
	if p.Removed {
		r.bury(p.Device, p.AsOf)
	}
	switch {
	case e == nil || e.home == "":
		return false
	case p.Removed:
		r.drop(p.Device, e)
		return true
	}
	for k, is := range e.readings {
		if is.node == p.By {
			delete(e.readings, k)
			r.readings--
		}
	}
	if len(e.readings) == 0 && (e.home == p.By || e.said.state == "") {
		r.lose(p.Device, e)
	}
	return true
}

// buriedFor is for how long it is remembered that a device was removed: what was said of
// it before is still on its way.
const buriedFor = time.Minute

// bury notes that an operator has removed a device, by the stamp of the node where he
// did; the caller holds the lock.
func (r *Registry) bury(d area.DeviceID, at int64) { r.buried[d] = max(r.buried[d], at) }

// overdue tells whether a part is from before its device was removed; the caller holds
// the lock.
func (r *Registry) overdue(p part) bool {
	at, removed := r.buried[p.Device]
	return removed && p.newest() <= at
}

// unbury forgets what was removed long ago.
func (r *Registry) unbury() {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.now().Add(-buriedFor).UnixMicro()
	maps.DeleteFunc(r.buried, func(_ area.DeviceID, at int64) bool { return at < old })
}

// lose forgets a device that the common table has forgotten, or will by another node.
// The caller holds the lock.
func (r *Registry) lose(d area.DeviceID, e *entry) {
	e.kept = time.Time{}
	r.drop(d, e)
}

// Changed takes in the record of a sensor that another node has changed or removed
// (value nil), which is kept already. What cannot be read changes nothing, and the log
// has it as an error.
func (r *Registry) Changed(key string, value []byte) {
	d, err := area.ParseSensorID(key)
	p := part{Device: d, Whole: true, kept: true}
	if err == nil && value != nil {
		err = json.Unmarshal(value, &p.record)
	}
	if err != nil {
		r.log.Error("kept sensor cannot be read", "device", key, "err", err)
		return
	}
	if value != nil && p.By == "" { // of an earlier version: the node that has it tells of it
		return
	}
	_, player := r.roster.Player(d)
	r.mu.Lock()
	if value != nil && !r.overdue(p) {
		r.changedTo(p, player)
	} else if e := r.devices[d]; value == nil && e != nil && e.home != "" && !player {
		r.lose(d, e)
	}
	r.mu.Unlock()
	r.tell(d, true)
}

// changedTo takes in a record of the common table; the caller holds the lock. Where it
// lacks what this node has heard, it is written again.
func (r *Registry) changedTo(p part, player bool) {
	e, isNew := r.entryOf(p.Device)
	if e == nil {
		return
	}
	now := r.now()
	if isNew {
		e.bring(p.Device, p.record, now)
		r.readings += len(e.readings)
		r.devices[p.Device] = e
		return
	}
	m := r.merge(p, e)
	e.changed = e.changed || m.owing && !player
	if e.kept.IsZero() {
		e.kept = now
	}
}
