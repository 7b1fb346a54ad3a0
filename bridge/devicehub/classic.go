package devicehub

import (
	"cmp"
	"crypto/rand"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// Times of a classic connection (DESIGN.md §3.3, §3.6).
const (
	claimTimeout = 60 * time.Second // a BroadcastWorkStatus(true) that waits longer fails
	// workGrace, beside the lease, is for a ReceiveWork that nobody follows. It is
	// a little under the 3 s after which the arbiter gives the device up, so that
	// the work ends as declined and not as lost contact.
	workGrace = 2900 * time.Millisecond
)

// client is the connection of a classic device.
type client interface {
	ID() string
	Send(event string, args ...any) error
}

// call is a BroadcastWorkStatus(true) that waits for its grant.
type call struct {
	done func(error)
	due  area.Instant
}

// classic is one device on a classic connection. The loop owns it.
type classic struct {
	id   area.DeviceID
	in   area.Name
	link string
	conn client // nil: the connection is lost, and the hold, if any, goes on
	turn *turn.Turn

	offered  *turn.Assigned // work that ReceiveWork announced and nobody has claimed yet
	declines area.Instant   // when the hub declines it
	current  area.WorkID    // work of the present wish
	calls    []call
	again    bool // true was called while the last wish was still ending
	free     area.Instant
	shown    *bool     // last ReceiveWorkStatus
	missed   [8]missed // works that it was told of and did not claim, newest first
}

// idle tells whether the device could do a work now.
func (d *classic) idle() bool {
	return d.conn != nil && d.offered == nil && d.turn.Phase() == turn.Idle && !d.again
}

// missed is a work that a device let pass. For a while it is not told of it
// again, so that another one can do it.
type missed struct {
	work  area.WorkID
	until area.Instant
}

// missedFor is longer than a work is held out to its location's device alone.
const missedFor = 5 * time.Second

func (d *classic) hasMissed(w area.WorkID, now area.Instant) bool {
	return slices.ContainsFunc(d.missed[:], func(m missed) bool { return m.work == w && now < m.until })
}

// loop owns the classic devices.
type loop struct {
	arb     Arbiter
	count   *counters
	devices map[area.DeviceID]*classic
	full    map[area.DeviceID]*device
	busy    map[area.Name]area.Busy
	taking  map[area.WorkID]area.DeviceID
	open    map[area.WorkID]openOffer
	now     area.Instant
}

// register makes d live on a connection; a device that comes back keeps its
// turn, so that what it holds it still holds.
func (l *loop) register(id area.DeviceID, in area.Name, link string, conn client) {
	if full := l.full[id]; full != nil {
		l.drop(full, area.Errorf(area.CodeConflict, "device %s has registered as a classic program", id))
	}
	d := l.devices[id]
	if d != nil && d.in != in {
		l.step(d, turn.Withdraw{Result: area.Cancelled})
		l.forget(id)
		d = nil
	}
	if d == nil {
		d = &classic{id: id, in: in, turn: turn.New(turn.Config{
			Area: in, Device: id, MID: machine(id), Hold: true, Lease: l.lease(in), Nonce: rand.Text,
		})}
		l.devices[id] = d
	}
	d.link, d.conn, d.shown = link, conn, nil
	l.step(d, turn.Up{})
	l.show(d)
}

// machine is the machine id that the hub gives a classic device: the program
// has none, and whoever registers the name is the device.
func machine(id area.DeviceID) string { return "classic-" + string(id) }

func (l *loop) lease(in area.Name) time.Duration {
	if b, ok := l.busy[in]; ok {
		return b.Lease()
	}
	return turn.DefaultLease
}

// lost says that a connection ended. Work that was only announced goes to
// another device; a claim that waits is taken back; a hold goes on.
func (l *loop) lost(conn string) {
	l.lostFull(conn)
	for _, d := range l.devices {
		if d.conn == nil || d.conn.ID() != conn {
			continue
		}
		d.conn, d.again = nil, false
		l.fail(d, area.Errorf(area.CodeDegraded, "the connection ended"))
		l.decline(d)
		switch d.turn.Phase() {
		case turn.Waiting:
			l.step(d, turn.Withdraw{Result: area.Cancelled})
		case turn.Idle:
			l.forget(d.id)
		}
	}
}

// mine is the device that a connection has registered; nil where it registered
// none, or where the device has come back on another connection since: what the
// old one says counts no more.
func (l *loop) mine(id area.DeviceID, conn string) *classic {
	if d := l.devices[id]; d != nil && d.conn != nil && d.conn.ID() == conn {
		return d
	}
	return nil
}

// forget drops a device that holds nothing and waits for nothing.
func (l *loop) forget(id area.DeviceID) {
	delete(l.devices, id)
	for w, taker := range l.taking {
		if taker == id {
			delete(l.taking, w)
		}
	}
}

// claim is BroadcastWorkStatus(true); done is called once, soon or when the
// area is granted.
func (l *loop) claim(id area.DeviceID, conn string, done func(error)) {
	d := l.mine(id, conn)
	if d == nil {
		done(area.Errorf(area.CodeNotRegistered, "device %s is not registered on this connection", id))
		return
	}
	if d.turn.Phase() == turn.Playing {
		done(nil)
		return
	}
	d.calls = append(d.calls, call{done: done, due: l.now.Add(claimTimeout)})
	switch d.turn.Phase() {
	case turn.Idle:
		l.wish(d)
	case turn.Done:
		d.again = true
	}
}

// wish claims the area for the work that was announced, or for none.
func (l *loop) wish(d *classic) {
	w := turn.Wish{Prio: area.Normal}
	if o := d.offered; o != nil {
		w = turn.Wish{Work: o.Work, Att: o.Att, Prio: o.Prio, Dur: o.Dur}
	}
	d.current, d.offered, d.again = w.Work, nil, false
	l.step(d, w)
}

// release is BroadcastWorkStatus(false). It always succeeds.
func (l *loop) release(id area.DeviceID, conn string) {
	d := l.mine(id, conn)
	if d == nil {
		return
	}
	d.again = false
	switch d.turn.Phase() {
	case turn.Playing:
		l.step(d, turn.Over{Result: area.Played})
	case turn.Waiting:
		l.fail(d, area.Errorf(area.CodeRevoked, "released before it was granted"))
		l.step(d, turn.Withdraw{Result: area.Cancelled})
	case turn.Idle:
		// Nothing is known of a hold: this process may have started after it was
		// granted. The arbiter knows a classic device's hold by its name.
		l.arb.Release(d.in, d.id)
	}
}

// offer takes a work for one idle classic device of the area, or for the device
// that it is held out to.
func (l *loop) offer(in area.Name, to area.DeviceID, o area.Offer) {
	l.holdOut(in, to, o)
	if o.Body.Kind == area.KindDownload {
		return // ReceiveWork means to sound something
	}
	if _, ok := l.taking[o.Work]; ok {
		return
	}
	d := l.devices[to]
	if to == "" {
		d = l.longestIdle(in, o.Work)
	}
	if d == nil || !d.idle() || l.takes(d.id) || d.hasMissed(o.Work, l.now) {
		l.open[o.Work] = openOffer{in, to, o, l.now}
		return
	}
	delete(l.open, o.Work)
	l.taking[o.Work] = d.id
	l.step(d, turn.Take{Work: o.Work, Att: o.Att})
}

// openOffer is an offer that no device here could take when it came.
type openOffer struct {
	in area.Name
	to area.DeviceID
	area.Offer
	at area.Instant
}

// offerLife is how long an offer counts: it is repeated every second while it
// stands (COORDINATION.md §3.5).
const offerLife = 1500 * time.Millisecond

// reoffer takes up the open offers again, the most urgent first, now that a
// device is free: the next repetition would be up to a second of silence.
func (l *loop) reoffer() {
	var list []openOffer
	for w, o := range l.open {
		if l.now.Sub(o.at) > offerLife {
			delete(l.open, w)
			continue
		}
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b openOffer) int {
		return cmp.Or(cmp.Compare(b.Prio, a.Prio), cmp.Compare(a.Work, b.Work))
	})
	for _, o := range list {
		l.offer(o.in, o.to, o.Offer)
	}
}

