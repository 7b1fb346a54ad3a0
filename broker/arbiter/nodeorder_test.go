package arbiter

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// nodeOrder is an order that a node of a nodeWorld has accepted. It outlives the node's
// processes, as on its disk.
type nodeOrder struct {
	work  area.Work
	at    *simNode
	end   area.OrderState
	plays []nodePlay
	heard string // who has answered a player first that its word is heard: it has played the order
}

// nodePlay is a full play of an order.
type nodePlay struct {
	by           area.DeviceID
	att          int
	began, ended int64
	known        bool // that it had been played before, to who granted it
}

// Report is the node's order service: it keeps the first end of an order, and says
// that it has it.
func (n *simNode) Report(r area.Report) {
	w := n.w
	w.log("%s has the report %s %s %s att %d %s", n.name, r.Work, r.State, r.Device, r.Att, r.Reason)
	o := w.orders[r.Work]
	if o.at != n {
		w.bad(&w.r.badEnds, "%s reports %s, which %s has accepted", n.name, r.Work, o.at.name)
		return
	}
	if !r.State.Ended() {
		return
	}
	switch o.end {
	case "":
		o.end = r.State
	case r.State:
	default:
		w.r.second++
		w.log("%s has ended %s already", r.Work, o.end)
	}
	life := n.life
	w.in(w.upTo(20*time.Millisecond), func() { n.do(life, func() { n.service.Stored(nodeArea, r.Work); n.pump() }) })
}

// submit has a node accept an order now and then.
func (w *nodeWorld) submit() {
	if w.calm {
		return
	}
	gap := 8 * time.Second
	if w.bug.orders {
		gap = 2 * time.Second
	}
	w.in(w.upTo(gap), w.submit)
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if !n.up || n.asleep != 0 || n.leaving {
		return
	}
	o := &nodeOrder{at: n, work: area.Work{ID: area.WorkID(fmt.Sprint("w-", len(w.ids))), Area: nodeArea, Prio: area.Normal, Redo: area.RedoRetry, IfBusy: area.BusyQueue,
		Dur: 20*time.Millisecond + w.upTo(300*time.Millisecond), Expires: n.wall().Add(5*time.Second + w.upTo(60*time.Second))}}
	switch w.rng.IntN(8) {
	case 0:
		o.work.Redo = area.RedoOnce
	case 1:
		o.work.IfBusy = area.BusySkip
	case 2:
		o.work.IfBusy = area.BusyInterrupt
	case 3:
		o.work.Prio = area.Emergency
	case 4:
		o.work.Device = w.devices[w.rng.IntN(len(w.devices))].id
	case 5: // longer than a lease
		o.work.Dur = w.lease/2 + w.upTo(2*w.lease)
	}
	w.orders[o.work.ID] = o
	w.ids = append(w.ids, o.work.ID)
	w.r.orders++
	n.accept(o)
	if w.rng.IntN(10) == 0 {
		_ = n.service.Cancel(context.Background(), o.work.ID, area.EndUser)
	}
	n.pump()
}

func (n *simNode) accept(o *nodeOrder) {
	if err := n.service.Submit(context.Background(), o.work); err != nil {
		panic(err)
	}
}

// again hands in what has no end, as the order service of a process does that starts.
func (n *simNode) again() {
	for _, id := range n.w.ids {
		if o := n.w.orders[id]; o.at == n && o.end == "" {
			n.accept(o)
		}
	}
}

// offered takes a work, unless the device has it or has played it.
func (d *nodeDevice) offered(o area.Offer) {
	switch {
	case d.turn == nil:
	case slices.Contains(d.played, o.Work):
		d.step(turn.Known{Work: o.Work, Att: o.Att})
	case slices.ContainsFunc(d.queue, func(w turn.Wish) bool { return w.Work == o.Work }):
	case d.wish.Work == o.Work && d.turn.Phase() != turn.Idle:
	default:
		d.step(turn.Take{Work: o.Work, Att: o.Att})
	}
}

