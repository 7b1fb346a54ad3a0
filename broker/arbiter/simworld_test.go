package arbiter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// The world of the simulation: one arbiter, six devices that run broker/turn,
// a network that loses, doubles, delays and reorders, and faults. It has one
// event heap and one source of randomness, and walks no map: a seed replays
// identically (COORDINATION.md §6.1).

const (
	simArea    = area.Name("north")
	simDevices = 6
	simLease   = 4 * time.Second
	simTail    = 200 * time.Millisecond // sound that cannot be called back: turn's stop latency
	simCalm    = 200 * time.Second      // without faults, at the end of each seed
	simFlash   = 16 * time.Second       // a card is written in no less: longer than a message is under way
	simSettled = 40 * time.Second       // of it until silence counts
	simSilence = 20 * time.Second       // longest silence while somebody waits
	simLongest = 8 * time.Hour          // a seed takes 3 h at most
	simStorm   = 1_000_000              // and half of these messages: takes of offered works are most of them
	simStarved = 100 * time.Second      // longest that a waiting device goes without the area
)

// simBug breaks a rule on the device's side, without a switch in broker/turn:
// the messages between the two are forged instead.
type simBug struct {
	fromReceipt bool // the lease counts from when the grant came
	randomBoot  bool
	noHello     bool // a want does not wait for the answer to hello
	noWatchdog  bool // nobody notices that he is deaf
	anyAnswer   bool // an answer to another machine of the name counts

	// No bugs, but worlds in which one has to show.
	leases bool // the configured lease changes often
	clones bool // two machines have one name, twice
	disk   bool // the disk fails often, and there are orders
	finish bool // the policy is finish
}

type simResult struct {
	handOvers, overlaps, doubleTokens, stuck, starved, badEnds int
	crashes, restarts, partitions, deaf, wills, emergencies    int
	messages, lost, works, twice                               int
	sim                                                        time.Duration
	counts                                                     Counts
	firstBad                                                   string
}

func (r simResult) bad() int {
	return r.overlaps + r.doubleTokens + r.stuck + r.starved + r.badEnds
}

type simKind uint8

const (
	evTick simKind = iota // of a device
	evArbTick
	evToArb
	evToDev
	evOffer
	evWish
	evSilent  // the sound of a device is over
	evCrash   // of a device
	evStart   // of a device
	evConnect // of a device
	evArbCrash
	evArbStart
	evCommitted
	evFault
	evDumbOn
	evSubmit
	evCalm
	evEnd
	evTooLong
)

type simEvent struct {
	at   int64
	n    uint64
	kind simKind
	dev  int
	gen  uint64 // of the device or the arbiter that it is meant for
	seq  uint64
	fail bool
	rec  []byte

	claim  area.Claim
	answer area.Answer
	offer  area.Offer
	result area.Result
}

type simDevice struct {
	i        int
	id       area.DeviceID
	location area.LocationID
	mid      string
	boot     uint64
	kind     kind
	ppm      int64
	epoch    int64 // local clock began here
	turn     *turn.Turn
	gen      uint64
	wake     int64
	wishAt   int64
	up       bool // the process runs
	blank    bool // its card is being written anew
	conn     bool
	deaf     bool
	cut      int64 // partitioned until
	counted  bool  // sounds, and must not beside another
	sounding bool
	plays    uint64 // number of the sound, so that an old end of it is ignored
	waiting  int64  // since; 0: it does not wait
	sent     [64]struct {
		seq uint64
		at  area.Instant
	}
	nonce  string
	wish   turn.Wish
	queue  []turn.Wish // assigned works
	played []area.WorkID
}

type simWork struct {
	work    area.Work
	expires int64
	end     area.OrderState
	full    int                        // times that it was played to the end
	takers  [mostAttempts + 1]simTaker // by attempt: who was told that it is his
}

// simTaker is a start of a device; the zero value is none.
type simTaker struct {
	device area.DeviceID
	mid    string
	boot   uint64
}

type sim struct {
	seed    uint64
	rng     *rand.Rand
	now     int64
	n       uint64
	heap    []*simEvent
	free    []*simEvent
	bug     simBug
	mutant  mutant
	goal    int
	trace   bool
	once    bool // the first fault ends it
	devs    []*simDevice
	core    *Core
	arbGen  uint64
	arbWake int64
	arbBorn int64 // its clock began here
	arbFrom int64 // it has arbitrated since
	arbPPM  int64
	disk    []byte // durable record
	inDisk  int64  // records are written in order: the newest is done then
	works   []*simWork
	calm    bool
	ended   bool

	loss, dup, ledgerFails float64
	slowest                int64
	slowPart               float64
	orders, finish         bool
	leases                 []time.Duration
	lease                  time.Duration

	lastSound int64
	maxToken  area.Token
	tokens    [256]struct {
		token area.Token
		key   [3]uint64
	}
	nonces uint64
	r      simResult
}

