package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Times of a mirror.
const (
	leaderSilent = 3 * time.Second  // without a word of the leader, nothing of it is live
	leaderGone   = 30 * time.Second // or the longest lease that may be alive, if that is longer: the hub takes over
	handEvery    = time.Second      // a work is handed over again until it is taken
)

// mirrorConfig is what a mirror has to know of its area and hub.
type mirrorConfig struct {
	area   area.Name
	node   string        // name of the hub
	lease  time.Duration // configured; 0: 6 s
	strict bool
	rev    uint64 // the first state that is shown has a higher number: see mirror.show
}

// mirror is the hub's view of an area that one of the area's own devices may
// arbitrate: whether it does, and which works are in its hands. All that the
// area's desk hears goes through it; where the hub itself arbitrates it goes on
// to the core. Like that it is a pure state machine.
//
// A leader has the area from the moment that its lead is accepted: then the core
// yields. While it is silent nothing is granted here; when it has been for long
// enough that no lease of it can be alive, the hub arbitrates again, which is a
// split, since the leader may still do so on its side. What was handed over
// stays in its hands for as long as it may be doing it.
type mirror struct {
	cfg mirrorConfig
	out []Action
	now area.Instant

	local  bool          // the topology
	leader area.DeviceID // who has the area; empty: the hub, by its core
	life   string        // of the leader's process
	term   uint64        // highest that was heard, or that our core had
	mine   uint64        // the core's, which is never below; 0: there is none
	heard  area.Instant  // when the leader last said that it leads
	since  area.Instant  // it does
	lost   bool          // it is silent, and that was told
	gave   bool          // it has resigned
	alive  time.Duration // longest life of a lease of the leader's, or of our core's
	asked  bool          // our core is about to yield
	yields area.Instant  // until then a lease that our core granted may be alive
	addr   area.Leader   // what the leader topic shows

	wall  int64   // the wall's clock at this step, ms since 1970: for dates alone
	owes  int     // what the leader has yet to tell, as it said last
	split *parted // the newest; nil: there was none

	holds []timedHold // of the leader, as it said last
	left  []timedHold // of our core, until the leader has said that it counts them

	shown area.Busy // newest state of the leader that was shown
	rev   uint64

	ups   map[area.DeviceID]DeviceUp // devices that are connected to the hub
	works mirrorWorks
	got   map[area.DeviceID]numbered // newest record of each member

	kept   notebook
	counts MirrorCounts
}

// timedHold is a hold and when it was told.
type timedHold struct {
	area.Hold
	at area.Instant
}

// numbered is how far the repeated messages of one process have come.
type numbered struct {
	life string
	n    uint64
}

// MirrorCounts are what the mirrors have counted since the start.
type MirrorCounts struct {
	Leads   uint64 // times that a leader took an area
	Refused uint64 // leads that were refused
	Silent  uint64 // times that a leader fell silent
	Splits  uint64 // times that the hub took an area whose leader may still lead
	Handed  uint64 // works that leaders took
	Merged  uint64 // ends that leaders reported
}

// up is a message of a member's trunk, or of somebody who is none.
type up struct {
	device area.DeviceID
	member bool
	msg    area.Trunk
}

// yielded is what the core left when it was asked to yield.
type yielded struct{ Yielded }

// kept answers keep.
type kept struct {
	seq uint64
	err error
}

// topology says whether the area is a local one.
type topology struct{ local bool }

// command is a message of the hub for a device of the leader's.
type command struct{ m area.Message }

func (up) event()       {}
func (yielded) event()  {}
func (kept) event()     {}
func (topology) event() {}
func (command) event()  {}

// Actions of a mirror, beside those of a core.
type (
	// toCore: hand the event to the core.
	toCore struct{ ev Event }
	// yield: end the core, and answer by yielded.
	yield struct{}
	// takeOver: make a core, whose terms are above the floor, and hand it what
	// follows.
	takeOver struct{ floor uint64 }
	// down: send the message to a member.
	down struct {
		to  area.DeviceID
		msg area.Trunk
	}
	// keep: write the mirror's record, and answer by kept; nil: there is none.
	keep struct {
		seq    uint64
		record []byte
	}
	// led: show who leads.
	led struct{ leader area.Leader }
	// mirrored: show a state that is the leader's.
	mirrored struct{ busy area.Busy }
	// relay: publish what a device of the leader's said.
	relay struct {
		leader  area.DeviceID
		topic   string
		payload []byte
		retain  bool
	}
	// departed: a device of the leader's is not connected any more.
	departed struct {
		leader, device area.DeviceID
		reason         string
	}
	// serving: these are the leader's devices, and nobody else for long.
	serving struct {
		leader  area.DeviceID
		devices []area.DeviceID
	}
	// severed: the leader's devices are not connected any more, as far as is
	// known.
	severed struct{ leader area.DeviceID }
	// adopt: an order that came to the leader, and a report of it.
	adopt struct {
		order  area.Order
		report area.Report
		receipt
	}
	// recorded: a line of the leader's own record.
	recorded struct {
		line []byte
		ago  time.Duration
	}
	// played: a device has played a work by the word of a leader, whose own record of
	// that may be to come.
	played struct {
		device area.DeviceID
		work   area.WorkID
	}
	// tell: something that an operator has to know.
	tell struct {
		what   news
		leader area.DeviceID
		term   uint64
	}
)

