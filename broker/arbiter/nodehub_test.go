package arbiter

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// simNode is one hub process of a nodeWorld, and what is on its disk. It is its
// service's bus, ledger, links and wire too.
type simNode struct {
	w    *nodeWorld
	i    int
	name string
	disk map[area.Name][]byte

	up     bool
	life   int
	born   int64
	ppm    int64
	asleep int64         // since when it stands still; 0: it does not
	wakes  int64         // until when
	later  []func()      // what came meanwhile
	conn   uint64        // its connection to the server
	away   int64         // it reaches neither the server nor the other nodes until then
	call   *nodeCall     // under way
	fed    map[int]int64 // when the newest word to another node comes there
	inDisk int64
	knows  uint64 // the reign in which it knows who votes

	service *Service
	desk    *desk
	keeper  *reign.Keeper
	said    map[area.Name][]herePlayer
	seen    string // of the head that was looked at last: for a bug
	wakeAt  int64
	leaving bool
	gave    bool
	alone   bool  // it goes on by itself
	since   int64 // it has started, or joined the others
	dark    int64 // since when it knows that it does not reach the server; 0: it does
}

const nodeArea = area.Name("north")

func (n *simNode) clock() area.Instant { return local(n.w.now-n.born, n.ppm) }

func (n *simNode) wall() time.Time { return time.Unix(1_700_000_000, n.w.now) }

// do does something in the process, unless that is another one by then; while it
// stands still, later.
func (n *simNode) do(life int, what func()) {
	switch {
	case !n.up || n.life != life:
	case n.asleep != 0:
		n.later = append(n.later, func() { n.do(life, what) })
	default:
		what()
	}
}

func (n *simNode) start() {
	w := n.w
	if n.up {
		return
	}
	n.up, n.life, n.conn = true, n.life+1, n.conn+1
	n.born, n.ppm, n.asleep, n.later = w.now-w.rng.Int64N(1e12), w.rng.Int64N(8001)-4000, 0, nil
	if w.bug.slow && n.i == 0 {
		n.ppm = -500_000
	}
	n.since = w.now
	n.knows, n.call, n.fed, n.said, n.seen, n.wakeAt, n.leaving, n.gave, n.alone, n.dark = 0, nil, map[int]int64{}, map[area.Name][]herePlayer{}, "", 0, false, false, false, 0
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	life := fmt.Sprint(n.name, "-", n.life)
	roster, err := NewRoster(RosterConfig{Node: n.name, Areas: []AreaConfig{{ID: nodeArea, Volume: -1, Lease: w.lease, Mode: w.mode, PerNode: w.perNode}}}, n.wall)
	must(err)
	n.keeper, err = reign.New(reign.Config{Node: n.name, Life: life, Index: uint64(n.i)}, noStore{}, n.clock)
	must(err)
	n.service, err = New(Config{Node: n.name, Index: uint64(n.i), Life: life, Nodes: &Nodes{Hub: "hub", Reigns: n.keeper, Wire: n}, Voters: n.voters}, n, n, n, roster, n.clock, n.wall, slog.New(slog.DiscardHandler))
	must(err)
	n.desk = n.service.desks[nodeArea]
	w.log("%s starts", n.name)
	n.desk.begun()
	n.desk.step(Begin{}, n)
	n.again()
	n.tellAll(time.Second)
	n.pump()
	n.hereAgain(n.life)
}

// voters are all devices; who is on the roster a node knows a little after its reign has
// begun.
func (n *simNode) voters(area.Name) (list []Voter, known bool) {
	reign := n.service.Reign(nodeArea)
	if reign != n.knows {
		life := n.life
		n.w.in(n.w.upTo(2*time.Second), func() {
			n.do(life, func() { n.knows = reign; n.service.Elect(nodeArea); n.pump() })
		})
		return nil, false
	}
	for _, d := range n.w.devices {
		list = append(list, Voter{d.id, d.mid})
	}
	return list, true
}

// noStore is nobody's: the world is the store.
type noStore struct{ reign.Store }

// pump does all that is due in the process.
func (n *simNode) pump() {
	for n.up && n.asleep == 0 {
		n.misorder()
		if n.call == nil {
			if c := n.keeper.Step(); c != nil {
				n.w.server.ask(n, c)
			}
		}
		events := n.desk.box.take(nil)
		for _, ev := range events {
			n.step(ev)
		}
		due := n.desk.next() <= n.clock()
		if due && !n.leaving {
			n.desk.step(Tick{}, n)
			n.byItself()
		}
		n.desk.flush(context.Background())
		n.post()
		if n.leaving && n.left() {
			return
		}
		if len(events) == 0 && (!due || n.leaving) {
			break
		}
	}
	n.sleep()
}

func (n *simNode) step(ev Event) {
	if n.leaving {
		switch ev.(type) {
		case gaveUp:
			n.w.r.stops++
			n.w.in(0, n.down)
			return
		case ofReign:
		default:
			return
		}
	}
	before := n.owns()
	n.desk.step(ev, n)
	n.byItself()
	if n.owns() && !before {
		n.w.r.reigns++
		n.w.log("%s has the area, by term %d", n.name, n.desk.core.Term())
	} else if before && !n.owns() {
		n.w.log("%s has lost the area", n.name)
	}
}

