package arbiter

import (
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// postHolds is what an outpost knows of the holds that no lease ends. Nobody can wait
// for their end: where the server has forgotten the owner's record, and the owner is
// dead, the other nodes alone know what still sounds.
type postHolds struct {
	left  []timedHold     // of reigns that are over, until the next owner knows
	known []timedHold     // of the owner's, by his newest word
	over  []area.DeviceID // ended while there was nobody to be told; at most mostIntruders, the oldest give way: they hold to the end of their time
}

// heard takes in what the owner says that he has; joined: he knows what we have left.
func (p *postHolds) heard(list []area.Hold, joined bool, now area.Instant) {
	p.known = timed(list, now)
	if joined {
		p.left = nil
	}
}

// another owner has to be told of what the one before had.
func (p *postHolds) another() {
	p.left, p.known = append(p.left, p.known...), nil
}

// ofOurs are those of a reign of our own that is over.
func (p *postHolds) ofOurs(list []area.Hold, now area.Instant) {
	*p = postHolds{left: timed(list, now)}
}

// leaves are the holds that the owner may not know.
func (p *postHolds) leaves(now area.Instant) (list []area.Hold) { return leftOf(p.left, now) }

// all are the holds that may be there when nobody has the area.
func (p *postHolds) all(now area.Instant) []area.Hold {
	return append(leftOf(p.known, now), leftOf(p.left, now)...)
}

// set takes in what a device without a lease says; live: the owner hears it too.
func (p *postHolds) set(ev Set, live bool) {
	if ev.Will {
		return
	}
	p.over = slices.DeleteFunc(p.over, func(d area.DeviceID) bool { return d == ev.Device })
	if ev.On {
		return
	}
	drop := func(h timedHold) bool { return h.Device == ev.Device }
	p.left, p.known = slices.DeleteFunc(p.left, drop), slices.DeleteFunc(p.known, drop)
	if live {
		return
	}
	if len(p.over) == mostIntruders {
		p.over = slices.Delete(p.over, 0, 1)
	}
	p.over = append(p.over, ev.Device)
}

// ended are the devices whose end nobody was told; it forgets them.
func (p *postHolds) ended() []area.DeviceID {
	over := p.over
	p.over = nil
	return over
}