// news is what became of the lead of an area.
type news int

const (
	newsLed     news = iota // a device leads
	newsSilent              // it is silent
	newsBack                // it speaks again
	newsGave                // it has resigned
	newsSplit               // the hub took over, and it may still lead
	newsTaken               // the hub took over
	newsRefused             // a lead was refused
	newsWhole               // the split is over
)

func (toCore) action()   {}
func (yield) action()    {}
func (takeOver) action() {}
func (down) action()     {}
func (keep) action()     {}
func (led) action()      {}
func (mirrored) action() {}
func (relay) action()    {}
func (departed) action() {}
func (serving) action()  {}
func (severed) action()  {}
func (adopt) action()    {}
func (recorded) action() {}
func (played) action()   {}
func (tell) action()     {}

// newMirror makes the mirror of an area from its record; nil is that of an area
// that nobody ever led. now is the clock's.
func newMirror(cfg mirrorConfig, rec []byte, now area.Instant) (*mirror, error) {
	r, err := parseLed(rec)
	if err != nil {
		return nil, err
	}
	m := &mirror{
		cfg: cfg, rev: cfg.rev, leader: r.Leader, term: r.Term, gave: r.Gave, heard: now, since: now, alive: time.Duration(r.AliveMs) * time.Millisecond,
		ups: map[area.DeviceID]DeviceUp{}, got: map[area.DeviceID]numbered{}, works: newMirrorWorks(r.Works),
	}
	m.holds, m.split = timed(r.Holds, now), r.Split
	return m, nil
}

func timed(list []area.Hold, now area.Instant) (out []timedHold) {
	for _, h := range list {
		out = append(out, timedHold{h, now})
	}
	return out
}

// leftOf are holds with what is left of them now.
func leftOf(list []timedHold, now area.Instant) (out []area.Hold) {
	for _, h := range list {
		if h.LeftMs -= now.Sub(h.at).Milliseconds(); h.LeftMs > 0 {
			out = append(out, h.Hold)
		}
	}
	return out
}

// step takes an event in and answers what to do, in order; the slice is valid
// until the next step. mine is the term of the core, 0 where there is none.
func (m *mirror) step(ev Event, mine uint64, now area.Instant) []Action {
	m.out, m.now, m.mine = m.out[:0], now, mine
	m.term = max(m.term, mine)
	m.ownSplit()
	switch ev := ev.(type) {
	case up:
		m.up(ev)
	case yielded:
		m.yielded(ev.Yielded)
	case kept:
		m.kept.answer(ev, m.now)
	case topology:
		m.topology(ev.local)
	case adopted:
		m.adopted(ev)
	case command:
		if m.live() {
			m.down(area.Trunk{Op: area.TrunkCommand, Topic: ev.m.Topic, Payload: ev.m.Payload})
		}
	case Begin:
		m.begin()
	case Tick:
	default:
		m.here(ev)
	}
	m.watch()
	m.handOver()
	m.write()
	return m.out
}

// begin starts the core, or shows that the leader of before is waited for.
func (m *mirror) begin() {
	if m.leader == "" {
		m.do(toCore{Begin{}})
		return
	}
	m.heard, m.since = m.now, m.now // it cannot have been heard before: it has the whole time to speak
	m.addr = area.Leader{Term: m.term, Host: string(m.leader), Mode: area.LeaderLocal}
	m.do(led{m.addr})
	m.show(area.IdleBusy(m.cfg.area, m.term, 0, m.lease()), area.Settling)
}

// live tells whether a leader has the area and is heard.
func (m *mirror) live() bool { return m.leader != "" && m.life != "" && !m.lost && !m.gave }