// assigned notes a work for when the device is idle.
func (d *nodeDevice) assigned(a turn.Assigned) {
	d.queue = append(d.queue, turn.Wish{Work: a.Work, Att: a.Att, Prio: a.Prio, Dur: a.Dur})
	d.soon(0, d.want)
}

// journal notes what was played, as on the device's disk.
func (d *nodeDevice) journal(r area.Result) {
	if r != area.Played || d.wish.Work == "" {
		return
	}
	d.played = append(d.played, d.wish.Work)
	o := d.w.orders[d.wish.Work]
	o.plays = append(o.plays, nodePlay{d.id, d.wish.Att, d.began, d.w.now, d.known})
	if len(o.plays) > 1 {
		d.w.again(o)
	}
}

// again looks whether an order may have been played once more: at most once, by another
// device, and as a second attempt, since nobody had heard the first one say that it had
// played (§3.5, 4). What the server has forgotten is known to who lives.
func (w *nodeWorld) again(o *nodeOrder) {
	first, is := o.plays[0], o.plays[len(o.plays)-1]
	forgot := w.server.forgot > first.began
	w.log("TWICE %s: %+v, forgotten %v", o.work.ID, o.plays, forgot)
	switch {
	case len(o.plays) > 2:
		w.bad(&w.r.badPlays, "%s is played %d times", o.work.ID, len(o.plays))
	case first.by == is.by:
		w.bad(&w.r.badPlays, "%s plays %s twice", is.by, o.work.ID)
	case is.began < first.ended && !w.perNode:
		w.bad(&w.r.badPlays, "%s and %s play %s at once", first.by, is.by, o.work.ID)
	case forgot:
		w.r.forgotten++
	case o.work.Redo == area.RedoOnce:
		w.bad(&w.r.badPlays, "%s is played twice", o.work.ID)
	case is.known:
		w.bad(&w.r.badPlays, "%s plays %s, and %s was answered that it has", is.by, o.work.ID, first.by)
	case is.att < 2:
		w.bad(&w.r.badPlays, "%s plays %s once more, in attempt %d", is.by, o.work.ID, is.att)
	default:
		w.r.unheard++
	}
}

// answered notes that a device has heard that its word is: it has played an order.
func (d *nodeDevice) answered(a area.Answer) {
	if a.Op != area.OpReleased || a.Boot != d.boot || a.Claim != d.done.Claim || d.done.Work == "" {
		return
	}
	if o := d.w.orders[d.done.Work]; o.heard == "" {
		o.heard = a.From
	}
}

// nodeTold is how long words may take from a node that has joined the others.
const nodeTold = 15 * time.Second

// knew tells whether who has granted what begins to sound could know that it had been
// played: he has answered so himself, or he is all nodes, and the node that has is one of
// them.
func (d *nodeDevice) knew() bool {
	o := d.w.orders[d.wish.Work]
	if o == nil || o.heard == "" || o.heard == d.by {
		return o != nil && o.heard != ""
	}
	n := d.w.nodeOf(o.heard)
	return d.w.nodeOf(d.by) == nil && n != nil && n.up && !n.alone && d.w.now > n.since+int64(nodeTold)
}

// misorder breaks the rules of orders that a mutant breaks, before the process goes on.
func (n *simNode) misorder() {
	bug := n.w.bug
	if n.desk.core != nil {
		n.desk.core.mutant = bug.core
	}
	if bug.handsOnce {
		for _, one := range n.desk.nodes.post.works.order {
			one.taken = one.taken || one.sent != 0
		}
	}
	if bug.endsOnce {
		for _, e := range n.desk.nodes.city.ends {
			e.sent = n.clock()
		}
	}
}

// ends looks that each order has an end.
func (w *nodeWorld) ends() {
	for _, id := range w.ids {
		if o := w.orders[id]; o.end == "" {
			w.bad(&w.r.badEnds, "order %s of %s has no end", id, o.at.name)
		}
	}
}
