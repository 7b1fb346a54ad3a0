/*
 * A strict area: who may grant (COORDINATION.md, §8.10). Two members and the hub
 * have a seat each; the hub's own arbiter and two leaders ask for votes, all at the
 * same time, in every order.
 *
 * Time is one assumption, as in area.pml: a vote has run out at the arbiter, who
 * counts it from when the poll was sent and for less, before the voter is free, who
 * counts from when he heard it and for more. So a vote may lapse at its arbiter at
 * any moment, and its voter is free once nobody counts it.
 *
 * TestVotes searches it whole, and again with each rule left out that has an #ifdef
 * below: then it must find two arbiters whose leases are alive at once.
 */

#define HUB 0	/* as a seat, and as an arbiter: its own */
#define count(a, s) counted[(a) * 3 + (s)]
#define majority(a) (count(a, 0) + count(a, 1) + count(a, 2) >= 2)
#define elsewhere(a, s) (((a) != 0 && count(0, s)) || ((a) != 1 && count(1, s)) || ((a) != 2 && count(2, s)))

bit counted[9];	/* votes, by arbiter and seat */
byte bound[3];	/* whom a member stands by, plus 1; 0: nobody; 9: it has just started and does not know */
bit lease[3];	/* of an arbiter: a device may sound by it */
byte follows;	/* the leader that the hub follows; HUB: none */

#ifdef FREEVOTES	/* a voter stands by nobody */
#define mayVote(m, a) true
#else
#define mayVote(m, a) (bound[m] == 0 || bound[m] == (a) + 1)
#endif

#ifdef OUTLIVE	/* a lease outlives the votes */
#define mayLapse(a) true
#else
#define mayLapse(a) (!lease[a] || count(a, 0) + count(a, 1) + count(a, 2) > 2)
#endif

#ifdef TWOSECONDS	/* the hub counts for whom it follows, whatever it owes another */
#define owes(a) false
#else
#define owes(a) (elsewhere(a, HUB) || lease[HUB])
#endif

#define MEMBER(m) \
	:: d_step { bound[m] != 9 || started -> bound[m] = start }	/* it crashes, and starts */ \
	:: d_step { bound[m] && !count(0, m) && !count(1, m) && !count(2, m) -> bound[m] = 0 }	/* its promise is over */ \
	VOTE(m, 0) VOTE(m, 1) VOTE(m, 2)
#define VOTE(m, a) \
	:: d_step { mayVote(m, a) -> bound[m] = (a) + 1; count(a, m) = 1 } \
	:: d_step { count(a, m) && mayLapse(a) -> count(a, m) = 0 }
#define ARBITER(a) \
	:: d_step { majority(a) && !lease[a] -> lease[a] = 1; assert(lease[0] + lease[1] + lease[2] == 1) } \
	:: d_step { lease[a] -> lease[a] = 0 }
#define LEADER(a) \
	:: d_step { follows != (a) -> follows = a; count(HUB, HUB) = 0 }	/* the hub hears of it, and yields */ \
	:: d_step { follows == (a) && !owes(a) -> count(a, HUB) = 1 }	/* it has followed for long enough */ \
	:: d_step { count(a, HUB) && mayLapse(a) -> count(a, HUB) = 0 }

#ifdef NOSTART	/* a start votes at once */
#define start 0
#define started true
#else
#define start 9
#define started false
#endif

active proctype area() {
	count(HUB, HUB) = 1;
	do
	ARBITER(0)
	ARBITER(1)
	ARBITER(2)
	MEMBER(1)
	MEMBER(2)
	LEADER(1)
	LEADER(2)
	:: d_step { follows != HUB && !count(1, HUB) && !count(2, HUB) -> follows = HUB; count(HUB, HUB) = 1 }	/* it takes over */
	od
}
