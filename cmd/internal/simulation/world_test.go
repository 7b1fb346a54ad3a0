package simulation

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
)

const (
	north = area.Name("north")
	lease = 6 * time.Second

	healed  = 5 * time.Second // after which no new overlap may start in one part (§8.21)
	tail    = 200 * time.Millisecond
	calmFor = 210 * time.Second
	silence = 25 * time.Second  // longest then, while somebody waits
	starved = 120 * time.Second // longest that a device waits then
	longest = 48 * time.Hour    // of a seed
)

// What the parts take at most; package election has the same.
const (
	detect = 3500 * time.Millisecond // to miss a member
	join   = 2500 * time.Millisecond // to see one that is back
	gossip = 700 * time.Millisecond
	again  = 2 * time.Second // what a member says of itself is said again
	tells  = 5               // so often, and as long as it leads
	lost   = 7 * time.Second // to know that the uplink is gone, at least 5 s
	found  = 2 * time.Second
	begins = 500 * time.Millisecond
)

// model is one kind of area.
type model struct {
	topology string
	strict   bool
}

func (m model) String() string {
	if m.strict {
		return m.topology + ", strict"
	}
	return m.topology
}

// bug breaks a rule; nothing that ships has a switch for it: what the parts say to
// each other is forged instead, or they are told less.
type bug struct {
	newcomers   bool // §8.2: hello and want do not say term and from
	uplinkLeads bool // §8.2: nobody sees the uplink of another
	noWitness   bool // §8.9: the hub hears no leader
	twoBridges  bool // §8.9: the hub follows whoever speaks last
	keepsWorks  bool // §8.13: works stay in the hands of the leader before
	reportsOnce bool // §8.13: an end that cannot be reported at once is forgotten
	noVotes     bool // §8.10: the arbiter does not count
	lateAnswers bool // §8.10: a node answers a leader when its reign is over
}

type result struct {
	handOvers, overlaps, doubleTokens, stuck, starved int
	badEnds, orders, twice, merged                    int
	unsounded                                         int // orders that failed, and of which nothing was heard
	splits, crashes, hubCrashes, cuts, handed         int
	parted                                            int // overlaps between parts, which available allows
	mistaken                                          int // overlaps while somebody took a lost uplink for a good one, or after a leader crashed in the meeting
	adoptions, settlings                              uint64
	quiet                                             time.Duration // longest without sound, without a new fault
	sim                                               time.Duration
	first                                             string
}

func (r result) bad() int { return r.overlaps + r.doubleTokens + r.stuck + r.starved + r.badEnds }

type world struct {
	model
	bug   bug
	seed  uint64
	rng   *rand.Rand
	now   int64
	n     uint64
	todo  agenda
	goal  int
	trace bool
	once  bool // the first fault ends it
	calm  bool
	ended bool
	r     result

	members    []*member
	hub        *hub
	together   [][]int64 // since when two members are in one part; never: they are not
	lastBad    int64     // newest fault or repair
	lastLoud   int64
	leaderLost int64         // when a leader last crashed
	finish     bool          // the policy of the area
	settled    time.Duration // of the calm, until silence counts
	submits    bool
	orders     []*order
	closed     int // orders before this one have ended
	tokens     map[area.Token]tokenOf
	nonces     uint64
}

type tokenOf struct {
	device area.DeviceID
	claim  uint64
	boot   uint64
}

const never = int64(1) << 62

type entry struct {
	at int64
	n  uint64
	do func()
}

type agenda []entry

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].n < a[j].n
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(entry)) }
func (a *agenda) Pop() any {
	o := *a
	x := o[len(o)-1]
	o[len(o)-1] = entry{}
	*a = o[:len(o)-1]
	return x
}

func (w *world) in(d time.Duration, do func()) {
	w.n++
	heap.Push(&w.todo, entry{w.now + max(0, int64(d)), w.n, do})
}

// upTo is a random time below d.
func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

// delay is how long a message is under way.
func (w *world) delay() time.Duration {
	if !w.calm && w.rng.IntN(20) == 0 {
		return w.upTo(2 * time.Second)
	}
	return time.Millisecond + w.upTo(4*time.Millisecond)
}

func newWorld(seed uint64, m model, b bug, goal int) *world {
	w := &world{model: m, bug: b, seed: seed, rng: rand.New(rand.NewPCG(seed, 0x7ace7)), goal: goal, tokens: map[area.Token]tokenOf{}}
	for i := range 2 + w.rng.IntN(4) {
		w.members = append(w.members, w.newMember(i))
	}
	w.together = make([][]int64, len(w.members))
	for i := range w.together {
		w.together[i] = make([]int64, len(w.members))
		for j := range w.together[i] {
			w.together[i][j] = never
		}
	}
	w.hub = w.newHub()
	w.hub.start()
	for _, m := range w.members {
		w.in(w.upTo(time.Second), m.start)
	}
	w.in(w.upTo(30*time.Second), w.fault)
	w.settled = 90 * time.Second
	if w.finish = seed%5 == 0; w.finish { // an arbiter settles for two minutes
		w.settled += arbiter.MostFinish + 30*time.Second
	}
	if w.submits = seed%2 == 0; w.submits {
		w.in(5*time.Second, w.submit)
	}
	return w
}

func (w *world) run() result {
	for !w.ended && len(w.todo) > 0 {
		e := heap.Pop(&w.todo).(entry)
		w.now = e.at
		e.do()
		if w.now > int64(longest) {
			w.bad(&w.r.stuck, "%d hand-overs in %v", w.r.handOvers, longest)
			break
		}
	}
	w.r.sim = time.Duration(w.now)
	return w.r
}