func newSim(seed uint64, goal int, m mutant, b simBug) *sim {
	s := &sim{seed: seed, rng: rand.New(rand.NewPCG(seed, 0x7ace7)), goal: goal, mutant: m, bug: b, lease: simLease}
	s.loss, s.dup = s.rng.Float64()*0.3, s.rng.Float64()*0.2
	s.slowest = []int64{20e6, 2e9, 15e9, 15e9}[s.rng.IntN(4)]
	s.slowPart = s.rng.Float64() * 0.3
	s.orders, s.finish = seed%4 == 1, seed%9 == 4 || b.finish
	if seed%5 == 2 {
		s.ledgerFails = 0.05
	}
	if b.disk {
		s.orders, s.ledgerFails = true, 0.3
	}
	if seed%3 == 0 || b.leases {
		s.leases = []time.Duration{simLease, 9 * time.Second, 2 * time.Second}
	}
	for i := range simDevices {
		d := &simDevice{i: i, id: area.DeviceID(fmt.Sprint("d", i)), location: area.LocationID(fmt.Sprint("l", i)), mid: fmt.Sprint("m", i), kind: leased}
		switch {
		case i == 5 && seed%4 == 2:
			d.kind = classic
		case i == 4 && seed%4 == 3:
			d.kind = dumb
		case i == 3 && seed%7 == 3:
			d.mid = "" // not known
		}
		if i == 5 && seed%6 == 5 || b.clones && i%2 == 1 && i > 1 { // a clone of the one before: its name, another machine
			d.id, d.location = s.devs[i-1].id, s.devs[i-1].location
		}
		d.ppm = s.rng.Int64N(8001) - 4000
		s.devs = append(s.devs, d)
		s.at(s.rng.Int64N(1e9), evStart).dev = i
	}
	s.at(0, evArbStart)
	s.at(int64(simLongest), evTooLong)
	s.at(s.rng.Int64N(10e9), evFault)
	if s.orders {
		s.at(5e9, evSubmit)
	}
	return s
}

// at plans an event.
func (s *sim) at(at int64, k simKind) *simEvent {
	var e *simEvent
	if n := len(s.free); n > 0 {
		e = s.free[n-1]
		s.free = s.free[:n-1]
		*e = simEvent{}
	} else {
		e = &simEvent{}
	}
	s.n++
	e.at, e.n, e.kind = max(at, s.now), s.n, k
	s.heap = append(s.heap, e)
	for i := len(s.heap) - 1; i > 0; {
		p := (i - 1) / 2
		if !s.less(i, p) {
			break
		}
		s.heap[i], s.heap[p] = s.heap[p], s.heap[i]
		i = p
	}
	return e
}

func (s *sim) less(i, j int) bool {
	a, b := s.heap[i], s.heap[j]
	return a.at < b.at || a.at == b.at && a.n < b.n
}

func (s *sim) pop() *simEvent {
	e := s.heap[0]
	n := len(s.heap) - 1
	s.heap[0], s.heap = s.heap[n], s.heap[:n]
	for i := 0; ; {
		l := 2*i + 1
		if l >= n {
			break
		}
		if l+1 < n && s.less(l+1, l) {
			l++
		}
		if !s.less(l, i) {
			break
		}
		s.heap[i], s.heap[l] = s.heap[l], s.heap[i]
		i = l
	}
	return e
}

// local is what a clock of this rate shows, dt after it began.
func local(dt, ppm int64) area.Instant { return area.Instant(dt + dt/1000*ppm/1000) }

// until is the first dt at which such a clock shows t.
func until(t area.Instant, ppm int64) int64 {
	if t > 1e17 {
		return 1 << 62
	}
	dt := int64(float64(t) / (1 + float64(ppm)/1e6))
	for local(dt, ppm) >= t && dt > 0 {
		dt -= 1000
	}
	for local(dt, ppm) < t {
		dt += 1000
	}
	return dt
}

func (s *sim) run() simResult {
	for !s.ended {
		e := s.pop()
		s.now = e.at
		s.handle(e)
		s.free = append(s.free, e)
	}
	s.r.sim = time.Duration(s.now)
	if s.core != nil {
		s.addCounts()
	}
	return s.r
}

