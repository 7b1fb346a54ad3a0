package election

import (
	"container/heap"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

var (
	seeds = flag.Int("election.seeds", 60, "how many seeds to simulate per topology")
	seed  = flag.Uint64("election.seed", 0, "simulate this one alone, and tell all; 0: not")
)

// What the parts of a member take at most: the failure detector (package leader
// has it measured), a first call to a neighbour who is back, what a member tells of
// itself, the loss and the return of an uplink, and a reign that begins.
const (
	detect = 3500 * time.Millisecond
	join   = 3 * time.Second
	gossip = 700 * time.Millisecond
	lost   = 7 * time.Second
	found  = 2 * time.Second
	begins = 500 * time.Millisecond

	hubHears = 3 * time.Second // a leader is live for so long after he was heard

	oneLeader = max(detect, join) + gossip + begins + Window // two lead in one part at most for so long
	noLeader  = join + found + gossip + Sight + time.Second  // somebody leads in spite of an uplink
	leaderBy  = lost + detect + Start + askMost + hubHears + Window + begins + 2*gossip
)

// world is an area whose parts fail.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	now   area.Instant
	todo  agenda
	order int
	topo  string
	nodes []*node
	trace []string

	hubTerm  uint64 // highest heard at the hub
	hubBy    *node  // who it heard last
	hubHeard area.Instant
	changed  area.Instant // when a fault or a repair last was
	alarmed  area.Instant // when a false alarm last was
	reigns   int
}

type node struct {
	id      area.DeviceID
	index   uint64
	alive   bool
	life    int
	part    int
	uplink  bool // the cable
	e       *Election
	sees    map[*node]Member
	durable uint64 // highest term kept
	reign   int    // number of the reign that goes on; 0: none
	ticks   int
}

type entry struct {
	at    area.Instant
	order int
	do    func()
}

type agenda []entry

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(entry)) }
func (a *agenda) Pop() any     { o := *a; x := o[len(o)-1]; *a = o[:len(o)-1]; return x }

func (w *world) in(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.todo, entry{w.now.Add(d), w.order, do})
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%8.3f ", time.Duration(w.now).Seconds())+fmt.Sprintf(format, args...))
}

// start has a member begin.
func (w *world) start(n *node) {
	n.alive, n.life, n.e, n.sees, n.reign = true, n.life+1, New(n.id), map[*node]Member{}, 0
	w.note("%s starts", n.id)
	w.step(n, Heard{n.durable})
	w.step(n, Roster{Topology: w.topo, Member: true})
	w.step(n, Uplink{n.uplink})
	w.meet()
}

// connected tells whether two members reach each other.
func connected(a, b *node) bool { return a.alive && b.alive && a.part == b.part }

// meet has everybody see, after a while, who is there, and miss who is not.
func (w *world) meet() {
	w.changed = w.now
	for _, a := range w.nodes {
		for _, b := range w.nodes {
			if a != b && a.alive {
				w.look(a, b)
			}
		}
	}
}

func (w *world) look(a, b *node) {
	life, other := a.life, b.life
	if _, seen := a.sees[b]; !seen && !connected(a, b) {
		return
	}
	delay := join/10 + w.upTo(join*9/10)
	if !connected(a, b) {
		delay = detect/2 + w.upTo(detect/2)
	}
	w.in(delay, func() {
		if a.life != life || b.life != other || !a.alive {
			return
		}
		if connected(a, b) {
			a.sees[b] = b.e.Self()
		} else {
			delete(a.sees, b)
		}
		w.view(a)
	})
}

// view tells a member what it sees.
func (w *world) view(n *node) {
	var others []Member
	for _, o := range w.nodes {
		if m, ok := n.sees[o]; ok {
			others = append(others, m)
		}
	}
	w.step(n, Seen{others})
}

// tell has the others learn what a member says of itself.
func (w *world) tell(n *node) {
	for _, o := range w.nodes {
		if _, ok := o.sees[n]; !ok {
			continue
		}
		w.in(w.upTo(gossip), func() {
			if _, ok := o.sees[n]; ok && connected(o, n) {
				o.sees[n] = n.e.Self()
				w.view(o)
			}
		})
	}
}

func (w *world) step(n *node, ev Event) {
	before := n.e.Self()
	actions := append([]Action{}, n.e.Step(ev, w.now)...)
	n.durable = max(n.durable, n.e.Self().Highest)
	for _, a := range actions {
		w.do(n, a)
	}
	if n.e.Self() != before {
		w.tell(n)
	}
	n.ticks++
	tick, life := n.ticks, n.life
	if next := n.e.Next(); next != area.Never {
		w.in(max(next.Sub(w.now), 0), func() {
			if n.alive && n.life == life && n.ticks == tick {
				w.step(n, Tick{})
			}
		})
	}
}

