package leader

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// reach is whether the hub can be reached from here. It is lost when for 5 s there
// was no MQTT connection to it and no TCP connection could be made (COORDINATION.md
// §4); one of them brings it back. It is pure.
type reach struct {
	up      bool
	mqtt    bool         // a connection of ours to the hub stands, carried by nobody
	gone    area.Instant // since when it does not
	failing area.Instant // since when each dial has failed; Never: the last one did not
}

// newReach begins with the hope that it can.
func newReach(now area.Instant) reach { return reach{up: true, gone: now, failing: area.Never} }

// connected takes in whether a connection to the hub stands.
func (r *reach) connected(up bool, now area.Instant) {
	if up {
		r.up, r.failing = true, area.Never
	} else if r.mqtt {
		r.gone = now
	}
	r.mqtt = up
}

// dialed takes in how a dial that began at a moment has ended.
func (r *reach) dialed(ok bool, began, now area.Instant) {
	switch {
	case r.mqtt:
	case ok:
		r.up, r.failing = true, area.Never
	case r.failing == area.Never:
		r.failing = max(began, r.gone)
	}
	r.look(now)
}

func (r *reach) look(now area.Instant) {
	if !r.mqtt && r.failing != area.Never && now >= max(r.failing, r.gone).Add(lostAfter) {
		r.up = false
	}
}

// pause is how long to wait before the next dial; 0: none is needed. One that
// succeeds just after the loss may have met a hub that was about to die.
func (r *reach) pause(now area.Instant) time.Duration {
	switch {
	case r.mqtt:
		return 0
	case !r.up:
		return dialLost
	case r.failing != area.Never || now < r.gone.Add(2*lostAfter):
		return dialSoon
	}
	return dialEvery
}
