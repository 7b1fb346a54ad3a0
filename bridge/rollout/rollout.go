package rollout

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Request asks for a rollout. It is to exactly one of a device, an area and all.
type Request struct {
	To             To     `json:"to"`
	Version        string `json:"version"` // empty: what the hub has when a device asks
	AllowDowngrade bool   `json:"allow_downgrade"`
}

// To says for whom a rollout is.
type To struct {
	Device *area.DeviceID `json:"device,omitempty"`
	Area   *area.Name     `json:"area,omitempty"`
	All    bool           `json:"all,omitempty"`
}

// Rollout is a request, and how far it has come.
type Rollout struct {
	ID string `json:"id"`
	Request
	State     string     `json:"state"` // one of the states below
	CreatedAt area.Time  `json:"created_at"`
	CreatedBy string     `json:"created_by"`
	EndedAt   *area.Time `json:"ended_at"`
	Devices   []Device   `json:"devices"` // in the order in which they are updated

	coordinator string // node that carries it out; empty: none yet
	raw         []byte // as the table has it
}

// States of a rollout.
const (
	Running   = "running"
	Done      = "done"      // every device has confirmed, or was not there
	Failed    = "failed"    // a device has failed or refused
	Cancelled = "cancelled" // by an operator: those that were at it go on
)

// Device is one device of a rollout.
type Device struct {
	Device  area.DeviceID `json:"device"`
	Area    area.Name     `json:"area"`
	State   string        `json:"state"` // Waiting, Ordered, Skipped, or one of the Update states of package area
	Version string        `json:"version"`
	Percent int           `json:"percent"` // of a download
	Reason  string        `json:"reason"`  // of failed, refused and skipped
	At      area.Time     `json:"at"`      // since when it is in its state, or its download where it is

	sent int // how often it was ordered since the hub's start
}

// States of a device beside those that it says itself.
const (
	Waiting = "waiting" // for its turn
	Ordered = "ordered" // and has not answered yet
	Skipped = "skipped"
)

// Patience with a device.
const (
	AnswerTime = time.Minute      // until its status is about the order; it is sent twice
	againTime  = AnswerTime / 2   // until it is sent a second time
	quietTime  = 15 * time.Minute // without any change of its status
)

// active tells whether the device is at it.
func (d Device) active() bool { return d.State != Waiting && !d.ended() }

func (d Device) ended() bool {
	switch d.State {
	case Skipped, area.UpdateConfirmed, area.UpdateFailed, area.UpdateRefused:
		return true
	}
	return false
}

// clone is a copy that shares nothing.
func (r *Rollout) clone() Rollout {
	c := *r
	c.Devices = slices.Clone(r.Devices)
	return c
}

// book is the rollouts, the oldest first. It is a pure state machine: each method
// is told what has happened and when. What has changed is gathered until it is
// taken.
type book struct {
	list    []*Rollout
	changed []*Rollout
	ended   []part // devices
}

// part is a device of a rollout.
type part struct {
	of     *Rollout
	device *Device
}

// take answers what has changed since it was last taken.
func (b *book) take() (changed []*Rollout, ended []part) {
	changed, ended = b.changed, b.ended
	b.changed, b.ended = nil, nil
	return changed, ended
}

// turns answers whose turn it is now: the first that waits in each area in which
// nobody is at it.
func (b *book) turns() []part {
	taken := map[area.Name]bool{}
	for _, r := range b.list {
		for _, d := range r.Devices {
			taken[d.Area] = taken[d.Area] || d.active()
		}
	}
	var out []part
	for _, r := range b.list {
		if r.State != Running {
			continue
		}
		for i := range r.Devices {
			if d := &r.Devices[i]; d.State == Waiting && !taken[d.Area] {
				taken[d.Area] = true
				out = append(out, part{r, d})
			}
		}
	}
	return out
}

// set moves a device on, and its rollout with it.
func (b *book) set(r *Rollout, d *Device, state, reason string, now time.Time) {
	d.State, d.Reason, d.At = state, reason, area.At(now)
	if state == area.UpdateFailed && r.State == Running {
		r.State = Failed
		b.skip(r, "not begun: "+string(d.Device)+" has failed", now)
	}
	if d.ended() {
		b.ended = append(b.ended, part{r, d})
	}
	b.settle(r, now)
}

// cancel takes a rollout back.
func (b *book) cancel(r *Rollout, reason string, now time.Time) {
	r.State = Cancelled
	b.skip(r, reason, now)
	b.settle(r, now)
}

// skip ends those that wait.
func (b *book) skip(r *Rollout, reason string, now time.Time) {
	for i := range r.Devices {
		if d := &r.Devices[i]; d.State == Waiting {
			d.State, d.Reason, d.At = Skipped, reason, area.At(now)
			b.ended = append(b.ended, part{r, d})
		}
	}
}

// settle ends a rollout all of whose devices have ended.
func (b *book) settle(r *Rollout, now time.Time) {
	if !slices.Contains(b.changed, r) {
		b.changed = append(b.changed, r)
	}
	if r.EndedAt != nil || !all(r.Devices, Device.ended) {
		return
	}
	at := area.At(now)
	r.EndedAt = &at
	if r.State == Running {
		r.State = Done
		if !all(r.Devices, func(d Device) bool { return d.State != area.UpdateRefused }) {
			r.State = Failed
		}
	}
}

func all(list []Device, is func(Device) bool) bool {
	return !slices.ContainsFunc(list, func(d Device) bool { return !is(d) })
}

// heard takes in what a device says of itself.
func (b *book) heard(id area.DeviceID, u area.Update, now time.Time) {
	for _, r := range b.list {
		if r.ID != u.Order {
			continue
		}
		for i := range r.Devices {
			d := &r.Devices[i]
			if d.Device != id || !d.active() || d.State == u.State && d.Percent == u.Percent && d.Version == u.Version {
				continue
			}
			d.Version, d.Percent = u.Version, u.Percent
			b.set(r, d, u.State, u.Reason, now)
		}
	}
}

// late answers those who are to be ordered a second time, and ends those of whom
// nothing was heard for too long.
func (b *book) late(now time.Time) (again []part) {
	for _, r := range b.list {
		for i := range r.Devices {
			d := &r.Devices[i]
			if !d.active() {
				continue
			}
			switch quiet := now.Sub(d.At.Time); {
			case d.State == Ordered && quiet >= AnswerTime:
				b.set(r, d, area.UpdateFailed, "it does not answer: does it take updates?", now)
			case d.State == Ordered && quiet >= againTime && d.sent < 2:
				again = append(again, part{r, d})
			case quiet >= quietTime:
				b.set(r, d, area.UpdateFailed, "nothing was heard of it for "+quietTime.String(), now)
			}
		}
	}
	return again
}

// busy tells whether a rollout is under way.
func (b *book) busy() bool {
	return slices.ContainsFunc(b.list, func(r *Rollout) bool { return r.EndedAt == nil })
}