func (w *world) do(n *node, a Action) {
	if _, ask := a.(Ask); !ask {
		w.note("%s %T%+v", n.id, a, a)
	}
	switch a := a.(type) {
	case Aim:
		w.in(300*time.Millisecond, func() {
			if n.alive && n.e.Aim() == a {
				w.step(n, Linked{true})
			}
		})
	case Lead:
		w.reigns++
		n.reign = w.reigns
		w.ready(n, a.Above, w.upTo(begins))
	case Stop:
		n.reign = 0
	case Ask:
		w.ask(n)
	}
}

// ready has a reign begin, or go on by another term.
func (w *world) ready(n *node, above uint64, after time.Duration) {
	reign := n.reign
	w.in(after, func() {
		if n.alive && n.reign == reign {
			term := max(above, n.durable) + 1
			term += (n.index - term%64 + 64) % 64
			w.step(n, Ready{term})
		}
	})
}

func (w *world) hubLive() bool { return w.hubBy != nil && w.now < w.hubHeard.Add(hubHears) }

func (w *world) ask(n *node) {
	life := n.life
	w.in(w.upTo(100*time.Millisecond), func() {
		if !n.alive || n.life != life || !n.uplink {
			return
		}
		a := Witness{Live: w.hubLive() && w.topo == area.TopologyLocal, Term: w.hubTerm}
		if w.hubBy != nil {
			a.Leader = w.hubBy.id
		}
		w.step(n, a)
	})
}

// reachesHub tells whether a member's words reach the hub, over a neighbour if
// need be.
func (w *world) reachesHub(n *node) bool {
	for _, o := range w.nodes {
		if (o == n || connected(o, n)) && o.alive && o.uplink {
			return true
		}
	}
	return false
}

// trunk has the hub hear the leaders, each second.
func (w *world) trunk() {
	for _, n := range w.nodes {
		if n.alive && n.reign != 0 && n.e.Self().Term != 0 && (n.uplink || w.topo == area.TopologyLocal && w.reachesHub(n)) {
			w.lead(n)
		}
	}
	w.in(time.Second, w.trunk)
}

func (w *world) lead(n *node) {
	term := n.e.Self().Term
	switch {
	case w.topo == area.TopologyDirect, w.hubLive() && w.hubBy != n && term < w.hubTerm:
		w.note("%s is refused", n.id)
		n.reign = 0
		w.step(n, Ended{HubLeads: true})
	case term < w.hubTerm: // it raises its term
		w.step(n, Heard{w.hubTerm})
		w.ready(n, w.hubTerm, 0)
	default:
		w.hubTerm, w.hubBy, w.hubHeard = term, n, w.now
	}
}

// alarm has a member miss another for a moment, though nothing is wrong.
func (w *world) alarm() {
	a, b := w.nodes[w.rng.IntN(len(w.nodes))], w.nodes[w.rng.IntN(len(w.nodes))]
	if _, seen := a.sees[b]; !seen || !connected(a, b) {
		return
	}
	w.note("%s misses %s for a moment", a.id, b.id)
	w.alarmed = w.now
	delete(a.sees, b)
	w.view(a)
	life := a.life
	w.in(w.upTo(Window), func() {
		if a.life == life && connected(a, b) {
			a.sees[b] = b.e.Self()
			w.view(a)
		}
	})
}

// fault breaks something, or repairs it.
func (w *world) fault() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	switch w.rng.IntN(6) {
	case 0, 1:
		if n.alive {
			w.note("%s dies", n.id)
			n.alive, n.reign = false, 0
			w.in(time.Second+w.upTo(20*time.Second), func() { w.start(n) })
		}
	case 2:
		for _, n := range w.nodes {
			n.part = w.rng.IntN(2)
		}
		w.note("parts %v", w.parts())
	case 3:
		for _, n := range w.nodes {
			n.part = 0
		}
		w.note("one part")
	case 4:
		w.plug(n, w.rng.IntN(2) == 0)
	case 5:
		up := w.rng.IntN(2) == 0
		for _, n := range w.nodes {
			w.plug(n, up)
		}
	}
	w.meet()
}

// plug changes a member's uplink, which it notices after a while.
func (w *world) plug(n *node, up bool) {
	if n.uplink == up {
		return
	}
	n.uplink = up
	w.note("%s uplink %v", n.id, up)
	d := w.upTo(found)
	if !up {
		d = lost - w.upTo(lost/4)
	}
	w.in(d, func() {
		if n.alive && n.uplink == up {
			w.step(n, Uplink{up})
		}
	})
}

