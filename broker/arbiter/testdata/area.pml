/*
 * One area: devices, the arbiter that grants, and a network that loses,
 * repeats, delays and reorders at will (COORDINATION.md, §3.3, §3.4, §8).
 *
 * What was ever said can be heard at any later time, any number of times, or
 * never: the network is the set of all that was said, and has no queues.
 *
 * Time is one assumption: a device's lease ends no later than the arbiter's
 * (§0, 2: it counts from when the request was sent). So a lease may run out at
 * any moment at the device (expire), and has run out there when the arbiter
 * counts it as over, or has settled. The simulation tests the assumption with
 * real durations and drifting clocks; this model visits every order of events.
 *
 * TestModel searches it whole, and again with each rule left out that has an
 * #ifdef below: then it must find two devices that sound at once.
 */

#define DEVICES 2

/* How much there is of everything; the test sets them, each at most 2, grants 3. */
#ifndef BOOTS
#define BOOTS 2		/* starts of a device */
#endif
#ifndef CLAIMS
#define CLAIMS 1	/* wishes of a start */
#endif
#ifndef CRASHES
#define CRASHES 1	/* of the arbiter, which forgets all but its term */
#endif
#ifndef TOKENS
#define TOKENS 3	/* grants in all */
#endif

#define IDLE 0	/* or its done is not answered yet: it may wish again at any time */
#define WAITING 1
#define PLAYING 2

/* A wish is named by device, boot and claim; bits of it by its number. */
#define wish(d, b, c) ((d) * (BOOTS + 1) * (CLAIMS + 1) + (b) * (CLAIMS + 1) + (c))
#define WISHES (DEVICES * (BOOTS + 1) * (CLAIMS + 1))

/* The devices. */
byte state[DEVICES], boot[DEVICES], claim[DEVICES], token[DEVICES];

/* The network: what was said. */
bit wanted[WISHES];	/* want */
byte playing[WISHES];	/* want with playing, and with which token; 0: not said */
bit ended[WISHES];	/* done */
byte to[TOKENS + 1], toBoot[TOKENS + 1], toClaim[TOKENS + 1], term[TOKENS + 1];	/* grants */
byte tokens;		/* granted so far */

/* The truth about time. */
bit runs[TOKENS + 1];	/* the lease, at the device */

/* The arbiter. */
byte reign = 1, crashes;
bit settling;
byte holder;		/* by token; 0: none */
bit ghost[TOKENS + 1];
byte seen[DEVICES];	/* highest boot */
byte over[DEVICES];	/* claims up to this one */
byte queue[DEVICES];	/* the claim that waits; 0: none */
bit known[DEVICES * (BOOTS + 1)];	/* boots that were seen: for the mutant alone */

inline stop(d) {
	state[d] = IDLE; token[d] = 0;
	ended[wish(d, boot[d], claim[d])] = 1
}

/* expire ends a lease at its device. */
inline expire(t) {
	runs[t] = 0;
	if
	:: state[to[t]] == PLAYING && token[to[t]] == t -> stop(to[t])
	:: else
	fi
}

/* free is the arbiter's alone: it ends no lease. */
inline free() { holder = 0 }

/* meets takes in the boot of a message; heard is 0 where it is an old one. */
inline meets(d, b) {
	heard = 1;
	if
#ifdef ANYBOOT	/* boots that have no order: whichever was not seen is new */
	:: b != seen[d] && !known[d * (BOOTS + 1) + b] ->
#else
	:: b > seen[d] ->
#endif
		seen[d] = b; over[d] = 0; queue[d] = 0;
		known[d * (BOOTS + 1) + b] = 1;
		if
		:: holder && to[holder] == d && toBoot[holder] != b -> free()
		:: else
		fi;
		for (i : 1 .. TOKENS) {
			if
			:: ghost[i] && to[i] == d && toBoot[i] != b -> ghost[i] = 0
			:: else
			fi
		}
	:: else -> heard = (b == seen[d])
	fi
}

inline hearWant(d, b, c) {
	meets(d, b);
	if
	:: !heard || c <= over[d]
	:: else ->
		if
		:: holder && to[holder] == d && toBoot[holder] == b && c > toClaim[holder] -> free()
		:: else
		fi;
		if
		:: holder && to[holder] == d && toBoot[holder] == b	/* its own: granted again, or answered */
		:: else -> queue[d] = c
		fi
	fi
}

inline hearPlaying(d, b, c, t) {
	meets(d, b);
	if
	:: !heard || c <= over[d]
	:: else ->
		if
		:: holder && to[holder] == d && toBoot[holder] == b && c > toClaim[holder] -> free()
		:: else
		fi;
		if
		:: holder && to[holder] == d && toBoot[holder] == b	/* extended */
		:: else ->
			if
			:: settling && term[t] != reign && t > holder ->
				if	/* §8.17: who is replaced may still sound. With one arbiter after the other it never does. */
				:: holder -> ghost[holder] = 1
				:: else
				fi;
				holder = t;
				ghost[t] = 0;
				queue[d] = 0
			:: else	/* revoked: it may stop at any time anyway */
			fi
		fi
	fi
}

