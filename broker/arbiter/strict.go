package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// A strict area sounds in a part that has a majority of its votes, and in no
// other: a vote is a lease from a member to the arbiter, and no lease that the
// arbiter grants ends after the weakest of the votes that make its majority
// (COORDINATION.md §8.10). The seats are the members of the area and the hub.

// Voter is a member of a strict area. Only a vote of its own machine counts.
type Voter struct {
	Device area.DeviceID
	MID    string
}

const (
	voteSlack   = 4 * time.Second  // V = longest lease + guard + this
	secondLife  = 30 * time.Second // a hub that follows a leader takes the area back no sooner
	mostPolls   = 32               // whose votes may still come
	votePercent = 99               // of V count at the arbiter
	bindPercent = 102              // of V the voter promises
)

// votes is what a strict area's arbiter has been promised.
type votes struct {
	voters  []Voter
	unknown bool                           // who votes
	until   map[area.DeviceID]area.Instant // each voter's newest vote counts until then
	second  area.Instant                   // and that of the hub, where this arbiter is a leader it follows
	n       uint64                         // of the newest poll
	at      area.Instant                   // when the next poll is due
	polls   [mostPolls]sentPoll
	backed  bool // a majority stands; as shown
}

type sentPoll struct {
	n, term uint64
	at      area.Instant
	life    time.Duration
}

// poll asks for votes, as often as devices speak. A term that could be lost is
// not told.
func (c *Core) poll() {
	v := &c.votes
	if !c.cfg.Strict || c.closed || len(v.voters) == 0 || c.now < v.at || !c.ledger.has(c.ledger.term) {
		return
	}
	v.n++
	v.at = c.now.Add(min(c.cfg.refresh(), 1500*time.Millisecond))
	life := c.longest() + voteSlack
	v.polls[v.n%mostPolls] = sentPoll{n: v.n, term: c.term, at: c.now, life: life}
	c.do(Poll{Poll: area.Poll{Area: c.cfg.Area, Arbiter: c.cfg.Node, Term: c.term, N: v.n, Vote: life}})
}

// voted counts a vote, from when the poll was sent that it answers.
func (c *Core) voted(ev Voted) {
	v := &c.votes
	p := v.polls[ev.Vote.N%mostPolls]
	known := slices.Contains(v.voters, Voter{ev.Device, ev.Vote.MID})
	if !known || ev.Vote.Arbiter != c.cfg.Node || p.n != ev.Vote.N || p.term != ev.Vote.Term || p.n == 0 {
		c.counts.Dropped++
		return
	}
	v.until[ev.Device] = max(v.until[ev.Device], p.at.Add(p.life/100*votePercent))
}

// seconded counts that the hub follows this leader: it has heard what the leader
// said at the instant, and takes the area back no sooner than after its time. It
// may have followed another one before, whose time has to be over.
func (c *Core) seconded(ev Seconded) {
	life := max(secondLife, c.longest())
	if ev.Since >= life/100*bindPercent {
		c.votes.second = max(c.votes.second, ev.Said.Add(life/100*votePercent))
	}
}

// elect changes who votes. The votes of who stays count on.
func (c *Core) elect(ev Electorate) {
	v, list := &c.votes, ev.Voters
	if v.unknown = ev.Unknown; ev.Unknown || slices.Equal(v.voters, list) {
		return
	}
	v.voters = slices.Clone(list)
	for d := range v.until {
		if !slices.ContainsFunc(list, func(w Voter) bool { return w.Device == d }) {
			delete(v.until, d)
		}
	}
	v.at = c.now
}

// quorum is until when a majority of the seats stands by this arbiter; in an area
// that is not strict for ever, and 0 where there is no majority, or nobody knows.
func (c *Core) quorum() area.Instant {
	if !c.cfg.Strict {
		return c.reignEnd()
	}
	v := &c.votes
	if v.unknown {
		return 0
	}
	ends := make([]area.Instant, 0, len(v.voters)+1)
	for _, w := range v.voters {
		ends = append(ends, v.until[w.Device])
	}
	hub := v.second
	if c.cfg.Seat {
		hub = area.Never // its vote is its own
	}
	ends = append(ends, hub)
	slices.Sort(ends)
	slices.Reverse(ends)
	return min(ends[len(ends)/2], c.reignEnd())
}

// backs tells whether the majority stands for as long as a lease granted now would
// live.
func (c *Core) backs(lease time.Duration) bool {
	return c.now.Add(lease+c.cfg.Guard) <= c.quorum()
}

// within is a lease cut to what the majority allows; 0 or less where it allows
// none.
func (c *Core) within(lease time.Duration) time.Duration {
	q := c.quorum()
	if q == area.Never {
		return lease
	}
	return min(lease, q.Sub(c.now)-c.cfg.Guard)
}

// mute tells whether nothing can be granted for now, whoever waits: the arbiter
// settles, or has no majority.
func (c *Core) mute() bool { return c.settling() || !c.votes.backed }

// lacking tells whether nothing is granted for want of a majority, and nothing else.
func (c *Core) lacking() bool { return c.cfg.Strict && !c.votes.backed && !c.settling() }

// count notes that the majority came or went.
func (c *Core) count() {
	if backed := c.now < c.quorum(); backed != c.votes.backed {
		c.votes.backed, c.dirty = backed, true
		if !backed {
			c.counts.Unbacked++
		}
	}
}

// nextVote is when the votes need to be looked at again.
func (c *Core) nextVote() area.Instant {
	next := area.Never
	if c.votes.backed {
		next = c.reignEnd()
	}
	if !c.cfg.Strict || len(c.votes.voters) == 0 {
		return next
	}
	if !c.closed && c.ledger.has(c.ledger.term) {
		next = c.votes.at
	}
	if c.votes.backed {
		next = min(next, c.quorum())
	}
	return next
}
