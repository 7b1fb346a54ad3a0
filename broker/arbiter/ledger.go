package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// retryAfter is how long after a failed write the record is written again.
const retryAfter = time.Second

// ledger is how far the record has come. What waits for it names the number of
// the record that it waits for.
type ledger struct {
	seq, durable uint64 // newest handed out, newest written
	unsaved      bool
	sick         bool // the newest answer was an error: nothing new is granted
	retry        area.Instant
	term         uint64        // the term and the longest lease count once this record is durable
	lease        uint64        // the configured lease counts once this record is durable
	wrote        time.Duration // the longest that may be alive, as the newest record has it
	wroteAt      uint64        // the first record that has it
	longest      time.Duration // the longest lease that a durable record allows for, guard included
	released     []released
}

// released is an answer that waits until the end of its work is durable
// (§8.12).
type released struct {
	seq    uint64
	device area.DeviceID
	answer area.Answer
}

func (l *ledger) has(seq uint64) bool { return l.durable >= seq }

// save has the record written at the end of the step, and answers its number.
func (c *Core) save() uint64 {
	c.ledger.unsaved = true
	return c.ledger.seq + 1
}

// write hands the record out.
func (c *Core) write() {
	l := &c.ledger
	if l.sick && c.now >= l.retry {
		l.unsaved, l.retry = true, c.now.Add(retryAfter)
	}
	if !l.unsaved {
		return
	}
	l.unsaved = false
	l.seq++
	if c.alive != l.wrote {
		l.wrote, l.wroteAt = c.alive, l.seq
	}
	c.do(Commit{Seq: l.seq, Record: c.record().encode()})
}

// committed lets through what has waited. After an error nothing new is granted
// until a record could be written; each record is whole, so a later one makes
// up for it.
func (c *Core) committed(ev Committed) {
	l := &c.ledger
	if ev.Err != nil {
		l.sick, l.retry = true, c.now.Add(retryAfter)
		return
	}
	if ev.Seq > l.seq || ev.Seq <= l.durable {
		return
	}
	l.sick, l.durable = false, ev.Seq
	if l.has(l.lease) {
		c.lease = c.cfg.Lease
	}
	if l.has(l.wroteAt) {
		l.longest = l.wrote
	}
	c.confirmHold()
	c.confirmWorks()
	l.released = slices.DeleteFunc(l.released, func(r released) bool {
		if !l.has(r.seq) {
			return false
		}
		c.say(r.device, r.answer)
		return true
	})
}

// release answers a done, once record seq is durable.
func (c *Core) release(d *device, m *area.Claim, seq uint64) {
	l := &c.ledger
	l.released = slices.DeleteFunc(l.released, func(r released) bool { return r.device == d.id })
	a := area.Answer{Op: area.OpReleased}
	if l.has(seq) {
		c.reply(d, m, a)
		return
	}
	a.Boot, a.MID, a.Claim, a.Ack = m.Boot, m.MID, m.Claim, m.Seq
	l.released = append(l.released, released{seq: seq, device: d.id, answer: a})
}