inline hearDone(d, b, c) {
	if
	:: b < seen[d] ->	/* of an old start: ends exactly that hold */
		if
		:: holder && to[holder] == d && toBoot[holder] == b && c == toClaim[holder] -> free()
		:: else
		fi
	:: else ->
		meets(d, b);
		if
		:: holder && to[holder] == d && toBoot[holder] == b && c >= toClaim[holder] -> free()
		:: else
		fi;
		if
		:: queue[d] <= c -> queue[d] = 0
		:: else
		fi;
		if
		:: c > over[d] -> over[d] = c
		:: else
		fi
	fi;
	for (i : 1 .. TOKENS) {
		if
		:: ghost[i] && to[i] == d && toBoot[i] == b && c >= toClaim[i] -> ghost[i] = 0
		:: else
		fi
	}
}

inline crash() {
	crashes++; reign++;
#ifndef NOSETTLE	/* §0, 6 */
	settling = 1;
#endif
	holder = 0;
	for (i : 0 .. DEVICES - 1) { seen[i] = 0; over[i] = 0; queue[i] = 0 }
	for (i : 1 .. TOKENS) { ghost[i] = 0 }
	for (i : 0 .. DEVICES * (BOOTS + 1) - 1) { known[i] = 0 }
}

/* settle ends: every lease that is nobody's has run out. */
inline settled() {
	settling = 0;
	for (i : 1 .. TOKENS) {
		if
		:: runs[i] && i != holder && !ghost[i] -> expire(i)
		:: else
		fi
	}
}

/* play is a grant that comes: one voice. */
inline play(t) {
	state[to[t]] = PLAYING; token[to[t]] = t;
	playing[wish(to[t], boot[to[t]], claim[to[t]])] = t;
	for (i : 0 .. DEVICES - 1) { assert(i == to[t] || state[i] != PLAYING) }
}

inline grant(d) {
	tokens++;
	to[tokens] = d; toBoot[tokens] = seen[d]; toClaim[tokens] = queue[d]; term[tokens] = reign;
	runs[tokens] = 1; holder = tokens; queue[d] = 0
}

/* The choices, written out: a choice inside of a step would be a state. */
#define DEVICE(d) \
	:: d_step { state[d] == IDLE && claim[d] < CLAIMS -> \
		claim[d]++; state[d] = WAITING; wanted[wish(d, boot[d], claim[d])] = 1 } \
	:: d_step { state[d] == PLAYING || state[d] == WAITING -> stop(d) }	/* over, revoked, withdrawn */ \
	:: d_step { boot[d] < BOOTS -> boot[d]++; claim[d] = 0; state[d] = IDLE; token[d] = 0 }	/* it crashed */ \
	:: d_step { !settling && !holder && !haunted && queue[d] && tokens < TOKENS -> grant(d) } \
	BOOT(d, 1) BOOT(d, 2)
#define BOOT(d, b) WISH(d, b, 1) WISH(d, b, 2)
#define WISH(d, b, c) \
	:: d_step { c <= CLAIMS && b <= BOOTS && wanted[wish(d, b, c)] -> hearWant(d, b, c); i = 0; heard = 0 } \
	:: d_step { c <= CLAIMS && b <= BOOTS && playing[wish(d, b, c)] -> hearPlaying(d, b, c, playing[wish(d, b, c)]); i = 0; heard = 0 } \
	:: d_step { c <= CLAIMS && b <= BOOTS && ended[wish(d, b, c)] -> hearDone(d, b, c); i = 0; heard = 0 }
#define LEASE(t) \
	:: d_step { t <= tokens && runs[t] -> expire(t) }	/* it ends at its device, early */ \
	:: d_step { t <= tokens && ghost[t] -> expire(t); ghost[t] = 0 } \
	:: d_step { t <= tokens && runs[t] && state[to[t]] == WAITING && toBoot[t] == boot[to[t]] && toClaim[t] == claim[to[t]] -> play(t); i = 0 }
#if TOKENS == 2
#define haunted (ghost[1] || ghost[2])
#define LEASES LEASE(1) LEASE(2)
#endif
#if TOKENS == 3
#define haunted (ghost[1] || ghost[2] || ghost[3])
#define LEASES LEASE(1) LEASE(2) LEASE(3)
#endif

active proctype area() {
	byte i;
	bit heard;
	d_step {
		for (i : 0 .. DEVICES - 1) { boot[i] = 1 }
		i = 0
	}
	do
	DEVICE(0)
	DEVICE(1)
	LEASES
	:: d_step { holder -> expire(holder); free() }	/* a lease ends for the arbiter */
	:: d_step { settling -> settled(); i = 0 }
	:: d_step { crashes < CRASHES -> crash(); i = 0 }
#ifdef WILLFREES	/* §0, 4: a lost connection is no release */
	:: d_step { holder -> free() }
#endif
	od
}