// longestIdle is the classic device of an area that has been idle longest, so
// that they take turns.
func (l *loop) longestIdle(in area.Name, w area.WorkID) (best *classic) {
	for _, d := range l.devices {
		if d.in != in || !d.idle() || l.takes(d.id) || d.hasMissed(w, l.now) {
			continue
		}
		if best == nil || d.free < best.free || d.free == best.free && d.id < best.id {
			best = d
		}
	}
	return best
}

func (l *loop) takes(id area.DeviceID) bool {
	for _, d := range l.taking {
		if d == id {
			return true
		}
	}
	return false
}

// answer hands an answer of the arbiter to the device's turn.
func (l *loop) answer(id area.DeviceID, a area.Answer) {
	if d := l.devices[id]; d != nil {
		l.step(d, turn.Heard{Answer: a})
	}
	if d := l.full[id]; d != nil {
		l.answerFull(d, a)
	}
}

// shownBusy notes what an area is doing and tells its devices.
func (l *loop) shownBusy(b area.Busy) {
	if was, ok := l.busy[b.Area]; ok && !b.Newer(was) {
		return
	}
	l.busy[b.Area] = b
	for _, d := range l.devices {
		if d.in == b.Area {
			l.step(d, turn.Lease{Lease: b.Lease(), Term: b.Term})
			l.show(d)
		}
	}
}

