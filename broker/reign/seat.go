package reign

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	leastMargin = 200 * time.Millisecond // for what lies between the look at the clock and the deed (§8.1)
	marginPart  = 100                    // 1/100 of the time to live, for clocks that differ by twice rho
	mostTries   = 16                     // writes in a row of which nobody knows whether they were done
	termStep    = 64                     // terms of a node are its index mod this (§8.18)
)

// seat is what one node knows of the reign over one area, and its own part in it.
// Like that it is a pure state machine: its methods are handed the time.
type seat struct {
	self, life string
	index      uint64
	ttl        time.Duration // of our own writes

	// What the head was last seen to be, over which connection, and since when it
	// has not changed.
	link   uint64 // 0: it is not known
	text   string
	head   Head
	bad    bool // it cannot be read: nobody may take the area
	since  area.Instant
	handed bool // whoever had it gave it up before our eyes

	wait  time.Duration // longest time to live that was seen
	term  uint64        // highest that is known
	marks uint64        // heads without an owner that we have made

	mine  bool
	until area.Instant // the reign's end, unless it is renewed
	sent  area.Instant // the newest write that was acknowledged
	tries []string     // heads that may have been written since
}

// saw takes in a head that was read at the moment or a little before.
func (s *seat) saw(text string, link uint64, now area.Instant) {
	if link == s.link && text == s.text {
		return
	}
	head, err := parseHead(text)
	s.handed = err == nil && link == s.link && head.Owner == "" && s.head.Owner != "" && head.Life == s.head.Life
	s.link, s.text, s.head, s.bad, s.since, s.tries = link, text, head, err != nil, now, nil
	s.wait = max(s.wait, head.ttl())
	s.term = max(s.term, head.Term)
}

// blind notes that the connection was broken: what was seen is no longer being
// watched.
func (s *seat) blind() {
	if !s.mine {
		s.link, s.handed = 0, false
	}
}

func (h Head) ttl() time.Duration { return time.Duration(h.TTLMs) * time.Millisecond }

// takeAt is when the area may be taken, or marked; [area.Never] where that is not to
// be seen yet.
func (s *seat) takeAt() area.Instant {
	switch {
	case s.mine || s.link == 0 || s.bad:
		return area.Never
	case s.handed, s.absent():
		return s.since
	}
	return s.since.Add(max(s.ttl, s.wait))
}

// absent tells whether there is no head. One absence looks like another, so that
// nobody can wait for it to stay: what is written next is a mark, a head without an
// owner that no other is equal to, and that is what is waited on.
func (s *seat) absent() bool { return !s.mine && s.link != 0 && s.text == "" }

// mark is such a head.
func (s *seat) mark() Head {
	s.marks++
	return Head{Mark: s.life, Counter: s.marks, Term: s.term, TTLMs: s.ttl.Milliseconds()}
}

// next is the head of the next write of a reign, ours or the one that it begins.
func (s *seat) next(term uint64) Head {
	h := Head{Owner: s.self, Life: s.life, Counter: s.head.Counter + 1, Term: max(s.term, term), TTLMs: s.ttl.Milliseconds()}
	if s.mine {
		h.TTLMs = max(h.TTLMs, s.head.TTLMs) // what was promised stands
		return h
	}
	h.Term = nextTerm(s.term, s.index)
	return h
}

// nextTerm is the lowest term above heard that is congruent to index mod 64.
func nextTerm(heard, index uint64) uint64 {
	t := heard + 1
	return t + (index+termStep-t%termStep)%termStep
}

// wrote notes that a write which was sent then was done: the reign goes on, or
// begins.
func (s *seat) wrote(h Head, text string, link uint64, sent area.Instant) (begun bool) {
	begun = !s.mine
	s.mine, s.sent, s.tries = true, sent, s.tries[:0]
	s.link, s.text, s.head, s.since, s.handed = link, text, h, sent, false
	s.term = max(s.term, h.Term)
	s.until = sent.Add(h.ttl() - margin(h.ttl()))
	return begun
}

func margin(ttl time.Duration) time.Duration { return max(leastMargin, ttl/marginPart) }

// tried notes that nobody knows whether a write was done.
func (s *seat) tried(text string) {
	if len(s.tries) == mostTries {
		s.tries = slices.Delete(s.tries, 0, 1)
	}
	s.tries = append(s.tries, text)
	s.blind()
}

// found takes in that the head was not what it had to be. It answers whether the
// reign goes on: what is there is then a write of our own whose answer was lost.
func (s *seat) found(text string, link uint64, now area.Instant) (goesOn bool) {
	if s.mine && slices.Contains(s.tries, text) {
		h, err := parseHead(text)
		if err == nil {
			s.text, s.head, s.link = text, h, link
			return true
		}
	}
	s.lose()
	s.saw(text, link, now)
	s.since = now
	return false
}

// lose ends our reign.
func (s *seat) lose() {
	s.mine, s.tries, s.link, s.handed = false, nil, 0, false
}

// over ends our reign where its time has run out; it answers whether it has.
func (s *seat) over(now area.Instant) bool {
	if !s.mine || now < s.until {
		return false
	}
	s.lose()
	return true
}
