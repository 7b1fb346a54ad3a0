package nets

import (
	"syscall"
	"testing"
	"time"
)

const (
	short  = 600 * time.Millisecond
	medium = 5 * time.Second // so long that what is cut off as it is first heard is far from its end
	long8  = 8 * time.Second // outlasts a lease, its settling and all that is between
)

// TestNothingBreaks: what all the others begin with.
func TestNothingBreaks(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, "")
	for range 2 {
		for _, g := range s.gates {
			s.order(g.at(), short)
		}
		s.order(anybody(), short)
	}
	s.judge(allow{})
}

// TestADeviceIsCutOffWhileItPlays: it stops by its own clock, a neighbour says the
// order from the start, and when the cable is back the device does not go on.
func TestADeviceIsCutOffWhileItPlays(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, "")
	id := s.order(anybody(), long8)
	victim, _ := s.playing(id, s.gates...)
	s.lan.isolate(victim.host)
	victim.silent()
	s.playing(id, s.but(victim)...)
	s.lasts()
	s.lan.heal()
	s.order(victim.at(), short)
	s.judge(allow{})
}

// TestADeviceIsCutOffWhileItWaits: the others go on without it, and its order is
// said when it is back.
func TestADeviceIsCutOffWhileItWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, "")
	first := s.order(s.gates[0].at(), long8)
	s.playing(first, s.gates[0])
	waits := s.gates[1]
	s.order(waits.at(), short)
	s.busy("waited for by gate-2", queued(waits.id))
	s.lan.isolate(waits.host)
	next := s.order(s.gates[2].at(), short)
	s.ended(next)
	s.lasts()
	s.lan.heal()
	s.judge(allow{})
}

// TestADeviceIsKilledWhileItPlays: of two, the other goes on; and the first one
// does, when it starts again.
func TestADeviceIsKilledWhileItPlays(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, "")
	id := s.order(anybody(), long8)
	victim, _ := s.playing(id, s.gates...)
	victim.heardFor(id, time.Second)
	victim.p.kill()
	other := s.but(victim)[0]
	s.playing(id, other)
	s.ended(s.order(other.at(), short))
	s.lasts()
	victim.start()
	s.order(victim.at(), short)
	s.judge(allow{})
}

// TestADeviceStandsStillWhileItPlays: it sounds no more than its last buffer when
// it goes on, and is one of the area's devices again.
func TestADeviceStandsStillWhileItPlays(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, "")
	id := s.order(anybody(), long8)
	victim, _ := s.playing(id, s.gates...)
	victim.p.signal(syscall.SIGSTOP)
	s.playing(id, s.but(victim)...)
	s.lasts()
	victim.p.signal(syscall.SIGCONT)
	s.order(victim.at(), short)
	s.judge(allow{overlap: buffer})
}

// TestADeviceIsNotHeard: it hears the hub, and the hub does not hear it. It stops
// by its own clock, though it is granted nothing less than before.
func TestADeviceIsNotHeard(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, "")
	id := s.order(anybody(), long8)
	victim, _ := s.playing(id, s.gates...)
	s.lan.mute(victim.host, s.hub.host)
	victim.silent()
	s.playing(id, s.but(victim)...)
	s.lasts()
	s.lan.heal()
	s.order(victim.at(), short)
	s.judge(allow{})
}

// TestADeviceHearsNothing: the hub hears it, and it does not hear the hub.
func TestADeviceHearsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, "")
	id := s.order(anybody(), long8)
	victim, _ := s.playing(id, s.gates...)
	s.lan.mute(s.hub.host, victim.host)
	victim.silent()
	s.playing(id, s.but(victim)...)
	s.lasts()
	s.lan.heal()
	s.order(victim.at(), short)
	s.judge(allow{lost: true})
}

// TestPacketsGetLost: three of ten, both ways, for several turns. What TCP makes of
// that can outlast a lease.
func TestPacketsGetLost(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, "")
	for _, d := range []time.Duration{short, medium} {
		s.clip(d)
	}
	s.lan.lose(30)
	for i := range 6 {
		s.order(s.gates[i%3].at(), short)
	}
	s.order(anybody(), medium)
	for _, id := range s.orders {
		s.ended(id)
	}
	s.lasts()
	s.lan.heal()
	s.order(anybody(), short)
	s.judge(allow{lost: true})
}

// TestAnEmergencyWaitsForWhoIsCutOff: who cannot be told to be silent is waited for
// until its lease has ended.
func TestAnEmergencyWaitsForWhoIsCutOff(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, "")
	s.clip(short)
	calm := s.order(s.gates[0].at(), medium)
	s.playing(calm, s.gates[0])
	s.lan.isolate(s.gates[0].host)
	fire := s.urgent(s.gates[1].at(), short, "emergency")
	s.ended(fire)
	s.lasts()
	s.lan.heal()
	s.judge(allow{})
}

// TestFinishIsNeverCut: with the policy finish a device that is cut off in the middle
// says its announcement to the end, and everybody waits for it. It is for this device
// alone: another one would say it again, since nobody can know that it was said.
func TestFinishIsNeverCut(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, ", policy: finish")
	s.clip(short)
	id := s.order(s.gates[0].alone(), medium)
	s.playing(id, s.gates[0])
	s.lan.isolate(s.gates[0].host)
	next := s.order(s.gates[1].at(), short)
	s.gates[0].heardFor(id, medium*95/100)
	s.ended(next)
	s.lasts()
	s.lan.heal()
	s.judge(allow{})
	if p := s.gates[0].plays(); len(p) != 1 {
		t.Errorf("it was said in pieces: %v", p)
	}
}
