package arbiter

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

func (s *sim) arbStart() {
	if s.core != nil {
		return
	}
	if len(s.leases) > 0 && !s.calm {
		s.lease = s.leases[s.rng.IntN(len(s.leases))] // the configuration has changed
	}
	core, err := NewCore(CoreConfig{Area: simArea, Node: "hub-1", Index: 1, Lease: s.lease, Finish: s.finish}, s.disk)
	if err != nil {
		panic(err)
	}
	core.mutant = s.mutant
	s.core, s.arbGen, s.arbWake, s.arbFrom, s.arbBorn, s.arbPPM = core, s.arbGen+1, 0, s.now, s.now-s.rng.Int64N(1e12), s.rng.Int64N(8001)-4000
	if !s.calm && s.rng.IntN(3) == 0 { // and it does not last
		s.at(s.now+s.rng.Int64N(4e9), evArbCrash)
	}
	s.log("arbiter starts, lease %v, record %s", s.lease, s.disk)
	s.toCore(Begin{})
	for _, w := range s.works[max(0, len(s.works)-100):] {
		if w.end == "" {
			s.toCore(Submit{Work: w.work, Expires: s.onArb(w.expires)})
		}
	}
	for _, d := range s.devs {
		if d.kind == classic && d.up {
			s.classicTurn(d)
		}
	}
}

// onArb is an instant of the arbiter's clock.
func (s *sim) onArb(at int64) area.Instant { return local(at-s.arbBorn, s.arbPPM) }

func (s *sim) arbCrash() {
	if s.core == nil || s.calm {
		return
	}
	s.r.restarts++
	s.log("arbiter crashes")
	// What was under way to the disk may have arrived, in its order.
	for _, e := range s.underWay() {
		if s.rng.IntN(2) == 0 {
			break
		}
		s.disk = e.rec
	}
	s.forgiven()
	s.addCounts()
	s.core, s.arbGen = nil, s.arbGen+1
	for _, d := range s.devs {
		if d.sounding && d.kind == leased && s.rng.IntN(2) == 0 { // what takes the hub often takes the network
			d.cut = max(d.cut, s.now+s.rng.Int64N(20e9))
		}
		switch {
		case d.kind == classic:
			d.turn, d.conn, d.waiting = nil, false, 0
			d.gen++ // the client goes on, and says false when it can
		case d.conn && s.rng.IntN(2) == 0:
			s.drop(d, 200e6+s.rng.Int64N(300e6))
		}
	}
	down := 50e6 + s.rng.Int64N(6e9)
	if s.rng.IntN(3) > 0 {
		down /= 20
	}
	s.at(s.now+down, evArbStart)
}

func (s *sim) underWay() (list []*simEvent) {
	for _, e := range s.heap {
		if e.kind == evCommitted && e.gen == s.arbGen && !e.fail {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *simEvent) int { return int(a.seq) - int(b.seq) })
	return list
}

// forgiven: a dumb device sounds before its hold is durable; if the record of
// it is lost, it is an intruder of the next arbiter, which nobody promises
// anything about.
func (s *sim) forgiven() {
	rec, err := parseRecord(s.disk)
	if err != nil {
		panic(err)
	}
	for _, d := range s.devs {
		if d.kind == dumb && d.sounding && !slices.ContainsFunc(rec.Holds, func(h holdRecord) bool { return h.Device == d.id }) && !s.mutant.holdsForget {
			d.counted = false
		}
	}
}

func (s *sim) addCounts() {
	a, b := &s.r.counts, s.core.Counts()
	a.Grants += b.Grants
	a.LeaseExpired += b.LeaseExpired
	a.Conflicts += b.Conflicts
	a.Intruders += b.Intruders
	a.Preemptions += b.Preemptions
	a.Adoptions += b.Adoptions
	a.Disconnects += b.Disconnects
	a.Settlings += b.Settlings
	a.Stale += b.Stale
	a.Replaced += b.Replaced
}

func (s *sim) handleArb(e *simEvent) {
	if s.core == nil {
		return
	}
	switch e.kind {
	case evToArb:
		d := s.devs[e.dev]
		s.toCore(Heard{Device: d.id, Claim: e.claim, Hold: d.kind == classic})
	case evArbTick:
		if e.gen == s.arbGen && e.at == s.arbWake {
			s.toCore(Tick{})
		}
	case evCommitted:
		if e.gen != s.arbGen {
			return
		}
		var err error
		if e.fail {
			err = errors.New("disk")
		}
		if !e.fail || s.rng.IntN(2) == 0 {
			s.disk = e.rec
		}
		s.toCore(Committed{Seq: e.seq, Err: err})
	}
}

