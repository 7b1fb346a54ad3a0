package firmware

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Calendar is the wall clock of a machine on which nobody may have set it: a
// Raspberry Pi has no clock that runs without power. It is never before the
// floor, a time that is known to have passed: when the program was built, or, if
// later, what the clock said when it was last kept. A clock that a time server
// keeps is believed before what was kept, but not before the build. A Calendar is
// safe for concurrent use and does not block.
type Calendar struct {
	built, kept time.Time
	now         func() time.Time
	synced      func() bool
}

// NewCalendar makes a calendar on a wall clock. synced tells whether a time
// server keeps that; nil: it is not known.
func NewCalendar(built, kept time.Time, now func() time.Time, synced func() bool) *Calendar {
	if synced == nil {
		synced = func() bool { return false }
	}
	return &Calendar{built: built, kept: kept, now: now, synced: synced}
}

// Now is the wall clock, or the floor where that is later. Certificates are
// judged by it: one that begins after the floor is not valid before the clock is
// set, and is tried again; nothing is skipped.
func (c *Calendar) Now() time.Time {
	t, _ := c.read()
	return t
}

// State is what is known of the time: one of the clock states of package area.
// While it is [area.ClockUnknown] nothing may be done by the calendar.
func (c *Calendar) State() string {
	_, s := c.read()
	return s
}

func (c *Calendar) read() (time.Time, string) {
	now := c.now()
	switch synced := c.synced(); {
	case now.Before(c.built):
		return later(c.built, c.kept), area.ClockUnknown
	case synced:
		return now, area.ClockSynced
	case now.Before(c.kept):
		return c.kept, area.ClockUnknown
	}
	return now, area.ClockSet
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// timeEvery is how often the time is kept on the disk, as the floor of the next
// start; it is also kept when it becomes known, and at an orderly end.
const timeEvery = 6 * time.Hour

// keepTime keeps the time, where it is known.
func (a *Agent) keepTime() {
	if a.Calendar == nil {
		return
	}
	if t, state := a.Calendar.read(); state != area.ClockUnknown {
		err := a.Memory.SetTime(t)
		if a.fault("clock", err); err != nil {
			a.Log.Error("time not kept", "err", err)
		}
	}
}
