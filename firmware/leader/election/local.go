package election

import (
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// local is the area that always has a leader of its own.
func (e *Election) local(now area.Instant) {
	other, led := e.leader()
	if led || e.leading {
		e.lostFrom = area.Never
	} else if e.lostFrom == area.Never {
		e.lostFrom = now
	}
	switch {
	case e.leading:
		e.askNoMore()
		e.turnToSelf(now)
	case led && (!e.isShunned(other.Device, now) || !e.Reaches()):
		e.askNoMore()
		e.turn(Aim{To: Leader, Member: other.Device}, now)
	case led: // alive, and out of reach: he is reached through the hub
		e.askNoMore()
		e.turnToHub(func(m Member) bool { return m.Uplink && m.Device != other.Device }, now)
	default:
		e.withoutLeader(now)
	}
}

// withoutLeader is a part of a local area that has none: it may be that another
// part has.
func (e *Election) withoutLeader(now area.Instant) {
	sure := e.lostFrom.Add(Window)
	if now < sure {
		e.due(sure)
	}
	first := e.rank(now)
	if first == "" && e.uplink { // nobody of this part can lead now: the hub, or who leads through it
		e.askNoMore()
		if e.self.Served = now >= sure; e.self.Served {
			e.turn(Aim{To: Hub}, now)
		}
		return
	}
	if !e.uplink || first != e.self.Device {
		e.askNoMore()
		if !slices.ContainsFunc(e.others, func(m Member) bool { return m.Served }) {
			e.elect(true, now)
		} else if now >= sure {
			e.turnToHub(func(m Member) bool { return m.Uplink && m.Served }, now)
		}
		return
	}
	alive, known := e.ask(now)
	e.self.Served = alive && now >= sure
	switch {
	case !alive:
		e.elect(known, now)
	case e.self.Served:
		e.turn(Aim{To: Hub}, now)
	}
}

// turnToHub has the device turn to the hub, by its own uplink or by a member that
// fits.
func (e *Election) turnToHub(fits func(Member) bool, now area.Instant) {
	if e.uplink {
		e.turn(Aim{To: Hub}, now)
		return
	}
	if carrier, ok := e.carrier(now, fits); ok {
		e.turn(Aim{To: Via, Member: carrier}, now)
	}
}

// ask has the hub asked whether somebody leads in another part. known: it has
// answered, or had its time.
func (e *Election) ask(now area.Instant) (alive, known bool) {
	if e.askFrom == area.Never {
		e.askFrom, e.askNext, e.answerd = now, now, area.Never
	}
	if now >= e.askNext {
		e.askNext = now.Add(askEvery)
		e.say(Ask{})
	}
	e.due(e.askNext)
	if e.answerd != area.Never && now < e.answerd.Add(answerGood) {
		return e.answer.Live, true
	}
	if e.answerd != area.Never { // it has stopped answering
		return false, now >= e.answerd.Add(askMost)
	}
	return false, now >= e.askFrom.Add(askMost)
}

func (e *Election) askNoMore() {
	e.askFrom, e.answerd, e.self.Served = area.Never, area.Never, false
}