func (w *world) parts() (text []string) {
	for _, n := range w.nodes {
		text = append(text, fmt.Sprintf("%s:%d", n.id, n.part))
	}
	return text
}

// judge looks at every part after every event.
func (w *world) judge() {
	quiet := w.now.Sub(w.changed)
	for part := range 2 {
		leaders, members, uplinks := 0, 0, 0
		for _, n := range w.nodes {
			if !n.alive || n.part != part {
				continue
			}
			members++
			if n.uplink {
				uplinks++
			}
			if n.reign != 0 && n.e.Self().Term != 0 {
				leaders++
			}
		}
		elsewhere := uplinks > 0 && w.hubLive() && w.hubBy.part != part
		switch {
		case members == 0:
		case leaders > 1 && quiet > oneLeader:
			w.fail("%d leaders in part %d, %v after the last change", leaders, part, quiet)
		case w.topo == area.TopologyDirect && uplinks > 0 && leaders > 0 && quiet > noLeader:
			w.fail("%d leaders in part %d, which reaches the hub, %v after the last change", leaders, part, quiet)
		case leaders == 0 && quiet > leaderBy && (w.topo == area.TopologyLocal && !elsewhere || w.topo == area.TopologyDirect && uplinks == 0):
			w.fail("no leader in part %d, %v after the last change", part, quiet)
		}
	}
	if quiet > leaderBy && w.now.Sub(w.alarmed) > join+gossip {
		w.judgeAims()
	}
}

// judgeAims looks whether everybody turns to the same arbiter as his part.
func (w *world) judgeAims() {
	arbiter := map[int]Aim{} // of each part; a carrier's is the hub
	for _, n := range w.nodes {
		if !n.alive {
			continue
		}
		a := n.e.Aim()
		at := a
		if at.To == Via {
			at = Aim{To: Hub}
		}
		if other, ok := arbiter[n.part]; ok && other != at {
			w.fail("%s turns to %v, others of part %d to %v", n.id, a, n.part, other)
		}
		arbiter[n.part] = at
		if a.To == Hub && !n.uplink {
			w.fail("%s turns to the hub and has no uplink", n.id)
		}
		if a.Member == "" {
			continue
		}
		for _, o := range w.nodes {
			if o.id == a.Member && (!o.alive || o.part != n.part || a.To == Via && !o.uplink || a.To == Leader && o.reign == 0) {
				w.fail("%s turns to %v", n.id, a)
			}
		}
	}
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	from := max(0, len(w.trace)-60)
	w.t.Fatalf(format+"\n%s", append(args, strings.Join(w.trace[from:], "\n"))...)
}

// run lets the area live for a while: faults, and times without.
func run(t *testing.T, topo string, seed uint64) (reigns int) {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), topo: topo}
	for i := range 2 + w.rng.IntN(5) {
		w.nodes = append(w.nodes, &node{id: area.DeviceID(fmt.Sprintf("gate-%d", i+1)), index: uint64(area.FirstMember + i), uplink: w.rng.IntN(4) > 0})
	}
	for _, n := range w.nodes {
		w.in(w.upTo(5*time.Second), func() { w.start(n) })
	}
	w.in(0, w.trunk)
	for range 25 {
		w.in(w.upTo(8*time.Minute), w.fault)
		w.in(w.upTo(10*time.Minute), w.alarm)
	}
	for len(w.todo) > 0 && w.now < area.Instant(10*time.Minute) {
		next := heap.Pop(&w.todo).(entry)
		w.now = next.at
		w.judge() // what was, just before anything changes
		next.do()
	}
	return w.reigns
}

// The simulation replays with -election.seed, which the failure's name has.
func TestSimulation(t *testing.T) {
	for _, topo := range []string{area.TopologyDirect, area.TopologyLocal} {
		t.Run(topo, func(t *testing.T) {
			reigns := 0
			for s := range uint64(*seeds) {
				if *seed != 0 {
					s = *seed - 1
				}
				if !t.Run(fmt.Sprintf("seed %d", s+1), func(t *testing.T) { reigns += run(t, topo, s+1) }) || *seed != 0 {
					break
				}
			}
			t.Logf("%d reigns", reigns)
			if reigns < *seeds && *seed == 0 {
				t.Errorf("%d reigns in %d seeds: nothing was tried", reigns, *seeds)
			}
		})
	}
}