func (s *sim) toCore(ev Event) {
	if s.core == nil {
		return
	}
	actions := slices.Clone(s.core.Step(ev, s.onArb(s.now)))
	for _, a := range actions {
		s.arbAct(a)
	}
	if next := s.core.Next(); next != area.Never {
		if at := max(s.arbBorn+until(next, s.arbPPM), s.now+1); s.arbWake <= s.now || at < s.arbWake {
			s.arbWake = at
			s.at(at, evArbTick).gen = s.arbGen
		}
	}
}

func (s *sim) arbAct(a Action) {
	switch a := a.(type) {
	case ShowBusy:
		if s.trace {
			s.log("busy %s", a.Busy.Encode())
		}
	case Say:
		s.answer(a)
	case HoldOut:
		for _, d := range s.devs {
			if a.Device != "" && a.Device != d.id {
				continue
			}
			for n := s.copies(); n > 0; n-- {
				e := s.at(s.now+s.delay(), evOffer)
				e.dev, e.offer = d.i, a.Offer
			}
		}
	case Commit:
		e := s.at(max(s.inDisk, s.now+s.rng.Int64N(20e6)), evCommitted)
		s.inDisk = e.at
		e.gen, e.seq, e.rec = s.arbGen, a.Seq, a.Record
		e.fail = !s.calm && s.rng.Float64() < s.ledgerFails
	case Disconnect:
		for _, d := range s.devs {
			if d.id == a.Device && d.kind == leased {
				s.drop(d, 200e6)
			}
		}
	case Report:
		s.checkContact(a)
		s.report(a.Report)
	}
}

// answer carries the arbiter's word to all machines of the name.
func (s *sim) answer(a Say) {
	if a.Answer.Op == area.OpGrant {
		s.checkWork()
		s.checkToken(a.Answer, uint64(len(a.Device))<<32|uint64(a.Device[len(a.Device)-1]))
	}
	if a.Answer.Op == area.OpAssigned {
		s.checkTaker(a)
	}
	back := a.Answer
	if s.r.messages%64 == 0 {
		var err error
		if back, err = area.ParseAnswer(a.Answer.Encode()); err != nil {
			panic(err)
		}
	}
	for _, d := range s.devs {
		if d.id != a.Device {
			continue
		}
		n := s.copies()
		if d.kind == classic {
			n = 1
		}
		for ; n > 0; n-- {
			slow := s.delay()
			if d.kind == classic {
				slow = 1e5
			}
			e := s.at(s.now+slow, evToDev)
			e.dev, e.answer = d.i, back
		}
	}
}

// checkWork: the area is granted for a work's present attempt alone (§8.12).
func (s *sim) checkWork() {
	h := s.core.holder
	if h.work == "" || h.playing {
		return
	}
	if s.core.workOf(h) == nil {
		s.bad(&s.r.badEnds, "%s is granted the area for %s/%d, which is not its", h.device, h.work, h.att)
	}
}

// checkTaker: an attempt is one start's, until the arbiter says that the work
// waits again (§8.12).
func (s *sim) checkTaker(a Say) {
	w, is := s.workOf(a.Answer.Work), simTaker{a.Device, a.Answer.MID, a.Answer.Boot}
	if had := &w.takers[a.Answer.Att]; *had == (simTaker{}) {
		*had = is
	} else if *had != is {
		s.bad(&s.r.badEnds, "%s/%d is %s's and %s's", w.work.ID, a.Answer.Att, had.device, is.device)
	}
}

// checkContact: after a restart the taker of a work has the settling, a lease
// and 3 s to speak; only a new start of it shows earlier that it is gone
// (§8.12).
func (s *sim) checkContact(r Report) {
	w := s.workOf(r.Report.Work)
	if r.Report.State != area.OrderWaiting {
		return
	}
	if r.By != "" {
		w.takers[r.Report.Att] = simTaker{}
	}
	lost := w.takers[r.Report.Att-1]
	if r.Report.Reason != area.EndLostContact || s.now-s.arbFrom >= int64(s.lease) {
		return
	}
	for _, d := range s.devs {
		if d.id == r.By && d.turn != nil && lost == (simTaker{d.id, d.mid, d.turn.Boot()}) {
			s.bad(&s.r.badEnds, "%s lost %s %v after a start", d.id, w.work.ID, time.Duration(s.now-s.arbFrom))
		}
	}
}

