package turn

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Ballot is the vote of one device in a strict area: whom it stands by, and until
// when (COORDINATION.md §8.10). It is no part of a [Turn]: a device votes whether
// it wants the area or not. Make it with [NewBallot]; it is not safe for
// concurrent use, and needs no disk.
//
// A vote is a lease from the voter to the arbiter: the arbiter counts it from when
// it sent the poll, and for 1 % less than the time of the poll; the voter from
// when it heard the poll, and for 2 % more. So the arbiter's always ends first,
// whatever the network did, and two arbiters never have a majority at once.
type Ballot struct {
	mid     string
	start   area.Instant
	arbiter string
	until   area.Instant // nobody else before
}

// promise is how much longer than the time of the poll a vote binds, in percent.
const promise = 2

// NewBallot makes the ballot of a device that starts now, or that has just come
// into the area: what it promised before it does not know, so it votes for nobody
// until that must have run out.
func NewBallot(mid string, now area.Instant) *Ballot { return &Ballot{mid: mid, start: now} }

// Poll answers a poll; false where there is no vote for that arbiter now. Instants
// must not go back.
func (b *Ballot) Poll(p area.Poll, now area.Instant) (area.Vote, bool) {
	life := p.Vote + p.Vote*promise/100
	if p.Vote <= 0 || now < b.start.Add(life) || p.Arbiter != b.arbiter && now < b.until {
		return area.Vote{}, false
	}
	b.until = max(b.until, now.Add(life))
	b.arbiter = p.Arbiter
	return area.Vote{Arbiter: p.Arbiter, Term: p.Term, N: p.N, MID: b.mid}, true
}

// Bound is the arbiter that the device stands by, and for how long; 0: it is free.
func (b *Ballot) Bound(now area.Instant) (arbiter string, left time.Duration) {
	if now >= b.until {
		return "", 0
	}
	return b.arbiter, b.until.Sub(now)
}
