package election

import (
	"hash/fnv"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

func compare(a, b area.DeviceID) int { return strings.Compare(string(a), string(b)) }

// turn aims the device.
func (e *Election) turn(to Aim, now area.Instant) {
	if to != e.aim {
		e.aim, e.linked, e.unlinked = to, false, now
		e.say(to)
		return
	}
	if to.Member == "" || to.Member == e.self.Device || e.linked || e.unlinked == area.Never {
		return
	}
	if over := e.unlinked.Add(unlinked); now < over {
		e.due(over)
		return
	}
	e.unlinked = now
	e.shunned[to.Member] = now.Add(shunFor)
	e.due(now) // there may be another way
}

// isShunned tells whether a member could not be reached lately.
func (e *Election) isShunned(d area.DeviceID, now area.Instant) bool {
	until, ok := e.shunned[d]
	if !ok {
		return false
	}
	if now >= until {
		delete(e.shunned, d)
		return false
	}
	e.due(until)
	return true
}

// carrier chooses the member through which the hub is reached: the one in use
// while it fits, else one by lot, so that they are spread. Who could not be
// reached lately comes last.
func (e *Election) carrier(now area.Instant, fits func(Member) bool) (best area.DeviceID, ok bool) {
	var bestLot uint64
	var bestShunned bool
	for _, m := range e.others {
		if !fits(m) {
			continue
		}
		shunned := e.isShunned(m.Device, now)
		if !shunned && e.aim == (Aim{To: Via, Member: m.Device}) {
			return m.Device, true
		}
		n := lot(e.self.Device, m.Device)
		if !ok || bestShunned && !shunned || bestShunned == shunned && n > bestLot {
			best, bestLot, bestShunned, ok = m.Device, n, shunned, true
		}
	}
	return best, ok
}

// lot is a number that is another for each pair of members.
func lot(a, b area.DeviceID) uint64 {
	h := fnv.New64a()
	h.Write([]byte(a))
	h.Write([]byte{0})
	h.Write([]byte(b))
	return h.Sum64()
}