func (s *sim) handle(e *simEvent) {
	if e.kind == evToArb || e.kind == evArbTick || e.kind == evCommitted {
		s.handleArb(e)
		return
	}
	d := s.devs[e.dev]
	switch e.kind {
	case evTick:
		if e.gen == d.gen && e.at == d.wake && d.turn != nil {
			s.step(d, turn.Tick{})
		}
	case evToDev:
		s.toDevice(d, e)
	case evOffer:
		s.offered(d, e)
	case evWish:
		if e.gen == d.gen && e.at == d.wishAt {
			s.wishes(d)
		}
	case evSilent:
		if e.seq == d.plays {
			s.silent(d, e.result)
		}
	case evCrash:
		s.crash(d)
	case evStart:
		s.start(d)
	case evConnect:
		if e.gen == d.gen {
			s.connect(d)
		}
	case evArbCrash:
		s.arbCrash()
	case evArbStart:
		s.arbStart()
	case evFault:
		s.fault()
	case evDumbOn:
		if e.gen == d.gen {
			s.dumbOn(d)
		}
	case evSubmit:
		s.submit()
	case evCalm:
		s.calmDown()
	case evEnd:
		s.end()
	case evTooLong:
		s.bad(&s.r.stuck, "%d hand-overs in %v", s.r.handOvers, simLongest)
		s.ended = true
	}
}

func (s *sim) log(format string, args ...any) {
	if s.trace {
		fmt.Printf("%12.6f "+format+"\n", append([]any{float64(s.now) / 1e9}, args...)...)
	}
}

func (s *sim) bad(n *int, format string, args ...any) {
	*n++
	if s.r.firstBad == "" {
		s.r.firstBad = fmt.Sprintf("at %.6f s: ", float64(s.now)/1e9) + fmt.Sprintf(format, args...)
	}
	s.log("BAD "+format, args...)
	s.ended = s.ended || s.once
}

// delay is how long a message is under way; in a calm it is short.
func (s *sim) delay() int64 {
	if !s.calm && s.rng.Float64() < s.slowPart {
		return s.rng.Int64N(s.slowest)
	}
	return 1e6 + s.rng.Int64N(4e6)
}

// copies is how many of a message arrive.
func (s *sim) copies() int {
	if s.r.messages++; s.r.messages == simStorm {
		s.bad(&s.r.stuck, "a storm of messages")
		s.ended = true
	}
	switch {
	case s.calm:
		return 1
	case s.rng.Float64() < s.loss:
		s.r.lost++
		return 0
	case s.rng.Float64() < s.dup:
		return 2
	}
	return 1
}

// beginSound checks the one rule: nobody else sounds.
func (s *sim) beginSound(d *simDevice, counted bool) {
	d.plays++
	d.sounding, d.counted = true, counted
	s.lastSound = s.now
	for _, o := range s.devs {
		if o != d && o.sounding && o.counted && counted {
			s.bad(&s.r.overlaps, "%s (%s) sounds beside %s (%s)", d.id, d.kind, o.id, o.kind)
		}
	}
	s.log("%s sounds", d.id)
}

func (s *sim) silent(d *simDevice, r area.Result) {
	if !d.sounding {
		return
	}
	d.sounding = false
	s.lastSound = s.now
	s.log("%s is silent: %s", d.id, r)
	switch {
	case d.kind == dumb:
		s.dumbOff(d)
	case !d.up:
	case d.kind == classic:
		s.classicOff(d)
	default:
		if r == area.Played && d.wish.Work != "" {
			d.played = append(d.played, d.wish.Work) // the journal
			s.fully(d.wish.Work)
		}
		s.step(d, turn.Over{Result: r})
	}
}

func (s *sim) fully(id area.WorkID) {
	if w := s.workOf(id); w != nil {
		if w.full++; w.full == 2 {
			s.r.twice++
		}
	}
}

// workOf finds a work by its number.
func (s *sim) workOf(id area.WorkID) *simWork {
	n, err := strconv.Atoi(strings.TrimPrefix(string(id), "w"))
	if err != nil {
		return nil
	}
	return s.works[n]
}

// waits tells whether a device waits that has a right to be served: of two
// machines of one name, one may be told to wait for long (§8.8).
func (s *sim) waits(d *simDevice) bool { return d.waiting != 0 && !s.cloned(d) }

// cloned tells whether two machines have d's name.
func (s *sim) cloned(d *simDevice) bool {
	return slices.ContainsFunc(s.devs, func(o *simDevice) bool { return o != d && o.id == d.id })
}

// check looks for silence while somebody waits, and for who is passed over.
func (s *sim) check() {
	if !s.calm {
		return
	}
	waits := false
	for _, d := range s.devs {
		if d.sounding {
			s.lastSound = s.now
		}
		if !s.waits(d) {
			continue
		}
		waits = true
		if s.now-d.waiting > int64(simStarved) {
			s.bad(&s.r.starved, "%s waits for %v", d.id, time.Duration(s.now-d.waiting))
			d.waiting = s.now
		}
	}
	if waits && s.now-s.lastSound > int64(simSilence) {
		s.bad(&s.r.stuck, "silence for %v", time.Duration(s.now-s.lastSound))
		s.lastSound = s.now
	}
	if !waits {
		s.lastSound = s.now
	}
}
