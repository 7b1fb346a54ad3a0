package simulation

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

func (m *member) step(ev turn.Event) {
	if m.turn == nil {
		return
	}
	life := m.life
	for _, a := range slices.Clone(m.turn.Step(ev, m.now())) {
		m.act(a)
		if m.life != life || !m.alive {
			return
		}
	}
	if !m.recalled && m.turn.Greeted() {
		m.recalled = true
		for _, id := range m.played[max(0, len(m.played)-4):] { // as firmware does
			m.step(turn.Known{Work: id})
		}
	}
	m.highest = max(m.highest, m.turn.Term())
	if next := m.turn.Next(); next != area.Never {
		if at := max(m.clock.when(next), m.w.now); m.wake <= m.w.now || at < m.wake {
			m.wake = at
			m.soon(time.Duration(at-m.w.now), func() {
				if m.wake == at {
					m.wake = 0
					m.step(turn.Tick{})
				}
			})
		}
	}
	m.w.watch()
}

func (m *member) act(a turn.Action) {
	switch a := a.(type) {
	case turn.Send:
		c := a.Claim
		m.w.log("%s -> %s boot %d claim %d seq %d playing %v token %d", m.id, c.Op, c.Boot, c.Claim, c.Seq, c.Playing, c.Token)
		if m.w.bug.newcomers {
			c.Term, c.From = 0, nil
		}
		m.send(func(b *broker) { b.claim(m, c) })
	case turn.Start:
		m.plays++
		m.waiting = 0
		m.sounds()
		m.silentIn(m.wish.Dur, area.Played)
	case turn.Stop:
		if !m.sounding {
			return
		}
		m.plays++
		in := time.Duration(0)
		if a.Within > 0 {
			in = min(m.w.upTo(a.Within), max(0, time.Duration(m.clock.when(m.turn.Deadline())-m.w.now)))
		}
		m.silentIn(in+m.w.upTo(tail)*99/100, a.Result)
	case turn.Assigned:
		m.queue = append(m.queue, turn.Wish{Work: a.Work, Att: a.Att, Prio: a.Prio, Dur: a.Dur})
		slices.SortStableFunc(m.queue, func(x, y turn.Wish) int { return int(y.Prio.Class() - x.Prio.Class()) })
		m.wishIn(0)
	case turn.Refused:
		if a.Reason == area.ReasonUnknownWork && m.wish.Work == a.Work {
			m.setAside(m.wish)
		}
	case turn.Free:
		m.waiting = 0
		m.wishIn(m.thinks())
	case turn.Booted:
		m.boot = a.Boot
	case turn.Deaf:
		m.soon(0, m.again)
	}
}

func (m *member) thinks() time.Duration {
	if m.w.calm {
		return 3*time.Second + m.w.upTo(10*time.Second)
	}
	return m.w.upTo(600 * time.Millisecond)
}

// wishIn has the device want to sound after a while.
func (m *member) wishIn(d time.Duration) {
	if m.wishes && d > 0 {
		return
	}
	m.wishes = true
	m.soon(d, func() {
		if m.turn.Phase() != turn.Idle {
			m.wishes = false
			return
		}
		if m.w.submits && len(m.queue) == 0 && m.w.rng.IntN(3) > 0 { // most sounds are orders'
			m.wishes = false
			m.wishIn(m.thinks())
			return
		}
		m.wishes = false
		w := turn.Wish{Prio: area.Normal, Dur: 100*time.Millisecond + m.w.upTo(1500*time.Millisecond)}
		switch {
		case m.w.rng.IntN(40) == 0:
			w.Prio = area.Emergency
		case !m.w.calm && m.w.rng.IntN(5) == 0: // longer than a lease
			w.Dur = 2*time.Second + m.w.upTo(14*time.Second)
		}
		if len(m.queue) > 0 {
			w, m.queue = m.queue[0], m.queue[1:]
		}
		if !slices.ContainsFunc(m.w.members, func(o *member) bool { return o.waiting != 0 }) {
			m.w.lastLoud = max(m.w.lastLoud, m.w.now)
		}
		m.wish, m.waiting = w, m.w.now
		m.step(w)
	})
}

// sounds checks the one rule: nobody else sounds in the part of the area.
func (m *member) sounds() {
	w := m.w
	m.sounding = true
	if m.wish.Work != "" {
		w.order(m.wish.Work).begun++
	}
	w.lastLoud = max(w.lastLoud, w.now)
	for _, o := range w.members {
		if o == m || !o.sounding {
			continue
		}
		since := w.together[m.i][o.i]
		one := o.alive && since != never && w.now-since > int64(healed)
		switch {
		case w.strict:
			w.bad(&w.r.overlaps, "%s sounds beside %s", m.id, o.id)
		case one && (w.now-w.mistaken() <= int64(healed) || w.unmet(since)):
			w.r.mistaken++
		case one:
			w.bad(&w.r.overlaps, "%s sounds beside %s, %v after they were one part", m.id, o.id, time.Duration(w.now-since))
		default:
			w.r.parted++
		}
	}
	w.log("%s sounds", m.id)
	if w.r.handOvers++; w.r.handOvers == w.goal {
		w.in(0, w.calmDown)
	}
}

func (m *member) silentIn(d time.Duration, r area.Result) {
	plays := m.plays
	m.w.in(d, func() {
		if m.plays != plays || !m.sounding {
			return
		}
		m.sounding = false
		m.w.lastLoud = max(m.w.lastLoud, m.w.now)
		m.w.log("%s is silent: %s", m.id, r)
		if m.alive {
			if r == area.Played {
				m.journal()
			}
			m.step(turn.Over{Result: r})
		}
	})
}

// polled votes, if the ballot allows it.
func (m *member) polled(p area.Poll) {
	v, ok := m.ballot.Poll(p, m.now())
	if !ok {
		return
	}
	m.send(func(b *broker) { b.vote(m, v) })
}
