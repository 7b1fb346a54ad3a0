package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Core is the arbiter and the dispatcher of one area. Make it with [NewCore];
// its first event is [Begin]. It is not safe for concurrent use.
type Core struct {
	cfg    CoreConfig
	mutant mutant
	out    []Action
	now    area.Instant // of the step under way

	// The reign.
	begun, closed, clean bool
	term                 uint64
	granted              uint64        // tokens of this term
	lease                time.Duration // in force: that of the configuration, once it is durable
	alive                time.Duration // longest life of a lease that may be alive (§8.5); durable
	started              area.Instant
	settleUntil          area.Instant
	settleFull           area.Instant // a settling has run its full length then

	ledger ledger
	start  record // read at the start

	votes votes
	reign area.Instant // its end, where there are several hub nodes
	last  area.Token   // of the newest grant that was written down

	holder    *hold
	ghosts    []*hold // replaced holders that may still sound (§8.17)
	intruders []*hold // dumb devices that sound beside the holder
	queue     []*entry
	devices   map[area.DeviceID]*device

	works   map[area.WorkID]*work
	order   []*work // those that have not ended: higher priority first, then arrival
	ended   []workRecord
	heardOf hearsay // where there are several hub nodes
	present int     // devices that can take work
	audible int     // of these, those that can sound
	at      map[area.LocationID]area.DeviceID

	rev    uint64
	dirty  bool   // the public state has changed
	asker  *entry // whose want is being answered
	counts Counts
}

// mutant switches a rule off, so that the simulation can show that it would
// notice. The zero value is the right rules; only tests set it.
type mutant struct {
	noSettle     bool // §0, 6
	shortSettle  bool // §8.5: only the configured lease is waited for
	inheritsNone bool // §8.5: a start in between forgets the longest lease
	willFrees    bool // §0, 4
	anyBoot      bool // §0, 5: a boot that was never seen is a newer start
	anyMID       bool // §8.8: a higher boot frees whatever the machine
	noSupersede  bool // §8.12
	tellsFirst   bool // §8.12: a taker is told before the disk is
	noTakerWait  bool // §8.12: after a restart a taker is given up at once
	longAtOnce   bool // §8.5: a longer lease is granted before it is written down
	sameTerm     bool // §8.18: the term does not grow
	noGhosts     bool // §8.17
	holdsForget  bool // §8.3: holds are not durable
}

// NewCore makes the core of an area from its record; nil is that of an area
// that nobody has arbitrated yet. A record that cannot be read is an error: an
// arbiter that does not know the past must not begin.
func NewCore(cfg CoreConfig, rec []byte) (*Core, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	start, err := parseRecord(rec)
	if err != nil {
		return nil, err
	}
	cfg = cfg.filled()
	return &Core{cfg: cfg, lease: cfg.Lease, start: start, term: start.Term, settleUntil: area.Never,
		votes: votes{until: map[area.DeviceID]area.Instant{}}, devices: map[area.DeviceID]*device{}, works: map[area.WorkID]*work{}, at: map[area.LocationID]area.DeviceID{}}, nil
}

// Step takes an event in and answers what to do, in order. The slice is valid
// until the next Step. Instants must not go back. Before [Begin] nothing is
// done, but that an [Electorate] and a [Reign] are noted.
func (c *Core) Step(ev Event, now area.Instant) []Action {
	c.out, c.now, c.asker = c.out[:0], now, nil
	switch ev := ev.(type) { // also before the beginning
	case Electorate:
		c.elect(ev)
	case Reign:
		c.reign = ev.Until
	}
	if _, ok := ev.(Begin); !ok && !c.begun {
		return nil
	}
	if c.begun {
		c.expire()
	}
	c.handle(ev)
	c.count()
	c.next()
	c.preempt()
	c.barge()
	c.offers()
	c.finish()
	return c.out
}

func (c *Core) handle(ev Event) {
	switch ev := ev.(type) {
	case Begin:
		c.begin()
	case Heard:
		c.heard(ev.Device, &ev.Claim, ev.Hold)
	case Set:
		c.set(ev)
	case DeviceUp:
		c.deviceUp(ev)
	case DeviceDown:
		c.deviceDown(ev.Device)
	case Submit:
		c.submit(ev)
	case Cancel:
		c.cancel(ev.Work, ev.Reason)
	case Ended:
		c.endedElsewhere(ev.Report)
	case Inherit:
		c.inherit(ev)
	case StopPlay:
		c.stopPlay()
	case Stored:
		c.stored(ev.Work)
	case HeardTerm:
		c.heardTerm(ev.Term)
	case Configure:
		c.configure(ev.Config)
	case Committed:
		c.committed(ev)
	case Close:
		c.closed = true
	case Voted:
		c.voted(ev)
	case Seconded:
		c.seconded(ev)
	case Electorate, Reign, Tick:
	}
}

