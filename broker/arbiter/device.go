package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	mostDevices  = 4096             // remembered per area; a message of one more is dropped
	forgetAfter  = time.Hour        // of silence, where room is needed
	reclaimAfter = 60 * time.Second // of silence of the machine that has the name (§8.8)
	reclaimLeft  = 3 * time.Second  // same, once its connection has ended: one that lives is back by then
	contestAgain = time.Hour        // until it is told again that two machines have a name
	mostPast     = 8                // machines remembered per name
)

// device is what is remembered of a name: the machine and start that it belongs
// to, and how far what it says has been heard.
type device struct {
	id      area.DeviceID
	known   bool // something was heard of it
	greeted bool // it has said hello to us
	mid     string
	boot    uint64
	bootMID string // whose start that is
	seq     uint64
	done    uint64 // claims up to this one are over
	heard   area.Instant
	left    area.Instant // when the connection of its machine ended; 0: it stands, as far as is known
	told    area.Instant // when it was told that two machines have the name; 0: never
	nonce   string       // of its newest hello
	handed  uint64       // highest boot that was handed out
	past    []string     // machines that had the name before
	missed  int          // leases in a row whose grant it did not hear

	boots map[uint64]bool // of the mutant anyBoot

	up, dumb bool
	silent   bool // it has nothing to sound by
	location area.LocationID
}

// device finds a name, or makes room for it; nil where there is none.
func (c *Core) device(id area.DeviceID) *device {
	d := c.devices[id]
	if d == nil {
		if len(c.devices) >= mostDevices && !c.forget() {
			c.counts.Dropped++
			return nil
		}
		d = &device{id: id}
		c.devices[id] = d
	}
	return d
}

// forget drops the name that was silent for longest, if that is long.
func (c *Core) forget() bool {
	var oldest *device
	for _, d := range c.devices {
		if !d.up && (c.holder == nil || c.holder.device != d.id) && (oldest == nil || d.heard < oldest.heard || d.heard == oldest.heard && d.id < oldest.id) {
			oldest = d
		}
	}
	if oldest == nil || c.now.Sub(oldest.heard) < forgetAfter {
		return false
	}
	delete(c.devices, oldest.id)
	return true
}

// heard takes in what a device says. It is answered once, unless it is a
// duplicate or older than what was heard already (§8.16).
func (c *Core) heard(id area.DeviceID, m *area.Claim, hold bool) {
	d := c.device(id)
	if d == nil {
		return
	}
	if m.Op == area.OpHello {
		c.hello(d, m)
		return
	}
	if m.Op == area.OpDone && c.endOld(d, m) {
		return
	}
	if !c.admit(d, m) {
		return
	}
	switch m.Op {
	case area.OpWant:
		c.want(d, m, hold)
	case area.OpDone:
		c.done(d, m)
	case area.OpTake:
		c.take(d, m)
	case area.OpDecline:
		c.decline(d, m)
	}
}

// admit lets through what comes from the machine and start that the name
// belongs to, and is newer than what was heard.
func (c *Core) admit(d *device, m *area.Claim) bool {
	switch {
	case !d.known:
		c.know(d, m)
	case m.MID != d.mid && (d.greeted || slices.Contains(d.past, m.MID)):
		c.counts.Replaced++
		c.reply(d, m, area.Answer{Op: area.OpRefused, Reason: area.ReasonReplaced})
		return false
	case m.MID != d.mid: // whose the name is shows when one of them says hello
		c.stale(d, m)
		return false
	case c.newer(d, m.Boot):
		c.rebooted(d, m.Boot)
	case m.Boot != d.boot || d.bootMID != d.mid:
		c.stale(d, m)
		return false
	}
	unnumbered := m.Seq == 0 && (m.Op == area.OpTake || m.Op == area.OpDecline)
	if m.Seq <= d.seq && !unnumbered {
		c.counts.Dropped++
		return false
	}
	d.seq, d.heard = max(d.seq, m.Seq), c.now
	return true
}

// newer tells whether a boot is a later start than the one that is known: it is
// a counter, so that a delayed message of a dead start never looks like a new
// one (§0, 5).
func (c *Core) newer(d *device, boot uint64) bool {
	if !c.mutant.anyBoot {
		return boot > d.boot
	}
	if d.boots[boot] {
		return false
	}
	if d.boots == nil {
		d.boots = map[uint64]bool{}
	}
	d.boots[boot] = true
	return boot != d.boot
}

func (c *Core) stale(d *device, m *area.Claim) {
	c.counts.Stale++
	c.reply(d, m, area.Answer{Op: area.OpStale})
}

