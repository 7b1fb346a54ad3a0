package registry

import (
	"cmp"
	"time"

	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/broker/area"
)

// part is what one node tells the others of a device. It speaks for what it has heard
// itself alone.
type part struct {
	Device  area.DeviceID `json:"d"`
	Gone    bool          `json:"gone,omitempty"`    // it has forgotten the device
	Removed bool          `json:"removed,omitempty"` // and an operator wants all to
	Whole   bool          `json:"whole,omitempty"`   // the readings are all that it has heard; else only Seen counts beside them
	record

	kept bool // a record of the table that all nodes have, which says nothing of now
}

// newest is the stamp of the newest word in a part.
func (p part) newest() (at int64) {
	if p.Whole {
		at = p.At
	}
	for _, r := range p.Readings {
		at = max(at, r.Heard)
	}
	return at
}

// merged is what came of a part.
type merged struct {
	readings []area.Reading // that are news
	refused  int            // readings beyond the bound
	urgent   bool           // more has changed than readings and last_seen
	owing    bool           // a kept record lacks what this node has heard
}

// merge takes a part into an entry, as the node that is named self. Of each reading,
// and of all the rest, the newest word counts; a node's own replaces its earlier ones.
func (e *entry) merge(p part, self string, most int, at time.Time, timeout time.Duration) (m merged) {
	if p.Whole {
		m.urgent = e.mergeHead(p, self, at)
	}
	there := map[history.Key]bool{}
	for _, kept := range p.Readings {
		kept.Stale = kept.Stale || p.kept
		k, is := kept.held(p.Device, p.By)
		there[k] = true
		if is.node == self { // who knows better
			continue
		}
		was, known := e.readings[k]
		switch {
		case !known && len(e.readings) >= most:
			m.refused++
			continue
		case known && !is.follows(was, p.kept):
			continue
		}
		if e.readings == nil {
			e.readings = map[history.Key]held{}
		}
		e.readings[k] = is
		m.urgent = m.urgent || !known
		if !known || was.heard != is.heard {
			m.readings = append(m.readings, is.Reading)
		}
	}
	for k, was := range e.readings {
		switch {
		case there[k] || !p.Whole:
		case was.node == p.By && was.heard <= p.AsOf: // it has taken that back
			delete(e.readings, k)
			m.urgent = true
		case was.node == self:
			m.owing = p.kept
		}
	}
	e.hear(p.record)
	if !e.lastLive.IsZero() && at.Sub(e.lastLive) < timeout {
		m.urgent = m.urgent || !e.online
		e.online = true
	}
	return m
}

// follows tells whether a reading takes the place of another.
func (h held) follows(was held, kept bool) bool {
	return follows(cmp.Or(cmp.Compare(h.heard, was.heard), cmp.Compare(h.node, was.node)), kept)
}

// follows tells whether a word takes the place of another that it is newer than, in
// this order: all nodes decide the same. Of the same word the node tells how it is now.
func follows(newer int, kept bool) bool { return newer > 0 || newer == 0 && !kept }

// mergeHead takes all but the readings, where that is newer than what is here, or of
// the same node. It tells whether something has changed.
func (e *entry) mergeHead(p part, self string, at time.Time) bool {
	home := cmp.Or(p.Home, p.By)
	newer := cmp.Or(cmp.Compare(p.At, e.at), cmp.Compare(home, e.home))
	if home == self && e.home == self || !follows(newer, p.kept) {
		return false
	}
	p.Brought, p.Copied = p.Brought || p.kept, p.Copied || p.kept
	e.takeHead(p.record, at)
	return true
}

// orphan makes an entry what it is once the node is gone that heard it: nobody knows
// whether it is there, until it is heard elsewhere, and what that node heard of it is
// stale. It tells whether something has changed.
func (e *entry) orphan(node string, at time.Time) (changed bool) {
	for k, is := range e.readings {
		if is.node == node && is.Quality == area.Good {
			is.Quality, changed = area.Stale, true
			e.readings[k] = is
		}
	}
	if e.home == node && e.brought.IsZero() {
		e.brought, e.online, changed = at, false, true
		e.said.replay, e.said.at = e.said.state != "", at
	}
	return changed
}

// part is what a node tells of a device that it has heard; false where it has not. The
// caller holds the registry's lock.
func (e *entry) part(d area.DeviceID, self string, asOf int64) (p part, ok bool) {
	p = part{Device: d, Whole: true, record: e.head(self, asOf)}
	p.Copied, p.Brought = e.said.replay, !e.brought.IsZero()
	for k, is := range e.readings {
		if is.node == self {
			r := is.kept(k, self)
			r.Stale = is.Quality == area.Stale
			p.Readings = append(p.Readings, r)
		}
	}
	return p, e.home == self || len(p.Readings) > 0
}

// measurements is a part of the readings alone that other nodes are not told yet.
func (e *entry) measurements(d area.DeviceID, self string) part {
	p := part{Device: d, record: record{By: self}}
	if !e.lastLive.IsZero() {
		p.Seen = e.lastLive.UnixMilli()
		p.Nodes = map[string]int64{self: e.nodes[self]}
	}
	for k := range e.news.keys {
		if is, ok := e.readings[k]; ok && is.node == self {
			r := is.kept(k, self)
			r.Stale = is.Quality == area.Stale
			p.Readings = append(p.Readings, r)
		}
	}
	return p
}