// expire ends what time has ended, before anything else is looked at.
func (c *Core) expire() {
	c.settled()
	if h := c.holder; h != nil && c.now >= h.exp {
		c.lapse(h)
	}
	over := func(h *hold) bool { return c.now >= h.exp }
	c.ghosts = slices.DeleteFunc(c.ghosts, over)
	if n := len(c.intruders); n > 0 {
		if c.intruders = slices.DeleteFunc(c.intruders, over); len(c.intruders) < n {
			c.dirty = true
			c.save()
		}
	}
	c.dropSilent()
	c.expireWorks()
	c.dropOrphans()
}

// finish answers a want that was not granted, shows the state and writes the
// record, where they have changed, and asks for votes.
func (c *Core) finish() {
	if e := c.asker; e != nil && slices.Contains(c.queue, e) {
		c.sayQueued(e, c.rank(e))
	} else if h := c.holder; e != nil && h != nil && h.proposed != 0 && h.device == e.device {
		c.sayQueued(e, 1) // granted, as soon as the record is durable
	}
	if c.closed && !c.clean && c.still() {
		c.clean = true
		c.save()
	}
	c.show()
	c.poll()
	c.write()
}

// still tells whether no lease and no hold can be alive.
func (c *Core) still() bool {
	return c.holder == nil && len(c.ghosts) == 0 && len(c.intruders) == 0 && !c.settling()
}

// lends tells whether a lease of this core may be alive.
func (c *Core) lends() bool {
	lent := func(h *hold) bool { return h.kind == leased && h.proposed == 0 }
	return c.holder != nil && lent(c.holder) || slices.ContainsFunc(c.ghosts, lent)
}

// Next is when the next [Tick] is due; [area.Never] if none is.
func (c *Core) Next() area.Instant {
	next := area.Never
	if !c.begun {
		return next
	}
	if c.settling() {
		next = c.settleUntil
	}
	next = min(next, c.settleFull)
	if c.ledger.sick {
		next = min(next, c.ledger.retry)
	}
	if c.holder != nil {
		next = min(next, c.holder.exp)
	}
	for _, h := range c.ghosts {
		next = min(next, h.exp)
	}
	for _, h := range c.intruders {
		next = min(next, h.exp)
	}
	for _, e := range c.queue {
		next = min(next, c.silentAt(e))
	}
	if _, at := c.bargeAt(); at < next {
		next = at
	}
	return min(next, c.nextVote(), c.nextWork())
}

// Counts are what happened so far.
func (c *Core) Counts() Counts { return c.counts }

// Term is the number of the reign.
func (c *Core) Term() uint64 { return c.term }

// Settling tells until when nothing is granted, and whether that is still to
// come.
func (c *Core) Settling() (until area.Instant, ok bool) { return c.settleUntil, c.settling() }

// Holding is what holds the area; ok is false where nothing does.
func (c *Core) Holding() (w Waiting, ok bool) {
	h := c.holder
	if h == nil {
		return Waiting{}, false
	}
	return Waiting{Device: h.device, Work: h.work, Prio: h.prio, Dur: h.dur, Since: h.since}, true
}

// Queue is who waits for the area, the next one first.
func (c *Core) Queue() []Waiting {
	var list []Waiting
	for _, e := range c.ranked() {
		list = append(list, Waiting{Device: e.device, Work: e.work, Prio: e.prio, Dur: e.dur, Since: e.since})
	}
	return list
}

// Busy is the public state as it stands, with the number of the last one shown.
func (c *Core) Busy() area.Busy {
	b := area.IdleBusy(c.cfg.Area, c.term, c.rev, c.cfg.Lease)
	switch h := c.holder; {
	case h != nil && h.proposed == 0:
		b.State = area.Held
		prio := int(h.prio)
		device, claim, token := h.device, h.claim, h.token
		b.Holder, b.Claim, b.Token, b.Prio, b.Preempt = &device, &claim, &token, &prio, h.barges
		if h.work != "" {
			work := h.work
			b.Work = &work
		}
	case c.mute():
		b.State = area.Settling
	}
	for _, e := range c.ranked() {
		b.Queue = append(b.Queue, e.device)
	}
	b.Queued = len(b.Queue)
	for _, h := range c.intruders {
		b.Intruders = append(b.Intruders, h.device)
	}
	return b
}

// show publishes the state if it has changed, and if its term is durable: a
// term that could be lost must not be seen.
func (c *Core) show() {
	if !c.dirty || !c.ledger.has(c.ledger.term) || c.writesGrant() {
		return
	}
	c.dirty = false
	c.rev++
	c.do(ShowBusy{Busy: c.Busy()})
}

func (c *Core) do(a Action) { c.out = append(c.out, a) }

// say fills in what every answer has.
func (c *Core) say(d area.DeviceID, a area.Answer) {
	a.Term, a.From = c.term, c.cfg.Node
	c.do(Say{Device: d, Answer: a})
}

// reply answers a message: its boot, machine, claim and seq are repeated.
func (c *Core) reply(d *device, m *area.Claim, a area.Answer) {
	a.Boot, a.MID, a.Claim, a.Ack = m.Boot, m.MID, m.Claim, m.Seq
	c.say(d.id, a)
}
