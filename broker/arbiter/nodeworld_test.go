package arbiter

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// A nodeWorld is a hub of three nodes in simulated time: of each the service, its
// desk, its roster and the keeper of its reigns, as they ship but for their
// goroutines; the turns of devices that go from node to node; a server that dies,
// stands still, forgets, or goes back to what a replica knew; and a wire between the
// nodes. Processes are killed, stopped in order, and stand still for a while.
type nodeWorld struct {
	seed  uint64
	rng   *rand.Rand
	bug   nodeBug
	now   int64
	n     uint64
	todo  nodeAgenda
	goal  int
	trace bool
	once  bool // the first fault ends it
	calm  bool
	ended bool
	lease time.Duration
	mode  string // of the area

	perNode bool // on_ledger_loss: per_node

	orders map[area.WorkID]*nodeOrder // nil: there are none
	ids    []area.WorkID              // of orders, as they came

	nodes   []*simNode
	devices []*nodeDevice
	server  nodeServer
	tokens  map[area.Token]nodeToken
	conns   uint64 // of devices to brokers
	loud    int64  // when something last sounded
	r       nodeResult
}

// nodeBug breaks a rule of what ships, by what the nodes, the devices or the server
// are told.
type nodeBug struct {
	noWait      bool // §8.1: an area looks given up to whoever looks, and is his
	noCompare   bool // §0, 10: a write is done whatever is there
	slow        bool // §8.1: the first node's clock runs at half the pace, so that its reign outlives its time
	fromReceipt bool // §0, 2: a device's lease counts from when it heard the grant
	forgets     bool // §8.18: a node's disk forgets how far the terms have come

	perNode  bool // the area is set to per_node
	noRest   bool // §8.11: with the ledger away a node grants without waiting
	noRunOut bool // §8.11: a node joins the others while what it granted may sound

	orders    bool   // there are many
	core      mutant // of the arbiter
	handsOnce bool   // §3.5, 5: a work is handed to the owner once
	endsOnce  bool   // §8.13: the end of a work is said once
}

type nodeToken struct {
	device area.DeviceID
	boot   uint64
	claim  uint64
}

type nodeResult struct {
	handOvers, overlaps, doubleTokens, stuck, starved int
	kills, stops, pauses, cuts, flushes, olds, stalls int
	moves, crashes, reigns                            int
	refused                                           int // writes that found another head
	parted, alone, beside                             int // times that a node went on by itself, plays that it granted then, and those that began beside another node's
	orders, second, badEnds                           int // orders, reports of another end than before, and what is wrong with ends
	unheard, forgotten, badPlays                      int // second plays: of a device that nobody had heard, of what the server had forgotten, and those that may not be
	lower                                             int // a device was granted a lower token than before
	sim                                               time.Duration
	first                                             string
}

func (r nodeResult) bad() int {
	return r.overlaps + r.doubleTokens + r.stuck + r.starved + r.lower + r.badEnds + r.badPlays
}

func (r *nodeResult) add(o nodeResult) {
	for _, p := range []struct {
		to   *int
		more int
	}{
		{&r.handOvers, o.handOvers}, {&r.overlaps, o.overlaps}, {&r.doubleTokens, o.doubleTokens}, {&r.stuck, o.stuck}, {&r.starved, o.starved}, {&r.kills, o.kills}, {&r.stops, o.stops},
		{&r.pauses, o.pauses}, {&r.cuts, o.cuts}, {&r.flushes, o.flushes}, {&r.olds, o.olds}, {&r.stalls, o.stalls}, {&r.moves, o.moves}, {&r.crashes, o.crashes}, {&r.reigns, o.reigns},
		{&r.refused, o.refused}, {&r.parted, o.parted}, {&r.alone, o.alone}, {&r.beside, o.beside}, {&r.lower, o.lower}, {&r.orders, o.orders}, {&r.second, o.second}, {&r.badEnds, o.badEnds},
		{&r.unheard, o.unheard}, {&r.forgotten, o.forgotten}, {&r.badPlays, o.badPlays},
	} {
		*p.to += p.more
	}
	r.sim += o.sim
}

type nodeEntry struct {
	at int64
	n  uint64
	do func()
}

type nodeAgenda []nodeEntry

func (a nodeAgenda) Len() int { return len(a) }
func (a nodeAgenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].n < a[j].n
}
func (a nodeAgenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *nodeAgenda) Push(x any)   { *a = append(*a, x.(nodeEntry)) }
func (a *nodeAgenda) Pop() any {
	o := *a
	x := o[len(o)-1]
	o[len(o)-1] = nodeEntry{}
	*a = o[:len(o)-1]
	return x
}

const (
	nodeCalm    = 190 * time.Second
	nodeSettled = 110 * time.Second // of the calm, until silence counts: also the longest sound of before is over
	nodeSilence = 25 * time.Second  // longest then, while somebody waits
	nodeStarved = 60 * time.Second  // longest that a device waits then
)

