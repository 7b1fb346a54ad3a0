package turn

import (
	"errors"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Config says whose turn it is.
type Config struct {
	Area   area.Name
	Device area.DeviceID
	MID    string // machine id; empty: not known, then the arbiter frees nothing for a restart
	Boot   uint64 // number of this start, persisted by the caller; 0: no disk, the arbiter hands one out
	Term   uint64 // highest term that the device remembers; 0: none

	Lease       time.Duration // until a Lease event says otherwise; 0: 6 s
	StopLatency time.Duration // how long sound goes on after it was stopped; 0: 200 ms; negative: none
	Hold        bool          // a classic connection: grants are holds, which have no deadline

	Nonce func() string // a new random text for each greeting; needed
}

// Defaults and fixed times of the protocol.
const (
	DefaultLease       = 6 * time.Second
	DefaultStopLatency = 200 * time.Millisecond

	refreshes   = 4                      // of a lease; and as many without an answer are deafness
	driftPart   = 200                    // the lease is shortened by 1/200 = 0.5 %: rho of COORDINATION.md §3.6
	askSoon     = 5 * time.Second        // a replaced device's hello (§8.8): the first time,
	askAgain    = 30 * time.Second       // and at most, since the time doubles
	ownStop     = 150 * time.Millisecond // to end own play for an order of a higher class (§8.15, §8.21)
	mostTakes   = 16
	ringLen     = 32
	shortestRef = time.Millisecond
)

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if !area.IsID(string(c.Area)) || !area.IsID(string(c.Device)) {
		errs = append(errs, errors.New("turn: area and device must be ids"))
	}
	if c.Lease < 0 {
		errs = append(errs, errors.New("turn: the lease is negative"))
	}
	if c.Nonce == nil {
		errs = append(errs, errors.New("turn: there is no source of nonces"))
	}
	return errors.Join(errs...)
}

// Phase is where the wish stands.
type Phase uint8

// The phases.
const (
	Idle    Phase = iota // no wish
	Waiting              // the area was asked for, or will be as soon as hello is answered
	Playing              // the area was granted
	Done                 // the sound is over, and the arbiter has not said that it knows
)

// String is the phase's name in lower case.
func (p Phase) String() string {
	return [...]string{"idle", "waiting", "playing", "done"}[p]
}

type sent struct {
	seq   uint64
	at    area.Instant
	whose bool // it says from whom we come, if from anybody
}

type take struct {
	work area.WorkID
	att  int
}

// Turn is the state of one device in its area. Make it with [New].
type Turn struct {
	cfg   Config
	lease time.Duration
	stop  time.Duration

	// Who we are and what we have said.
	boot, claim, seq, term uint64
	sent                   [ringLen]sent // when the newest messages were sent
	arbiter                string        // that answered last, of those who know from whom we come
	heard                  area.Instant  // when it did

	// The connection and our standing on it.
	up       bool
	greeted  bool   // hello was answered under this boot and not taken back since
	hello    bool   // a hello is out
	nonce    string // of the newest greeting
	replaced bool
	asks     time.Duration // same: until it asks again
	awaits   bool
	quiet    area.Instant // where awaits: no answer since
	refresh  area.Instant // when everything is said again

	// The wish.
	phase    Phase
	wish     Wish
	claimed  bool // claim is the number of this wish, and was said
	token    area.Token
	deadline area.Instant
	stopping bool
	result   area.Result  // of the Stop, or of the done
	silent   area.Instant // while stopping: the sound is over by then even if nobody says so
	first    area.Instant // of a done: when the sound began; as last
	last     area.Instant // same: when it ended; 0: it is not known, or nothing sounded

	takes []take
	out   []Action
}

// New makes the turn of a device that has said nothing yet. It panics if cfg is
// not valid.
func New(cfg Config) *Turn {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	t := &Turn{cfg: cfg, lease: cfg.Lease, stop: cfg.StopLatency, boot: cfg.Boot, term: cfg.Term}
	if t.lease == 0 {
		t.lease = DefaultLease
	}
	switch {
	case t.stop == 0:
		t.stop = DefaultStopLatency
	case t.stop < 0:
		t.stop = 0
	}
	return t
}

// Phase is where the wish stands.
func (t *Turn) Phase() Phase { return t.phase }

// Boot is the number of this start: the configured one, or the one that the
// arbiter has handed out since. 0 while there is none.
func (t *Turn) Boot() uint64 { return t.boot }

// Term is the highest term that the device has seen.
func (t *Turn) Term() uint64 { return t.term }

// Token is that of the newest grant of the present wish; 0 before it.
func (t *Turn) Token() area.Token { return t.token }

// Greeted tells whether the arbiter has answered our hello, so that a wish is
// said at once.
func (t *Turn) Greeted() bool { return t.greeted }

// Deadline is when the sound has to be over: nothing may be written to the
// loudspeaker at or after it. It is 0 while nothing may sound at all, and
// [area.Never] for a classic hold.
func (t *Turn) Deadline() area.Instant {
	if t.phase != Playing {
		return 0
	}
	return t.deadline
}

// Next is when the next [Tick] is due, [area.Never] if none is.
func (t *Turn) Next() area.Instant {
	next := area.Never
	if t.talks() {
		next = t.refresh
	}
	if t.phase == Playing {
		due := t.deadline
		if t.stopping {
			due = t.silent
		}
		next = min(next, due)
	}
	return next
}

// Step takes an event in and answers what to do, in order. The slice is valid
// until the next Step. Instants must not go back.
func (t *Turn) Step(ev Event, now area.Instant) []Action {
	t.out = t.out[:0]
	t.fence(now)
	switch ev := ev.(type) {
	case Up:
		t.connected(now)
	case Down:
		t.up = false
	case Heard:
		t.answer(&ev.Answer, now)
	case Lease:
		t.shown(ev)
	case Take:
		t.take(ev, now)
	case Decline:
		t.decline(ev, now)
	case Known:
		t.known(ev, now)
	case Wish:
		t.wants(ev, now)
	case Withdraw:
		t.withdraw(ev.Result, now)
	case Over:
		t.over(ev, now)
	case Tick:
	}
	t.again(now)
	return t.out
}

// fence ends a play whose deadline has come, before anything else is looked at:
// a grant that is read late must not revive it (COORDINATION.md §3.3).
func (t *Turn) fence(now area.Instant) {
	if t.phase != Playing {
		return
	}
	if !t.stopping && now >= t.deadline {
		t.halt(0, area.Stopped, now)
	}
	if t.stopping && now >= t.silent {
		t.over(Over{Result: t.result}, now)
	}
}

// halt tells the caller to be silent within the time.
func (t *Turn) halt(within time.Duration, r area.Result, now area.Instant) {
	if t.stopping {
		return
	}
	t.stopping, t.result = true, r
	t.deadline = min(t.deadline, now.Add(within))
	t.silent = max(t.deadline, now).Add(t.stop)
	t.do(Stop{Within: within, Result: r})
}

func (t *Turn) do(a Action) { t.out = append(t.out, a) }

// every is the time between two statements of the same thing: a quarter of the
// lease (§3.6).
func (t *Turn) every() time.Duration { return max(t.lease/refreshes, shortestRef) }

func (t *Turn) shown(l Lease) {
	if l.Lease > 0 {
		t.lease = l.Lease
	}
	t.term = max(t.term, l.Term)
}
