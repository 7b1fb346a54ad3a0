package devicehub

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// device is one device of the full calls. Its lease is its own affair, counted by
// its own clock; the hub numbers what it says and says it again until it is
// answered, while the device is connected. The loop owns it.
type device struct {
	id   area.DeviceID
	in   area.Name
	link string
	conn client       // nil: the connection is lost, and a lease, if any, goes on
	gone area.Instant // when it was lost

	boot    uint64
	mid     string
	seq     uint64 // grows with the clock, so that it never falls behind what was said before
	hello   *greeting
	wish    wish
	takes   []taking
	told    []area.Offer // the newest offers that it was told of
	refresh area.Instant // when everything is said again
}

// greeting is a Register that waits for the arbiter's answer.
type greeting struct {
	nonce string
	done  func(any, error)
	due   area.Instant
}

// The states of a wish.
const (
	wishNone = iota
	wishWaits
	wishGranted // a token is out; only a renewal gives the right to sound
	wishEnds    // the device has said done, and the arbiter has not answered
)

// wish is the newest claim of a device.
type wish struct {
	state   int
	n       uint64
	work    area.WorkID
	att     int
	prio    area.Priority
	dur     time.Duration
	token   area.Token
	revoked bool
	asks    []*asking // Claim calls that wait
	renews  []renewal
	end     area.Claim // what done says
	ends    []func(any, error)
}

// asking is one Claim call.
type asking struct{ done func(any, error) }

// renewal is one Renew call: the grant that acknowledges its message answers it.
type renewal struct {
	seq  uint64
	due  area.Instant
	done func(any, error)
}

// taking is a TakeWork call.
type taking struct {
	offer area.Offer
	due   area.Instant
	done  func(any, error)
}

const (
	answerTime  = 10 * time.Second // after which a call that the arbiter does not answer fails
	goneFor     = 10 * time.Minute // for which a lost device's lease and last word are remembered
	mostRenews  = 8                // of one device that wait
	mostTakings = 8                // same
	mostTold    = 64
	mostDevices = 4096
)

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// enrol makes a device of the full calls live on a connection: it is greeted, and
// what it has claimed under the same start goes on.
func (l *loop) enrol(id area.DeviceID, in area.Name, link string, conn client, boot uint64, mid string, done func(any, error)) {
	if c := l.devices[id]; c != nil && c.conn != nil {
		l.lost(c.conn.ID()) // it was a classic program until now
	}
	d := l.full[id]
	if d != nil && (d.in != in || d.boot != boot || d.mid != mid || boot == 0) {
		l.drop(d, area.Errorf(area.CodeConflict, "device %s has registered again", id))
		d = nil
	}
	if d == nil {
		if len(l.full) >= mostDevices {
			done(nil, area.Errorf(area.CodeRate, "this hub has %d devices", mostDevices))
			return
		}
		d = &device{id: id, in: in, boot: boot, mid: mid}
		l.full[id] = d
	}
	if d.hello != nil {
		d.hello.done(nil, area.Errorf(area.CodeConflict, "device %s has registered again", id))
	}
	d.link, d.conn = link, conn
	d.hello = &greeting{nonce: rand.Text(), done: done, due: l.now.Add(answerTime)}
	l.sayAll(d)
}

// mineFull is the device that a connection has registered by the full calls; nil
// where the device has come back on another connection since.
func (l *loop) mineFull(id area.DeviceID, conn string) (*device, error) {
	d := l.full[id]
	if d == nil || d.conn == nil || d.conn.ID() != conn {
		return nil, area.Errorf(area.CodeNotRegistered, "device %s is not registered by Register on this connection", id)
	}
	if d.hello != nil && d.boot == 0 {
		return nil, area.Errorf(area.CodeNotRegistered, "device %s has no boot yet: wait for Register", id)
	}
	return d, nil
}

// drop forgets a device; what waits for it fails.
func (l *loop) drop(d *device, err error) {
	l.failCalls(d, err)
	l.failWish(d, err)
	delete(l.full, d.id)
}

// failCalls answers every call but those that wait for a claim's grant or end.
func (l *loop) failCalls(d *device, err error) {
	if d.hello != nil {
		d.hello.done(nil, err)
	}
	for _, t := range d.takes {
		t.done(nil, err)
	}
	for _, r := range d.wish.renews {
		r.done(nil, err)
	}
	d.hello, d.takes, d.wish.renews = nil, nil, nil
}

// failWish answers every call that waits for the wish, and forgets it.
func (l *loop) failWish(d *device, err error) {
	w := d.wish
	d.wish = wish{n: w.n}
	for _, a := range w.asks {
		a.done(nil, err)
	}
	for _, r := range w.renews {
		r.done(nil, err)
	}
	for _, f := range w.ends {
		f(nil, err)
	}
}

// lostFull says that a connection ended. A claim that waits is given up, since
// nobody restates it; a lease goes on to its end, and a done is said until it is
// heard.
func (l *loop) lostFull(conn string) {
	for _, d := range l.full {
		if d.conn == nil || d.conn.ID() != conn {
			continue
		}
		d.conn, d.gone = nil, l.now
		err := area.Errorf(area.CodeDegraded, "the connection ended")
		if d.wish.state == wishNone || d.wish.state == wishWaits {
			l.drop(d, err)
			continue
		}
		l.failCalls(d, err)
	}
}

