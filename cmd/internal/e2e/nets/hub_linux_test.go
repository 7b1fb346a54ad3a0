package nets

import (
	"slices"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// queued tells whether a device waits for the area.
func queued(id area.DeviceID) func(area.Busy) bool {
	return func(b area.Busy) bool { return slices.Contains(b.Queue, id) }
}

// TestTheHubIsCutOff: who plays stops by its own clock, and when the cable is back
// the order is said again.
func TestTheHubIsCutOff(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, "")
	id := s.order(anybody(), long8)
	speaks, _ := s.playing(id, s.gates...)
	s.lan.isolate(s.hub.host)
	speaks.silent()
	next := s.order(s.gates[1].at(), short) // the hub takes it all the same
	s.lasts()
	s.lan.heal()
	s.ended(next)
	s.judge(allow{})
}

// TestTheHubIsKilled: again and again, in the middle of a play. Nothing that it has
// accepted is lost.
func TestTheHubIsKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, "")
	for range 2 {
		id := s.order(anybody(), medium)
		s.order(s.gates[1].at(), short)
		s.playing(id, s.gates...)
		s.hub.p.kill()
		s.hub.start()
		s.ended(id)
	}
	s.judge(allow{})
}

// TestTheHubStandsStill: for longer than a lease. When it goes on it grants nothing
// that it decided before, and takes nobody for the holder whose time is over.
func TestTheHubStandsStill(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, "")
	id := s.order(anybody(), long8)
	waiting := s.order(s.gates[1].at(), short)
	speaks, _ := s.playing(id, s.gates...)
	s.hub.p.signal(syscall.SIGSTOP)
	speaks.silent()
	s.lasts()
	s.hub.p.signal(syscall.SIGCONT)
	s.ended(waiting)
	s.judge(allow{})
}