// know meets a device for the first time.
func (c *Core) know(d *device, m *area.Claim) {
	d.known, d.mid, d.heard = true, m.MID, c.now
	c.newer(d, m.Boot)
	c.rebooted(d, m.Boot)
}

// rebooted begins a new start of the device: what its machine held before is
// over, since it is dead. Whose machine is not known may still sound (§8.8). A
// hold without a lease goes on (§8.3).
func (c *Core) rebooted(d *device, boot uint64) {
	d.boot, d.bootMID, d.seq, d.done, d.missed = boot, d.mid, 0, 0, 0
	dead := func(h *hold) bool {
		same := d.mid != "" && h.mid == d.mid || c.mutant.anyMID
		older := h.boot < boot || c.mutant.anyBoot && h.boot != boot
		return h.device == d.id && h.kind == leased && older && same
	}
	c.dropEntry(d.id)
	if h := c.holder; h != nil && dead(h) {
		c.free(h)
	}
	c.ghosts = slices.DeleteFunc(c.ghosts, dead)
	c.worksRebooted(d)
}

// hello is always answered: with the boot that the start has, or shall take
// (§8.8).
func (c *Core) hello(d *device, m *area.Claim) {
	switch {
	case !d.known:
		if m.Boot == 0 {
			d.known, d.mid = true, m.MID
			break
		}
		c.know(d, m)
	case m.MID != d.mid:
		if slices.Contains(d.past, m.MID) && !c.vacant(d) {
			c.counts.Replaced++
			c.contested(d)
			c.reply(d, m, area.Answer{Op: area.OpRefused, Reason: area.ReasonReplaced})
			return
		}
		c.replace(d, m)
	case m.Nonce == d.nonce && m.Boot == d.boot && m.Seq <= d.seq:
		c.counts.Dropped++
		return
	case c.newer(d, m.Boot):
		c.rebooted(d, m.Boot)
	}
	if m.Boot == d.boot && d.bootMID == d.mid {
		d.seq = max(d.seq, m.Seq)
	}
	boot := c.bootFor(d, m)
	d.greeted, d.heard, d.left, d.nonce = true, c.now, 0, m.Nonce
	c.newcomer(m)
	a := area.Answer{Op: area.OpHello, MID: m.MID, Nonce: m.Nonce, Boot: boot, Claim: m.Claim, Ack: m.Seq}
	c.say(d.id, a)
}

// connected notes whose connection the name has: a broker gives it to one at a
// time, so that where it is another machine's, that of the name has none.
func (d *device) connected(mid string, now area.Instant) {
	switch {
	case mid == "" || !d.known:
	case mid == d.mid:
		d.left = 0
	case d.left == 0:
		d.left = now
	}
}

// vacant tells whether the machine that has the name is gone, so that one that had
// it before may have it again: it is silent for long, or lost its connection and did
// not come back. Of two that live and take the connection from each other, the one
// that has the name is back at once, and keeps it (§8.8).
func (c *Core) vacant(d *device) bool {
	if d.left == 0 {
		return c.now.Sub(d.heard) >= reclaimAfter
	}
	return c.now.Sub(max(d.heard, d.left)) >= reclaimLeft
}

// contested tells of two machines of one name that live both.
func (c *Core) contested(d *device) {
	if d.told == 0 || c.now.Sub(d.told) >= contestAgain {
		d.told = c.now
		c.do(Remark{d.id, Contested})
	}
}

// replace gives the name to the machine that said hello last. What the older
// one waits for is dropped; what it sounds goes on to its deadline (§8.8).
func (c *Core) replace(d *device, m *area.Claim) {
	if len(d.past) == mostPast {
		d.past = d.past[1:]
	}
	d.past = append(slices.DeleteFunc(d.past, func(mid string) bool { return mid == m.MID }), d.mid)
	d.mid, d.nonce = m.MID, ""
	c.dropEntry(d.id)
	if m.Boot > d.boot { // an equal boot of another machine counts as lower
		c.rebooted(d, m.Boot)
	}
}

// bootFor is the boot that answers a hello: the one it says, if that is the
// present one, else a new one above all that were used or handed out. To a
// machine without a disk it is also above all that an earlier arbiter can have
// handed out.
func (c *Core) bootFor(d *device, m *area.Claim) uint64 {
	const perTerm = 1 << 20
	if m.Boot != 0 && m.Boot == d.boot && d.bootMID == m.MID {
		return m.Boot
	}
	if m.Nonce == d.nonce && d.handed > d.boot {
		return d.handed
	}
	base := max(d.boot, d.handed)
	if floor := c.term * perTerm; m.Boot == 0 && floor < area.MaxCounter/2 {
		base = max(base, floor)
	}
	d.handed = base + 1
	return d.handed
}
