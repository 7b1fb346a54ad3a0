package gpio

import "time"

// debounce makes one change of each press of a contact that bounces. It is pure:
// time is what it is told.
//
// A new level counts once it has stood still for settle. An input that is active
// for longer than stuck, or has not stood still for so long, is stuck; that is
// told once, and once more when it is over.
type debounce struct {
	settle time.Duration
	stuck  time.Duration // 0: it may be active for ever

	on      bool // as last told
	raw     bool // as last seen
	since   time.Time
	moved   time.Time // when it left its rest
	isStuck bool
}

// change is what came of a step.
type change int

const (
	nothing change = iota
	pressed
	released
	stuck
	free // stuck no longer
)

// start takes the first level as it is: what is pressed at the start was not
// pressed now.
func (d *debounce) start(level bool, now time.Time) {
	d.on, d.raw, d.since, d.moved = level, level, now, now
}

// step takes in the level at a time, and tells what changed; it is called again
// until it answers nothing.
func (d *debounce) step(level bool, now time.Time) change {
	if level != d.raw {
		if !d.on && !d.raw && now.Sub(d.since) >= d.settle { // it was at rest
			d.moved = now
		}
		d.raw, d.since = level, now
	}
	switch steady := now.Sub(d.since) >= d.settle; {
	case d.raw != d.on && steady:
		d.on = d.raw
		if d.on {
			d.moved = d.since
			return pressed
		}
		return released
	case d.isStuck && steady && !d.on:
		d.isStuck = false
		return free
	case d.stuck > 0 && !d.isStuck && d.restless(steady) && now.Sub(d.moved) >= d.stuck:
		d.isStuck = true
		return stuck
	}
	return nothing
}

// restless tells whether the input is in another state than at rest.
func (d *debounce) restless(steady bool) bool { return d.on || !steady }

// wait is how long nothing has to be done while there is no edge, at most most.
func (d *debounce) wait(now time.Time, most time.Duration) time.Duration {
	w := most
	if d.raw != d.on || d.isStuck && !d.on {
		w = min(w, d.settle-now.Sub(d.since))
	}
	if d.stuck > 0 && !d.isStuck && d.restless(now.Sub(d.since) >= d.settle) {
		w = min(w, d.stuck-now.Sub(d.moved))
	}
	return max(w, time.Millisecond)
}
