package firmware

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// wantAgain is after how long an arbiter is asked again for a work that it did not
// know.
const wantAgain = 10 * time.Second

// saidAgain is how many of the works that were played last a device tells of once it
// has started: it may have been cut off before it could.
const saidAgain = 4

// sayPlayed tells the arbiter what was played last before this start: whoever has it
// in his hands does not have it played again.
func (a *Agent) sayPlayed() {
	for _, w := range a.Memory.Newest(saidAgain) {
		a.step(turn.Known{Work: w})
	}
	a.flush()
}

// setAside keeps a work that the present arbiter does not know: another one has
// given it to this device, and counts on it. It is wanted again in a while, and on
// the next connection, until its time is over. It answers false where the device has
// no such work, or has set aside as many as it may have.
func (a *Agent) setAside(w area.WorkID) bool {
	at := slices.IndexFunc(a.queue, func(i *item) bool { return i.work == w })
	if at < 0 || a.queue[at].aside == 0 && a.asides() > a.cfg.Queue {
		return false
	}
	a.queue[at].aside = a.now().Add(wantAgain)
	return true
}

// asides is how many works are set aside.
func (a *Agent) asides() (n int) {
	for _, i := range a.queue {
		if i.aside != 0 {
			n++
		}
	}
	return n
}

// takeUp wants the works again whose wait is over, and forgets those whose time is.
func (a *Agent) takeUp(now area.Instant) {
	for _, i := range slices.Clone(a.queue) {
		switch {
		case i.aside == 0 || i == a.current:
		case i.over != 0 && now >= i.over:
			a.forget(i)
		case now >= i.aside:
			i.aside = 0
		}
	}
}

// meet wants all of them again: it may be another arbiter that is connected to.
func (a *Agent) meet() {
	for _, i := range a.queue {
		if i != a.current {
			i.aside = 0
		}
	}
}
