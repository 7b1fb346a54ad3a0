package arbiter

import (
	"errors"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// shortestBarge gives a holder that hears the revoke the time to stop and to say
// so.
const shortestBarge = 500 * time.Millisecond

// CoreConfig says how one area is arbitrated. The zero value of a duration is
// its default.
type CoreConfig struct {
	Area  area.Name
	Node  string // name of this arbiter, as devices repeat it in "from"
	Index uint64 // of this node among all that may arbitrate, 0 to 63: its terms are congruent to it mod 64
	Floor uint64 // a term that was heard elsewhere: the first one is above it; 0: none was

	Lease      time.Duration // 6 s; 1 s to 1 h
	StartLease time.Duration // of a first grant; lease/2 + 500 ms, at most the lease
	Guard      time.Duration // added to every lease here; 250 ms
	StopWithin time.Duration // in which a revoked device is silent; 150 ms

	// Finish has a lease cover the whole announcement, as far as its length is
	// known and at most [MostFinish], so that no loss of a link cuts it; a crash
	// then keeps the area for as long.
	Finish bool
	// Barge is how long an emergency waits for a revoked holder that does not
	// answer, before it sounds in spite of it; 0: until its lease has ended.
	// 500 ms or more.
	Barge time.Duration
	// Strict has the area sound only while a majority of its seats stands by this
	// arbiter (§8.10). The seats are the hub's and that of each [Voter]; without
	// voters the hub's alone is the majority.
	Strict bool
	// Seat declares that this arbiter is the hub, whose seat is its own.
	Seat bool
	// Reigned declares that this arbiter is one of several hub nodes: it grants
	// within its reign alone ([Reign]), and each grant is written down before it is
	// told, so that the ledger refuses it where another node has the area by now.
	Reigned bool
	// Others declares that other arbiters may have granted the area, a local
	// leader or the hub: that an earlier reign here was stopped in order proves
	// nothing about leases, so that every start settles (§8.2); with Finish their
	// leases may be as long as ours. It is so in any case where the area has members
	// that may lead it (see [Electorate]).
	Others bool

	ClassicHold time.Duration // longest hold of a classic device whose length is not known; 120 s
	DumbHold    time.Duration // how long a dumb device's hold outlives its connection; 30 s
	DumbMost    time.Duration // longest hold of a dumb device; 120 s

	Accept     time.Duration // how long a work is held out to its location's device alone; 2 s
	OfferEvery time.Duration // 1 s

	// ColdStart declares that no device can hold a lease, since all of them are
	// born together with the arbiter: it does not settle (§8.5). For the demo
	// alone.
	ColdStart bool
}

// Validate reports everything that is wrong with c.
func (c CoreConfig) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("arbiter: "+format, args...)) }
	if !area.IsID(string(c.Area)) {
		bad("area %q is no id", c.Area)
	}
	if c.Node == "" {
		bad("the node has no name")
	}
	if c.Index >= termStep {
		bad("index %d is not 0 to %d", c.Index, termStep-1)
	}
	if c.Lease != 0 && (c.Lease < time.Second || c.Lease > time.Hour) {
		bad("lease %v is not 1 s to 1 h", c.Lease)
	}
	if c.Barge != 0 && c.Barge < shortestBarge {
		bad("barge %v is not %v or more", c.Barge, shortestBarge)
	}
	for name, d := range map[string]time.Duration{"start lease": c.StartLease, "guard": c.Guard, "stop within": c.StopWithin, "classic hold": c.ClassicHold,
		"dumb hold": c.DumbHold, "longest dumb hold": c.DumbMost, "accept": c.Accept, "offer every": c.OfferEvery} {
		if d < 0 {
			bad("%s is negative", name)
		}
	}
	return errors.Join(errs...)
}

// filled is c with its defaults (COORDINATION.md §3.6).
func (c CoreConfig) filled() CoreConfig {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	or(&c.Lease, 6*time.Second)
	or(&c.StartLease, c.Lease/2+500*time.Millisecond)
	c.StartLease = min(c.StartLease, c.Lease)
	or(&c.Guard, 250*time.Millisecond)
	or(&c.StopWithin, 150*time.Millisecond)
	or(&c.ClassicHold, 120*time.Second)
	or(&c.DumbHold, 30*time.Second)
	or(&c.DumbMost, 120*time.Second)
	or(&c.Accept, 2*time.Second)
	or(&c.OfferEvery, time.Second)
	return c
}

// refresh is how often devices say everything again.
func (c CoreConfig) refresh() time.Duration { return c.Lease / 4 }

// alive is how long a lease granted now can live, one that the policy finish
// makes longer apart.
func (c CoreConfig) alive() time.Duration { return c.Lease + c.Guard }