// show sends ReceiveWorkStatus(v) where v has changed: whether another device
// holds this area.
func (l *loop) show(d *classic) {
	b, known := l.busy[d.in]
	v := !known // a new area settles first
	switch {
	case b.State == area.Settling:
		v = true
	case b.State == area.Held:
		v = b.Holder == nil || *b.Holder != d.id
	}
	for _, other := range b.Intruders {
		v = v || other != d.id
	}
	if d.conn == nil || d.shown != nil && *d.shown == v {
		return
	}
	d.shown = &v
	_ = d.conn.Send("ReceiveWorkStatus", v) // an error means that the connection is ending, which lost will say
}

// tick does what has come due, and answers when the next thing will.
func (l *loop) tick() area.Instant {
	next := area.Never
	for _, d := range l.devices {
		if d.turn.Next() <= l.now {
			l.step(d, turn.Tick{})
		}
		if d.offered != nil && d.declines <= l.now {
			l.count.unclaimed.Add(1)
			copy(d.missed[1:], d.missed[:])
			d.missed[0] = missed{d.offered.Work, l.now.Add(missedFor)}
			l.decline(d)
		}
		l.timeouts(d)
		next = min(next, d.turn.Next())
		if d.offered != nil {
			next = min(next, d.declines)
		}
		for _, c := range d.calls {
			next = min(next, c.due)
		}
	}
	return next
}

// timeouts fails the calls that have waited too long; a wish for which nobody
// waits is taken back.
func (l *loop) timeouts(d *classic) {
	kept := d.calls[:0]
	for _, c := range d.calls {
		if c.due <= l.now {
			l.count.timeouts.Add(1)
			c.done(area.Errorf(area.CodeTimeout, "area %s was not free for %s", d.in, claimTimeout))
			continue
		}
		kept = append(kept, c)
	}
	ended := len(kept) == 0 && len(d.calls) > 0
	d.calls = kept
	if ended && d.turn.Phase() == turn.Waiting {
		l.step(d, turn.Withdraw{Result: area.Cancelled})
	}
}

// decline gives an announced work back.
func (l *loop) decline(d *classic) {
	if o := d.offered; o != nil {
		d.offered = nil
		l.step(d, turn.Decline{Work: o.Work, Att: o.Att})
	}
}

func (l *loop) fail(d *classic, err error) {
	for _, c := range d.calls {
		c.done(err)
	}
	d.calls = nil
}

// step moves a device's turn and does what it asks for. The actions are cloned,
// since one of them may step the turn again.
func (l *loop) step(d *classic, ev turn.Event) {
	for _, a := range slices.Clone(d.turn.Step(ev, l.now)) {
		switch a := a.(type) {
		case turn.Send:
			l.arb.Say(d.in, d.id, d.link, a.Claim, true)
		case turn.Assigned:
			l.assigned(d, a)
		case turn.Refused:
			delete(l.taking, a.Work)
			if a.Work != "" && a.Work == d.current {
				l.fail(d, refusal(a.Reason))
			}
		case turn.Start:
			for _, c := range d.calls {
				c.done(nil)
			}
			d.calls = nil
		case turn.Free:
			l.freed(d)
		case turn.Stop:
			// A classic program cannot be stopped; that its time is over the arbiter
			// has counted. What it says next is a new claim.
			l.step(d, turn.Over{Result: a.Result})
		case turn.Booted, turn.Replaced, turn.Deaf:
			// Its boot lives as long as the turn, and the way to the arbiter is in
			// this process: there is nothing to keep, and nothing to connect again.
		}
	}
}

func (l *loop) assigned(d *classic, a turn.Assigned) {
	delete(l.taking, a.Work)
	if d.conn == nil || d.offered != nil || d.turn.Phase() != turn.Idle {
		l.step(d, turn.Decline{Work: a.Work, Att: a.Att})
		return
	}
	d.offered, d.declines = &a, l.now.Add(l.lease(d.in)+workGrace)
	_ = d.conn.Send("ReceiveWork") // never an argument: a handler without parameters would drop the call
	if len(d.calls) > 0 {
		l.wish(d)
	}
}

func (l *loop) freed(d *classic) {
	d.current, d.free = "", l.now
	switch {
	case d.conn == nil:
		l.forget(d.id)
	case d.again || len(d.calls) > 0:
		l.wish(d)
	default:
		l.reoffer()
	}
}

// work is the order that a device has been told of or plays.
func (l *loop) work(id area.DeviceID, conn string) area.WorkID {
	if f, err := l.mineFull(id, conn); err == nil {
		return f.wish.work
	}
	d := l.mine(id, conn)
	switch {
	case d == nil:
		return ""
	case d.offered != nil:
		return d.offered.Work
	}
	return d.current
}

func refusal(reason string) error {
	switch reason {
	case area.ReasonTaken, area.ReasonSuperseded, area.ReasonUnknownWork:
		return area.Errorf(area.CodeTaken, "another device does the work")
	case area.ReasonExpired:
		return area.Errorf(area.CodeExpired, "the work is too late")
	}
	return area.Errorf(area.CodeRevoked, "the arbiter refused: %s", reason)
}