func newNodeWorld(seed uint64, b nodeBug, goal int) *nodeWorld {
	w := &nodeWorld{seed: seed, rng: rand.New(rand.NewPCG(seed, 0x0de5)), bug: b, goal: goal, tokens: map[area.Token]nodeToken{}, lease: time.Second}
	if seed%3 == 0 {
		w.lease = 6 * time.Second
	}
	w.mode = area.ModeAvailable
	w.perNode = b.perNode || b == nodeBug{} && seed%4 == 2
	if seed%4 == 0 && !w.perNode {
		w.mode = area.ModeStrict
	}
	for i := range 2 + w.rng.IntN(2) {
		n := &simNode{w: w, i: i, name: fmt.Sprint("hub-", i+1), disk: map[area.Name][]byte{}}
		w.nodes = append(w.nodes, n)
		w.in(w.upTo(time.Second), n.start)
	}
	for i := range 3 + w.rng.IntN(4) {
		d := &nodeDevice{w: w, i: i, id: area.DeviceID(fmt.Sprint("gate-", i)), mid: fmt.Sprint("m-", i)}
		w.devices = append(w.devices, d)
		w.in(w.upTo(2*time.Second), d.start)
	}
	w.in(20*time.Second, w.fault)
	if b.orders || b == (nodeBug{}) && (seed%4 == 1 || seed%4 == 2) {
		w.orders = map[area.WorkID]*nodeOrder{}
		w.in(5*time.Second, w.submit)
	}
	return w
}

func (w *nodeWorld) run() nodeResult {
	for !w.ended && len(w.todo) > 0 {
		e := heap.Pop(&w.todo).(nodeEntry)
		w.now = e.at
		e.do()
		if w.now > int64(96*time.Hour) {
			w.bad(&w.r.stuck, "%d hand-overs in %v", w.r.handOvers, time.Duration(w.now))
			break
		}
	}
	w.r.sim = time.Duration(w.now)
	return w.r
}

func (w *nodeWorld) in(d time.Duration, do func()) {
	w.n++
	heap.Push(&w.todo, nodeEntry{w.now + max(0, int64(d)), w.n, do})
}

func (w *nodeWorld) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

// delay is how long something is under way.
func (w *nodeWorld) delay() time.Duration {
	if !w.calm && w.rng.IntN(50) == 0 {
		return w.upTo(2 * time.Second)
	}
	return time.Millisecond + w.upTo(3*time.Millisecond)
}

func (w *nodeWorld) log(format string, args ...any) {
	if w.trace {
		fmt.Printf("%12.6f "+format+"\n", append([]any{float64(w.now) / 1e9}, args...)...)
	}
}

func (w *nodeWorld) bad(n *int, format string, args ...any) {
	*n++
	if w.r.first == "" {
		w.r.first = fmt.Sprintf("at %.6f s: ", float64(w.now)/1e9) + fmt.Sprintf(format, args...)
	}
	w.log("BAD "+format, args...)
	w.ended = w.ended || w.once
}

// fault does one thing that goes wrong, or right, and plans the next.
func (w *nodeWorld) fault() {
	if w.calm {
		return
	}
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if w.rng.IntN(2) == 0 { // most faults are the owner's
		if i := slices.IndexFunc(w.nodes, (*simNode).owns); i >= 0 {
			n = w.nodes[i]
		}
	}
	kind := w.rng.IntN(16)
	switch { // the worlds of some mutants are harder on their rule
	case w.bug.forgets && kind < 8:
		kind = 15
	case w.bug.slow && kind < 8:
		kind = 7
	}
	switch kind {
	case 0, 1, 2:
		n.kill()
	case 3:
		n.leave()
	case 4, 5, 6:
		n.pause(w.upTo(w.around()))
	case 7, 8:
		n.cut(w.upTo(w.outage()))
	case 9:
		w.server.flush(w)
	case 10:
		w.server.older(w)
	case 11:
		w.server.stall(w, w.upTo(w.outage()))
	case 12:
		w.server.kill(w, w.upTo(w.outage()))
	case 13, 14:
		w.devices[w.rng.IntN(len(w.devices))].crash()
	case 15: // two faults that belong together
		n.kill()
		w.server.flush(w)
	}
	gap := 8 * time.Second
	if w.rng.IntN(3) == 0 {
		gap = 60 * time.Second
	}
	w.in(w.upTo(gap), w.fault)
}

// around is a time in which a reign may end or not.
func (w *nodeWorld) around() time.Duration { return 2*w.lease + 10*time.Second }

// outage is one in which a node may begin to go on by itself, where it is to.
func (w *nodeWorld) outage() time.Duration {
	if w.perNode {
		return 4 * w.around()
	}
	return w.around()
}

// calmDown ends all faults.
func (w *nodeWorld) calmDown() {
	w.log("calm")
	w.calm = true
	w.server.heal(w)
	for _, n := range w.nodes {
		n.heal()
	}
	w.in(nodeSettled, func() {
		w.loud = w.now
		for _, d := range w.devices {
			if d.waits != 0 {
				d.waits = w.now
			}
		}
		w.watch()
	})
	w.in(nodeCalm, func() {
		w.ended = true
		w.ends()
		for _, n := range w.nodes {
			if n.alone {
				w.bad(&w.r.stuck, "%s goes on by itself, though nothing is away", n.name)
			}
		}
	})
}

// watch looks for silence while somebody waits, and for who is passed over.
func (w *nodeWorld) watch() {
	w.in(time.Second, w.watch)
	waits := false
	for _, d := range w.devices {
		if d.sounds {
			w.loud = w.now
		}
		if d.waits == 0 {
			continue
		}
		waits = true
		if w.now-d.waits > int64(nodeStarved) {
			w.bad(&w.r.starved, "%s waits for %v", d.id, time.Duration(w.now-d.waits))
			d.waits = w.now
		}
	}
	if !waits {
		w.loud = w.now
	}
	if w.now-w.loud > int64(nodeSilence) {
		w.bad(&w.r.stuck, "silence for %v", time.Duration(w.now-w.loud))
		w.loud = w.now
	}
}