// unsure tells whether the hub has started so lately that a leader of before may
// not have spoken yet.
func (m *mirror) unsure() bool { return m.leader != "" && m.life == "" && !m.lost && !m.gave }

func (m *mirror) lease() time.Duration {
	if m.cfg.lease == 0 {
		return 6 * time.Second
	}
	return m.cfg.lease
}

// here takes in what the desk hears at the hub: it is the core's, or goes down
// to the leader.
func (m *mirror) here(ev Event) {
	switch ev := ev.(type) {
	case DeviceUp:
		m.ups[ev.Device] = ev
	case DeviceDown:
		delete(m.ups, ev.Device)
	case Configure:
		m.cfg.lease, m.cfg.strict = ev.Config.Lease, ev.Config.Strict
	case Submit:
		if m.submit(ev) {
			return
		}
		m.do(toCore{m.works.recall(ev)})
		return
	case Cancel:
		if m.works.cancel(m, ev) {
			return
		}
	case Stored:
		m.stored(ev.Work)
	case Heard:
		m.doneHere(ev, false)
	}
	if m.leader == "" {
		m.do(toCore{ev})
		return
	}
	m.toLeader(ev)
}

// toLeader sends down what the area's arbiter has to hear.
func (m *mirror) toLeader(ev Event) {
	if !m.live() {
		m.hold(ev)
		return
	}
	switch ev := ev.(type) {
	case Heard:
		claim := ev.Claim
		m.down(area.Trunk{Op: area.TrunkHeard, Device: ev.Device, Claim: &claim, Hold: ev.Hold})
	case Set:
		m.drop(ev)
		m.down(area.Trunk{Op: area.TrunkSet, Device: ev.Device, On: ev.On, Will: ev.Will})
	case DeviceUp:
		m.sayUp(ev)
	case DeviceDown:
		m.down(area.Trunk{Op: area.TrunkDown, Device: ev.Device})
	case Voted:
		vote := ev.Vote
		m.down(area.Trunk{Op: area.TrunkVote, Device: ev.Device, Vote: &vote})
	case StopPlay:
		m.down(area.Trunk{Op: area.TrunkStopPlay})
	case Stored:
		m.down(area.Trunk{Op: area.TrunkStored, Work: ev.Work})
	}
}

// hold answers for a leader that is silent: a device waits, as while an arbiter
// settles (§8.16). Its other words it says again.
func (m *mirror) hold(ev Event) {
	h, ok := ev.(Heard)
	if !ok || h.Claim.Op != area.OpWant {
		return
	}
	c := h.Claim
	m.do(Say{Device: h.Device, Answer: area.Answer{Op: area.OpQueued, Boot: c.Boot, MID: c.MID, Claim: c.Claim, Ack: c.Seq, Term: m.term, From: m.cfg.node}})
}

// drop forgets a hold of ours that has ended before the leader has said that it
// counts it.
func (m *mirror) drop(ev Set) {
	if !ev.On && !ev.Will {
		m.left = slices.DeleteFunc(m.left, func(h timedHold) bool { return h.Device == ev.Device })
	}
}

func (m *mirror) sayUp(ev DeviceUp) {
	via := area.ViaMQTT
	if ev.Dumb {
		via = area.ViaDumb
	}
	m.down(area.Trunk{Op: area.TrunkUp, Device: ev.Device, Location: ev.Location, Via: via})
}

// topology makes an area a local one, or takes it back from its leader at once.
func (m *mirror) topology(local bool) {
	m.local = local
	if !local && m.leader != "" {
		m.over(newsTaken)
	}
}

// show publishes a state of the leader's. What is shown is numbered anew, since
// while the leader is silent the hub has something to show as well: a number
// never goes back within a term.
func (m *mirror) show(b area.Busy, state area.BusyState) {
	b.State = state
	if state == area.Settling {
		b.Holder, b.Claim, b.Token, b.Prio, b.Work = nil, nil, nil, nil, nil
	}
	b.Term = max(b.Term, m.shown.Term)
	m.rev = max(m.rev+1, b.Rev)
	b.Rev = m.rev
	m.shown = b
	m.do(mirrored{b})
}

func (m *mirror) do(a Action) { m.out = append(m.out, a) }

// down sends a message to the leader.
func (m *mirror) down(t area.Trunk) { m.send(m.leader, t) }

func (m *mirror) send(to area.DeviceID, t area.Trunk) {
	t.Area, t.Term = m.cfg.area, m.term
	m.do(down{to, t})
}