// want is Claim: the call is answered at the grant. The same claim again, as after
// a lost connection, has the same answer.
func (l *loop) want(id area.DeviceID, conn string, w wish, ask *asking) {
	d, err := l.mineFull(id, conn)
	switch {
	case err != nil:
		ask.done(nil, err)
		return
	case w.n == d.wish.n && d.wish.state == wishWaits:
		d.wish.asks = append(d.wish.asks, ask)
		return
	case w.n == d.wish.n && d.wish.state == wishGranted:
		ask.done(granted{d.wish.token, w.n}, nil)
		return
	case w.n <= d.wish.n:
		ask.done(nil, area.Errorf(area.CodeConflict, "claim %d is over, or is not above %d", w.n, d.wish.n))
		return
	}
	l.failWish(d, area.Errorf(area.CodeRevoked, "claim %d has taken its place", w.n))
	w.state, w.asks = wishWaits, []*asking{ask}
	if w.work != "" {
		w.att = 1
		if o := d.offer(w.work); o != nil {
			w.att = o.Att
		}
	}
	d.wish = w
	l.sayWish(d)
}

// withdraw ends a claim for which nobody waits any more.
func (l *loop) withdraw(id area.DeviceID, ask *asking) {
	d := l.full[id]
	if d == nil || d.wish.state != wishWaits {
		return
	}
	n := len(d.wish.asks)
	d.wish.asks = slices.DeleteFunc(d.wish.asks, func(a *asking) bool { return a == ask })
	if n > 0 && len(d.wish.asks) == 0 {
		l.ends(d, area.Claim{Op: area.OpDone, Result: area.Cancelled})
	}
}

// renew is Renew: it says that the device plays, or is about to.
func (l *loop) renew(id area.DeviceID, conn string, token area.Token, done func(any, error)) {
	d, err := l.mineFull(id, conn)
	switch {
	case err != nil:
		done(nil, err)
		return
	case d.wish.state != wishGranted || d.wish.token != token || d.wish.revoked:
		done(nil, area.Errorf(area.CodeRevoked, "token %d has no right", token))
		return
	case len(d.wish.renews) >= mostRenews:
		done(nil, area.Errorf(area.CodeRate, "%d renewals wait already", mostRenews))
		return
	}
	w := d.wish
	seq := l.say(d, area.Claim{Op: area.OpWant, Claim: w.n, Prio: w.prio, Dur: w.dur, Work: w.work, Att: w.att, Playing: true, Token: token})
	d.wish.renews = append(d.wish.renews, renewal{seq: seq, due: l.now.Add(answerTime), done: done})
}

// done is Done. It is answered when the arbiter has heard it; of a token that is
// not the present one there is nothing left to say.
func (l *loop) done(id area.DeviceID, conn string, said area.Claim, done func(any, error)) {
	d, err := l.mineFull(id, conn)
	switch {
	case err != nil:
		done(nil, err)
		return
	case d.wish.state == wishNone || said.Token != d.wish.token:
		done(nil, nil)
		return
	}
	again := d.wish.state == wishEnds
	d.wish.ends = append(d.wish.ends, done)
	if !again {
		l.ends(d, said)
	}
}

// ends says done until it is answered.
func (l *loop) ends(d *device, said area.Claim) {
	w := &d.wish
	asks, renews := w.asks, w.renews
	w.state, w.asks, w.renews = wishEnds, nil, nil
	w.end = said
	w.end.Claim, w.end.Work, w.end.Att = w.n, w.work, w.att
	for _, a := range asks {
		a.done(nil, area.Errorf(area.CodeRevoked, "released before it was granted"))
	}
	for _, r := range renews {
		r.done(nil, area.Errorf(area.CodeRevoked, "released"))
	}
	l.sayWish(d)
}

// take is TakeWork.
func (l *loop) take(id area.DeviceID, conn string, work area.WorkID, done func(any, error)) {
	d, err := l.mineFull(id, conn)
	if err != nil {
		done(nil, err)
		return
	}
	o := d.offer(work)
	switch {
	case o == nil:
		done(nil, area.Errorf(area.CodeExpired, "work %s is not offered to %s", work, id))
		return
	case len(d.takes) >= mostTakings:
		done(nil, area.Errorf(area.CodeRate, "%d works are being taken already", mostTakings))
		return
	}
	d.takes = append(d.takes, taking{offer: *o, due: l.now.Add(answerTime), done: done})
	l.say(d, area.Claim{Op: area.OpTake, Work: o.Work, Att: o.Att})
}

func (d *device) offer(w area.WorkID) *area.Offer {
	if i := slices.IndexFunc(d.told, func(o area.Offer) bool { return o.Work == w }); i >= 0 {
		return &d.told[i]
	}
	return nil
}

// holdOut tells the devices of the full calls of an offer, each attempt once.
func (l *loop) holdOut(in area.Name, to area.DeviceID, o area.Offer) {
	for _, d := range l.full {
		if d.conn == nil || to != d.id && (to != "" || d.in != in) {
			continue
		}
		if was := d.offer(o.Work); was != nil {
			if was.Att == o.Att {
				continue
			}
			*was = o
		} else if d.told = append(d.told, o); len(d.told) > mostTold {
			d.told = slices.Delete(d.told, 0, 1)
		}
		_ = d.conn.Send("WorkOffered", json.RawMessage(o.Encode())) // an error means that the connection is ending
	}
}
