package arbiter

import (
	"fmt"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// nodeDevice is a device of a nodeWorld: the turn that ships, and a loudspeaker. It
// is connected to one node at a time, whichever lets it in.
type nodeDevice struct {
	w    *nodeWorld
	i    int
	id   area.DeviceID
	mid  string
	boot uint64

	life   int
	born   int64
	ppm    int64
	turn   *turn.Turn
	ballot *turn.Ballot
	at     *simNode // nil: it is not connected
	link   uint64
	conn   uint64 // of this start
	nonces int
	wake   int64
	sent   [64]struct {
		seq uint64
		at  area.Instant
	}

	sounds bool
	plays  int
	waits  int64      // since when; 0: it does not
	by     string     // who has granted last what it plays by
	byLife int        // where that is one node
	byDark int64      // same: since when that knew that it did not reach the server
	least  area.Token // of its newest grant
	wish   turn.Wish
	queue  []turn.Wish   // assigned works
	played []area.WorkID // the journal: it outlives a crash
	began  int64         // when the present sound did
	known  bool          // that it was played before, to who granted it
	done   area.Claim    // the newest that said what was played
}

func (d *nodeDevice) now() area.Instant { return local(d.w.now-d.born, d.ppm) }

func (d *nodeDevice) start() {
	w := d.w
	d.boot, d.life, d.conn = d.boot+1, d.life+1, 0
	d.least = 0
	d.born, d.ppm, d.wake = w.now-w.rng.Int64N(1e12), w.rng.Int64N(8001)-4000, 0
	d.turn = turn.New(turn.Config{Area: nodeArea, Device: d.id, MID: d.mid, Boot: d.boot, Lease: w.lease, Nonce: func() string {
		d.nonces++
		return fmt.Sprint("n", d.nonces)
	}})
	d.ballot = turn.NewBallot(d.mid, d.now())
	d.soon(w.upTo(200*time.Millisecond), d.connect)
	d.soon(w.upTo(time.Second), d.want)
	d.soon(w.upTo(2*time.Minute), d.move)
}

// soon does something, unless the device has crashed by then.
func (d *nodeDevice) soon(in time.Duration, what func()) {
	life := d.life
	d.w.in(in, func() {
		if d.life == life && d.turn != nil {
			what()
		}
	})
}

func (d *nodeDevice) crash() {
	if d.turn == nil || d.w.calm {
		return
	}
	d.w.log("%s crashes", d.id)
	d.w.r.crashes++
	d.turn, d.waits, d.queue = nil, 0, nil
	d.off("reset")
	if d.sounds {
		d.plays++
		d.silentIn(d.w.upTo(50*time.Millisecond), area.Stopped)
	}
	d.w.in(200*time.Millisecond+d.w.upTo(5*time.Second), d.start)
}

// move goes to another node, as when a balancer spreads anew.
func (d *nodeDevice) move() {
	if !d.w.calm {
		d.soon(d.w.upTo(2*time.Minute), d.move)
	}
	if d.at != nil {
		d.w.r.moves++
		d.lost(d.at)
	}
}

// off ends the connection; its node hears of that a little later, or much.
func (d *nodeDevice) off(reason string) {
	n, link := d.at, d.link
	if n == nil {
		return
	}
	d.at = nil
	late := d.w.upTo(100 * time.Millisecond)
	if d.w.rng.IntN(4) == 0 {
		late = d.w.upTo(20 * time.Second)
	}
	life := n.life
	d.w.in(late, func() {
		n.do(life, func() { n.service.roster.Lost(mqttLink(link), reason); n.pump() })
	})
}

func (d *nodeDevice) lost(n *simNode) {
	if d.at != n || d.turn == nil {
		return
	}
	d.off("lost")
	d.step(turn.Down{})
	d.soon(200*time.Millisecond+d.w.upTo(time.Second), d.connect)
}

// connect goes to any node that lets it in.
func (d *nodeDevice) connect() {
	w := d.w
	if d.at != nil {
		return
	}
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if !n.up || n.asleep != 0 || n.leaving {
		d.soon(300*time.Millisecond, d.connect)
		return
	}
	w.conns++
	d.conn++
	d.at, d.link = n, w.conns
	st := area.Status{Online: true, Boot: d.boot, Conn: d.conn, MID: d.mid, Area: string(nodeArea)}
	d.say(area.Message{Topic: area.StatusTopic(d.id), Payload: st.Encode(), Retain: true})
	d.step(turn.Lease{Lease: w.lease})
	d.step(turn.Up{})
}

// say publishes at the device's node.
func (d *nodeDevice) say(m area.Message) {
	n := d.at
	if n == nil {
		return
	}
	m.From, m.Conn, m.QoS = string(d.id), d.link, 1
	life := n.life
	d.w.in(d.w.delay(), func() {
		n.do(life, func() {
			switch area.ParseTopic(m.Topic).Kind {
			case area.KindStatus:
				n.service.heardStatus(m)
			case area.KindVote:
				n.service.heardVote(m)
			default:
				n.service.heardClaim(m)
			}
			n.pump()
		})
	})
}

func (d *nodeDevice) step(ev turn.Event) {
	if d.turn == nil {
		return
	}
	life := d.life
	for _, a := range slices.Clone(d.turn.Step(ev, d.now())) {
		d.act(a)
		if d.life != life || d.turn == nil {
			return
		}
	}
	if next := d.turn.Next(); next != area.Never {
		if at := max(d.born+until(next, d.ppm), d.w.now+1); d.wake <= d.w.now || at < d.wake {
			d.wake = at
			d.soon(time.Duration(at-d.w.now), func() {
				if d.wake == at {
					d.wake = 0
					d.step(turn.Tick{})
				}
			})
		}
	}
}

func (d *nodeDevice) act(a turn.Action) {
	w := d.w
	switch a := a.(type) {
	case turn.Send:
		c := a.Claim
		d.sent[c.Seq%64].seq, d.sent[c.Seq%64].at = c.Seq, d.now()
		w.log("%s -> %s boot %d claim %d seq %d playing %v token %d", d.id, c.Op, c.Boot, c.Claim, c.Seq, c.Playing, c.Token)
		if c.Op == area.OpDone && c.Result == area.Played && c.Claim != 0 {
			d.done = c
		}
		d.say(area.Message{Topic: area.ClaimTopic(nodeArea, d.id), Payload: c.Encode()})
	case turn.Start:
		d.plays++
		d.waits = 0
		if t := d.turn.Token(); t < d.least {
			w.bad(&w.r.lower, "%s is granted token %d after %d", d.id, t, d.least)
		} else {
			d.least = t
		}
		d.loud()
		d.silentIn(d.wish.Dur, area.Played)
	case turn.Stop:
		if !d.sounds {
			return
		}
		d.plays++
		in := time.Duration(0)
		if a.Within > 0 {
			in = min(w.upTo(a.Within), max(0, time.Duration(d.born+until(d.turn.Deadline(), d.ppm)-w.now)))
		}
		d.silentIn(in+w.upTo(simTail)*99/100, a.Result)
	case turn.Assigned:
		d.assigned(a)
	case turn.Free:
		d.waits = 0
		if len(d.queue) > 0 {
			d.soon(0, d.want)
			return
		}
		d.soon(d.thinks(), d.want)
	case turn.Booted:
		d.boot = a.Boot
	case turn.Deaf:
		d.off("deaf")
		d.soon(200*time.Millisecond+w.upTo(100*time.Millisecond), d.connect)
	}
}

func (d *nodeDevice) thinks() time.Duration {
	if d.w.calm {
		return time.Second + d.w.upTo(4*time.Second)
	}
	return d.w.upTo(400 * time.Millisecond)
}

// want has the device want to sound.
func (d *nodeDevice) want() {
	w := d.w
	if d.turn.Phase() != turn.Idle || d.waits != 0 {
		return
	}
	d.wish = turn.Wish{Prio: area.Normal, Dur: 20*time.Millisecond + w.upTo(300*time.Millisecond)}
	switch {
	case w.rng.IntN(40) == 0:
		d.wish.Prio = area.Emergency
	case !w.calm && w.rng.IntN(40) == 0: // longer than a reign without a word
		d.wish.Dur = w.upTo(3 * w.around())
	case !w.calm && w.rng.IntN(8) == 0: // longer than a lease
		d.wish.Dur = w.lease/2 + w.upTo(2*w.lease)
	}
	if len(d.queue) > 0 {
		d.wish, d.queue = d.queue[0], d.queue[1:]
	}
	if !slices.ContainsFunc(w.devices, func(o *nodeDevice) bool { return o.waits != 0 }) {
		w.loud = max(w.loud, w.now)
	}
	d.waits = w.now
	d.step(d.wish)
}

// loud checks the one rule.
func (d *nodeDevice) loud() {
	w := d.w
	d.sounds, d.began, d.known = true, w.now, d.knew()
	w.log("%s sounds, token %d", d.id, d.turn.Token())
	if w.nodeOf(d.by) != nil {
		w.r.alone++
	}
	for _, o := range w.devices {
		switch {
		case o == d || !o.sounds:
		case w.beside(d, o):
			w.r.beside++
		default:
			w.bad(&w.r.overlaps, "%s sounds beside %s", d.id, o.id)
		}
	}
	w.loud = max(w.loud, w.now)
	if w.r.handOvers++; w.r.handOvers == w.goal {
		w.in(0, w.calmDown)
	}
}

func (d *nodeDevice) silentIn(in time.Duration, r area.Result) {
	plays := d.plays
	d.w.in(in, func() {
		if d.plays != plays || !d.sounds {
			return
		}
		d.sounds = false
		d.w.log("%s is silent: %s", d.id, r)
		d.journal(r)
		d.step(turn.Over{Result: r})
	})
}

func (d *nodeDevice) shown(b area.Busy) { d.step(turn.Lease{Lease: d.w.lease, Term: b.Term}) }

func (d *nodeDevice) polled(p area.Poll) {
	if d.turn == nil {
		return
	}
	if v, votes := d.ballot.Poll(p, d.now()); votes {
		d.say(area.Message{Topic: area.VoteTopic(nodeArea, d.id), Payload: v.Encode()})
	}
}

func (d *nodeDevice) heard(a area.Answer) {
	if sent := d.sent[a.Ack%64]; d.w.bug.fromReceipt && a.Op == area.OpGrant && sent.seq == a.Ack {
		late := d.now().Sub(sent.at)
		a.Lease += late + late/100
	}
	if a.Op != area.OpGrant {
		d.answered(a)
		d.step(turn.Heard{Answer: a})
		return
	}
	by, life, dark, until := d.by, d.byLife, d.byDark, d.turn.Deadline()
	d.by, d.byLife = a.From, 0
	if n := d.w.nodeOf(a.From); n != nil {
		d.byLife, d.byDark = n.life, n.dark
	}
	d.step(turn.Heard{Answer: a})
	if d.turn == nil || d.turn.Deadline() == until { // too late, or not its own
		d.by, d.byLife, d.byDark = by, life, dark
	}
}

// granted: a token is one claim's.
func (w *nodeWorld) granted(d area.DeviceID, a area.Answer) {
	if a.Op != area.OpGrant {
		return
	}
	is := nodeToken{d, a.Boot, a.Claim}
	if had, ok := w.tokens[a.Token]; ok && had != is {
		w.bad(&w.r.doubleTokens, "token %d is two claims'", a.Token)
	}
	w.tokens[a.Token] = is
}
