package arbiter

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// askEvery is how often a device is asked what became of a work.
const askEvery = 10 * time.Second

// contact notes that a device with assigned works is alive: any want of the
// same start says so, since it wants one thing at a time.
//
// One that is still wanted was not granted by an arbiter before us, or the device has
// not heard of it: nothing has sounded. (Not believed of what must not sound twice: a
// want may be late.) One that may have sounded, while the device wants something else,
// may be over: its done was heard by another arbiter. The device is asked, by holding
// the work out to it: it says that it has played it, takes it once more, or has it in
// its queue and says nothing. What must not sound twice is not asked for, and is given
// up instead.
func (c *Core) contact(d *device, m *area.Claim) {
	for _, w := range c.order {
		if !w.is(d.id, m.MID, m.Boot, 0) {
			continue
		}
		once, named := w.Redo == area.RedoOnce, w.ID == m.Work
		if named || !once || !w.granted && !w.maybe {
			w.heard = max(w.heard, c.now)
		}
		switch {
		case named && m.Att == w.att && !m.Playing && !once:
			w.maybe = false
		case !named && !once && (w.granted || w.maybe) && w.cancelled == "" && c.now >= w.askAt:
			w.askAt = c.now.Add(askEvery)
			c.holdOut(w, w.device)
		}
	}
}