// post publishes what is no area's, and says who is here.
func (n *simNode) post() {
	for {
		select {
		case m := <-n.service.post:
			_ = n.Publish(context.Background(), m)
			continue
		case <-n.service.nodes.wake:
			n.said = n.service.sayHere(n.said, n.service.nodes.again())
			continue
		default:
		}
		return
	}
}

func (n *simNode) hereAgain(life int) {
	n.w.in(hereEvery, func() {
		n.do(life, func() {
			n.said = n.service.sayHere(n.said, true)
			n.hereAgain(life)
		})
	})
}

// sleep has the process looked at again when something is due.
func (n *simNode) sleep() {
	if !n.up || n.asleep != 0 {
		return
	}
	in := n.desk.wait()
	if n.call == nil {
		in = min(in, n.keeper.Wait())
	}
	at := n.w.now + int64(in) + int64(in)/200 + 1000 // its clock may be slower
	if n.wakeAt > n.w.now && n.wakeAt <= at {
		return
	}
	n.wakeAt = at
	life := n.life
	n.w.in(time.Duration(at-n.w.now), func() {
		if n.wakeAt == at {
			n.do(life, func() { n.wakeAt = 0; n.pump() })
		}
	})
}

func (n *simNode) owns() bool { return n.up && n.desk.nodes.own }

func (n *simNode) isCut() bool { return n.w.now < n.away }

// down ends the process, without another word.
func (n *simNode) down() {
	if !n.up {
		return
	}
	w := n.w
	n.up, n.asleep, n.later, n.conn = false, 0, nil, n.conn+1
	if n.call != nil {
		n.call.over = true
		n.call = nil
	}
	for _, d := range w.devices {
		if d.at == n {
			w.in(w.upTo(500*time.Millisecond), func() { d.lost(n) })
		}
	}
	n.tellAll(20 * time.Second)
	if !w.calm {
		w.in(w.upTo(15*time.Second), n.start)
	} else {
		w.in(time.Second, n.start)
	}
}

func (n *simNode) kill() {
	if n.up {
		n.w.log("%s is killed", n.name)
		n.w.r.kills++
		n.down()
	}
}

// leave stops the process in order, as the desk does in close and giveUp.
func (n *simNode) leave() {
	if !n.up || n.asleep != 0 || n.leaving {
		return
	}
	n.w.log("%s stops", n.name)
	n.desk.stepCore(Close{}, n)
	n.leaving = true
	life := n.life
	n.w.in(2*closing, func() { n.do(life, n.down) })
	n.pump()
}

// left gives the area up once the last record is written; it answers whether the
// process is over.
func (n *simNode) left() bool {
	d := n.desk
	switch {
	case n.gave:
	case !d.nodes.own:
		n.down()
		return true
	case d.written >= d.asked:
		n.gave = true
		n.keeper.GiveUp(nodeArea, func(err error) { d.box.put(gaveUp{err}) })
	}
	return false
}

// pause has the process stand still; its clock goes on.
func (n *simNode) pause(d time.Duration) {
	if !n.up || n.asleep != 0 {
		return
	}
	n.w.log("%s stands still for %v", n.name, d)
	n.w.r.pauses++
	n.asleep, n.wakes = n.w.now, n.w.now+int64(d)
	life, until := n.life, n.wakes
	n.w.in(d, func() {
		if n.up && n.life == life && n.wakes == until {
			n.resume()
		}
	})
}

func (n *simNode) resume() {
	if n.asleep == 0 {
		return
	}
	n.w.log("%s goes on", n.name)
	n.asleep, n.wakeAt = 0, 0
	later := n.later
	n.later = nil
	if n.w.rng.IntN(2) == 0 {
		n.pump()
	}
	for _, do := range later {
		do()
	}
	n.pump()
}

func (n *simNode) cut(d time.Duration) {
	n.w.log("%s is cut off for %v", n.name, d)
	n.w.r.cuts++
	n.away = n.w.now + int64(d)
	n.conn++
}

func (n *simNode) heal() {
	n.away = 0
	n.resume()
	if !n.up {
		n.w.in(time.Second, n.start)
	}
}

// tellAll has every node hear, each in its time, which nodes live.
func (n *simNode) tellAll(most time.Duration) {
	w := n.w
	for _, o := range w.nodes {
		w.in(w.upTo(most), func() {
			o.do(o.life, func() {
				var names []string
				for _, x := range w.nodes {
					if x.up {
						names = append(names, x.name)
					}
				}
				o.service.NodesLive(names)
				o.pump()
			})
		})
	}
}

// forge has heads look as if their owners had given the area up.
func (n *simNode) forge(heads []string) []string {
	if !n.w.bug.noWait {
		return heads
	}
	heads = slices.Clone(heads)
	for i, text := range heads {
		var h reign.Head
		if json.Unmarshal([]byte(text), &h) != nil || h.Owner == "" || h.Owner == n.name {
			continue
		}
		if h.Life == n.seen {
			h.Owner = ""
			b, _ := json.Marshal(h)
			heads[i] = string(b)
		}
		n.seen = h.Life
	}
	return heads
}