// checkToken: a token is one claim's, and a new one is above all before (S2).
func (s *sim) checkToken(a area.Answer, device uint64) {
	key := [3]uint64{device, a.Boot, a.Claim}
	t := &s.tokens[uint64(a.Token)%256]
	switch {
	case t.token == a.Token && t.key != key:
		s.bad(&s.r.doubleTokens, "token %d is two claims'", a.Token)
	case t.token != a.Token && a.Token < s.maxToken && t.token < a.Token:
		s.bad(&s.r.doubleTokens, "token %d was granted after %d", a.Token, s.maxToken)
	}
	if t.token < a.Token {
		t.token, t.key = a.Token, key
	}
	s.maxToken = max(s.maxToken, a.Token)
}

// fault does one thing that goes wrong, and plans the next.
func (s *sim) fault() {
	if s.calm {
		return
	}
	d := s.devs[s.rng.IntN(len(s.devs))]
	switch s.rng.IntN(10) {
	case 0, 1, 2:
		s.crash(d)
	case 3, 4:
		s.r.partitions++
		for _, d := range s.devs {
			if s.rng.IntN(2) == 0 && d.kind == leased { // a classic device's half is in the hub
				d.cut = s.now + s.rng.Int64N(20e9)
			}
		}
	case 5, 6:
		if s.rng.IntN(2) == 0 {
			s.arbCrash()
		}
	case 7:
		s.r.deaf++
		d.deaf = d.kind == leased
	case 8, 9: // the broker says that the device is gone; it plays on
		s.r.wills++
		if d.kind == leased {
			s.toCore(DeviceDown{Device: d.id})
			s.toCore(DeviceUp{Device: d.id, Location: d.location, MID: d.mid})
		}
	}
	s.at(s.now+s.rng.Int64N(12e9), evFault)
}

// submit hands in works now and then, as the order service does.
func (s *sim) submit() {
	if s.calm {
		return
	}
	s.at(s.now+s.rng.Int64N(5e9), evSubmit)
	if s.core == nil {
		return
	}
	w := &simWork{work: area.Work{ID: area.WorkID(fmt.Sprint("w", len(s.works))), Area: simArea, Prio: area.Normal, Redo: area.RedoRetry, IfBusy: area.BusyQueue,
		Dur: time.Duration(100e6 + s.rng.Int64N(1500e6))}, expires: s.now + 5e9 + s.rng.Int64N(60e9)}
	switch s.rng.IntN(8) {
	case 0:
		w.work.Redo = area.RedoOnce
	case 1:
		w.work.IfBusy = area.BusySkip
	case 2:
		w.work.IfBusy = area.BusyInterrupt
	case 3:
		w.work.Prio = area.Emergency
	case 4:
		w.work.Device = s.devs[s.rng.IntN(4)].id
	case 5, 6:
		w.work.Location = s.devs[s.rng.IntN(4)].location
	}
	s.works = append(s.works, w)
	s.r.works++
	s.toCore(Submit{Work: w.work, Expires: s.onArb(w.expires)})
	if s.rng.IntN(10) == 0 {
		s.toCore(Cancel{Work: s.works[s.rng.IntN(len(s.works))].work.ID, Reason: area.EndUser})
	}
}

// report is the order service: it stores an end, and says so.
func (s *sim) report(r area.Report) {
	s.log("report %s %s %s att %d %s", r.Work, r.State, r.Device, r.Att, r.Reason)
	w := s.workOf(r.Work)
	if !r.State.Ended() {
		return
	}
	if w.end != "" && w.end != r.State {
		s.bad(&s.r.badEnds, "work %s ended %s and %s", r.Work, w.end, r.State)
	}
	w.end = r.State
	s.toCore(Stored{Work: r.Work})
}

// calmDown ends all faults: from now on the area must hand over.
func (s *sim) calmDown() {
	s.log("calm")
	s.calm = true
	for _, d := range s.devs {
		d.cut = 0
		if !d.up && !d.blank {
			s.start(d)
		}
	}
	if s.core == nil {
		s.arbStart()
	}
	s.at(s.now+int64(simCalm), evEnd)
	s.lastSound = s.now + int64(simSettled)
	for _, d := range s.devs {
		if d.waiting != 0 {
			d.waiting = s.now
		}
	}
}

func (s *sim) end() {
	s.ended = true
	for _, w := range s.works {
		if w.end == "" {
			s.bad(&s.r.badEnds, "work %s has no end", w.work.ID)
		}
	}
	for _, d := range s.devs {
		if d.turn != nil && d.kind == leased && d.turn.Phase() == turn.Done && s.trace {
			s.log("%s is left in done", d.id)
		}
	}
}