func (w *world) log(format string, args ...any) {
	if w.trace {
		fmt.Printf("%12.6f "+format+"\n", append([]any{float64(w.now) / 1e9}, args...)...)
	}
}

func (w *world) bad(n *int, format string, args ...any) {
	*n++
	if w.r.first == "" {
		w.r.first = fmt.Sprintf("at %.6f s: ", float64(w.now)/1e9) + fmt.Sprintf(format, args...)
	}
	w.log("BAD "+format, args...)
	w.ended = w.ended || w.once
}

// clock is somebody's own: it began some time ago, and runs too fast or too slow.
type clock struct{ born, ppm int64 }

func (w *world) newClock() clock { return clock{w.now - w.rng.Int64N(1e12), w.rng.Int64N(8001) - 4000} }

func (c clock) at(now int64) area.Instant {
	dt := now - c.born
	return area.Instant(dt + dt/1000*c.ppm/1000)
}

// when is the first moment at which the clock shows t.
func (c clock) when(t area.Instant) int64 {
	if t > 1e17 {
		return never
	}
	dt := int64(float64(t) / (1 + float64(c.ppm)/1e6))
	for c.at(c.born+dt) >= t && dt > 0 {
		dt -= 1000
	}
	for c.at(c.born+dt) < t {
		dt += 1000
	}
	return c.born + dt
}

// fault does one thing that goes wrong or right, and plans the next. Most are some
// seconds apart, so that they meet each other's consequences; some leave the area
// alone for long enough to see all of them.
func (w *world) fault() {
	if w.calm {
		return
	}
	m := w.members[w.rng.IntN(len(w.members))]
	switch w.rng.IntN(12) {
	case 0, 1:
		m.crash()
	case 2, 3, 4:
		w.r.cuts++
		parts := 1 + w.rng.IntN(3)
		for _, o := range w.members {
			o.part = w.rng.IntN(parts)
		}
	case 5, 6:
		m.cable = !m.cable
	case 7:
		up := w.rng.IntN(2) == 0
		for _, o := range w.members {
			o.cable = up
		}
	case 8:
		if w.seed%2 == 0 && w.rng.IntN(2) == 0 { // the hub of every other world is several nodes
			w.hub.handOver()
		} else {
			w.hub.crash()
		}
	case 9:
		for _, o := range w.members {
			o.part = 0
		}
	case 10, 11:
		for _, o := range w.members {
			o.part, o.cable = 0, true
		}
	}
	w.changed()
	gap := 12 * time.Second
	if w.rng.IntN(4) == 0 {
		gap = 90 * time.Second
	}
	w.in(w.upTo(gap), w.fault)
}

// changed has everybody find out, each in its time, what the network is like now.
func (w *world) changed() {
	w.lastBad = w.now
	if w.trace {
		s := ""
		for _, m := range w.members {
			s += fmt.Sprintf(" %s(part %d, cable %v, alive %v)", m.id, m.part, m.cable, m.alive)
		}
		w.log("network:%s hub %v", s, w.hub.alive)
	}
	w.parts()
	for _, m := range w.members {
		m.feelUplink()
		m.feelConnection()
		for _, o := range w.members {
			if o != m {
				m.look(o)
			}
		}
	}
}

// reaches tells whether a member can speak to the hub by its own uplink.
func (w *world) reaches(m *member) bool { return m.alive && m.cable && w.hub.alive }

// joined tells whether two members can speak to each other.
func joined(a, b *member) bool { return a == b || a.alive && b.alive && a.part == b.part }

// parts notes since when each two members can hear of each other, over whatever
// way: the neighbours, and the hub, where that is not mute.
func (w *world) parts() {
	part := make([]int, len(w.members)) // by member
	for i, m := range w.members {
		part[i] = m.part
	}
	hub := -1
	for i, m := range w.members {
		if !w.reaches(m) || w.hub.vacant {
			continue
		}
		if hub < 0 {
			hub = part[i]
		}
		for from, j := part[i], 0; j < len(part); j++ {
			if part[j] == from {
				part[j] = hub
			}
		}
	}
	for i, a := range w.members {
		for j, b := range w.members {
			switch {
			case part[i] != part[j] || !a.alive || !b.alive:
				w.together[i][j] = never
			case w.together[i][j] == never:
				w.together[i][j] = w.now
			}
		}
	}
}

// calmDown ends all faults.
func (w *world) calmDown() {
	w.log("calm")
	w.calm = true
	for _, m := range w.members {
		m.part, m.cable = 0, true
		if m.waiting != 0 {
			m.waiting = w.now + int64(w.settled)
		}
	}
	w.lastLoud = w.now + int64(w.settled)
	w.changed()
	w.in(w.settled+calmFor, func() {
		w.checkOrders()
		w.ended = true
	})
}

// watch looks for silence while somebody waits, and for who is passed over.
func (w *world) watch() {
	waits := false
	for _, m := range w.members {
		if m.sounding {
			w.lastLoud = max(w.lastLoud, w.now)
		}
		if m.waiting == 0 {
			continue
		}
		waits = true
		if w.calm && w.now-m.waiting > int64(starved+w.settled) {
			w.bad(&w.r.starved, "%s waits for %v", m.id, time.Duration(w.now-m.waiting))
			m.waiting = w.now
		}
	}
	if !waits {
		w.lastLoud = max(w.lastLoud, w.now)
	}
	quiet := time.Duration(w.now - max(w.lastLoud, w.lastBad))
	if !w.finish && quiet > w.r.quiet {
		w.r.quiet = quiet
		w.log("silence for %v", quiet)
	}
	if w.calm && quiet > silence {
		w.bad(&w.r.stuck, "silence for %v", quiet)
		w.lastLoud = w.now
	}
}
