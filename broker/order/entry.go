package order

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// hand says whether the dispatcher has a work.
type hand uint8

const (
	ours    hand = iota // not yet: its time has not come, or it was not taken
	handing             // somebody is handing it over just now
	theirs              // the dispatcher has it, and decides its end
	others              // another node has it
)

// Bounds of one order.
const (
	maxReports = 16 // that wait to be applied
	maxHistory = 64 // lines; beyond that the second oldest goes, accepted stays
)

// unknownLength is how long a sound is taken to last of which nothing is known
// (DESIGN.md §3.6, MQTT).
const unknownLength = 5 * time.Second

// entry is an order without an end, or one whose end is not written yet. All
// fields are guarded by Service.mu, but those that never change.
type entry struct {
	arrival  uint64          // never changes
	location area.LocationID // never changes
	device   area.DeviceID   // never changes
	ended    chan struct{}   // closed at the end

	order   area.Order
	node    string // whose it is; empty: there is one node
	hand    hand
	cancel  string // reason for which it was taken back; empty: it was not
	seen    bool   // a player that could do it was present once
	retryAt time.Time
	inbox   []stamped
	dirty   bool          // changed since it was written, where it is ours, and told
	told    turn          // what watchers were told last
	shown   turn          // what readers were told last
	waits   []func(error) // to be told once it is written
}

// stamped is a report and when it came.
type stamped struct {
	area.Report
	at time.Time
}

// handed ends a handing over; the order may be another node's by now.
func (e *entry) handed(to hand) {
	if e.hand == handing {
		e.hand = to
	}
}

func (e *entry) due(now time.Time) bool {
	return e.order.NotBefore == nil || !now.Before(e.order.NotBefore.Time)
}

// taken tells whether a device has the work. Where the dispatcher does not,
// after a restart, it is told even if the work has expired: it knows the end, or
// waits for the device's word.
func (e *entry) taken() bool {
	return e.order.State == area.OrderAssigned || e.order.State == area.OrderPlaying
}

func (e *entry) length() time.Duration { return time.Duration(e.order.DurationMs) * time.Millisecond }

// dueAt is when its time came, or comes.
func (e *entry) dueAt() time.Time {
	if nb := e.order.NotBefore; nb != nil {
		return laterOf(nb.Time, e.order.CreatedAt.Time)
	}
	return e.order.CreatedAt.Time
}

func (e *entry) work() area.Work {
	o := &e.order
	w := area.Work{
		ID: o.ID, Area: o.Area, Location: e.location, Device: e.device, Prio: o.Priority, Dur: e.length(),
		Expires: o.ExpiresAt.Time, Redo: o.Redo, IfBusy: o.IfBusy,
		Body: area.Body{Kind: o.Kind, Message: o.Message, Clip: o.Clip, Chime: o.Chime, Volume: o.Volume, Repeat: o.Repeat, Languages: o.Languages},
	}
	if o.Clip != nil {
		url := "/clips/" + (*o.Clip)[len("sha256:"):]
		w.Body.URL = &url
	}
	return w
}

func (e *entry) record() Record {
	return Record{Order: e.order, Location: e.location, Device: e.device, Node: e.node}
}

// push keeps a report until Run applies it. A full inbox loses the oldest that
// is neither a start nor an end: the states that were passed through in between.
// After an end nothing is kept.
func (e *entry) push(r stamped) (lost bool) {
	if n := len(e.inbox); n > 0 && e.inbox[n-1].State.Ended() {
		return true
	}
	e.inbox = append(e.inbox, r)
	if len(e.inbox) <= maxReports {
		return false
	}
	drop := 0
	for i, old := range e.inbox[:maxReports] {
		if old.State != area.OrderPlaying && !old.State.Ended() {
			drop = i
			break
		}
	}
	e.inbox = append(e.inbox[:drop:drop], e.inbox[drop+1:]...)
	return true
}

// move brings the order to a state and writes a line of history, unless nothing
// changed. It tells whether something did.
func (e *entry) move(r area.Report, at time.Time) bool {
	o := &e.order
	if o.State.Ended() {
		return false
	}
	changed := false
	if ms := r.Dur.Milliseconds(); ms > 0 && ms != o.DurationMs {
		o.DurationMs, changed = ms, true
	}
	if r.Att > o.Attempt {
		o.Attempt, changed = r.Att, true
	}
	device, reason := orNil(r.Device), orNil(r.Reason)
	if o.State == r.State && same(o.Device, device) && same(o.Reason, reason) {
		return changed
	}
	now := area.At(at)
	switch {
	case r.State.Ended():
		o.EndedAt = &now
		if device == nil {
			device = o.Device
		}
		close(e.ended)
	case r.State == area.OrderPlaying:
		if o.StartedAt == nil {
			o.StartedAt = &now
		}
	default:
		o.StartedAt = nil
	}
	o.State, o.Device, o.Reason = r.State, device, reason
	o.EstimatedStart, o.After = nil, nil
	o.History = line(o.History, area.OrderStep{State: r.State, At: now, Device: device, Reason: reason})
	return true
}

// line adds a line to a history. Histories are shared with those who read the
// order, so nothing that was written changes.
func line(h []area.OrderStep, s area.OrderStep) []area.OrderStep {
	if len(h) >= maxHistory {
		h = append(h[:1:1], h[2:]...)
	}
	return append(h, s)
}

// become takes over what changes of an order in its life.
func (e *entry) become(o area.Order) {
	is := &e.order
	is.State, is.Reason, is.Device, is.Attempt, is.DurationMs = o.State, o.Reason, o.Device, o.Attempt, o.DurationMs
	is.StartedAt, is.EndedAt, is.EstimatedStart, is.After, is.History = o.StartedAt, o.EndedAt, nil, nil, o.History
}

func orNil[T ~string](v T) *T {
	if v == "" {
		return nil
	}
	return &v
}

func same[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
