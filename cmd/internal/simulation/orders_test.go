package simulation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// The order service of the hub, and how its works go to a leader and their ends
// come back: each is said again every second until it is answered.

// mostQueued is how many orders a device takes before it plays; firmware has such a
// bound too.
const mostQueued = 2

// order is durable at the hub.
type order struct {
	work    area.Work
	expires int64
	end     area.OrderState // empty: none yet
	begun   int             // times that it began to sound
	full    int             // times that it was played to the end

	owner  *member // the leader in whose hands it is; nil: the hub's own
	life   int     // of that leader
	handed bool    // and it has said so
	maybe  bool    // another leader had it, and may have had it played
	att    int     // as far as the hub knows; 0: nobody had it
	given  *area.Assignment
}

// due is what a member has to tell the hub until it has heard it; durable.
type due struct {
	report area.Report
}

// submit hands in an order now and then.
func (w *world) submit() {
	if w.calm {
		return
	}
	w.in(w.upTo(6*time.Second), w.submit)
	if !w.hub.alive || w.hub.vacant {
		return
	}
	o := &order{work: area.Work{ID: area.WorkID(fmt.Sprint("w", len(w.orders))), Area: north, Prio: area.Normal, Redo: area.RedoRetry, IfBusy: area.BusyQueue,
		Dur: 100*time.Millisecond + w.upTo(2*time.Second)}, expires: w.now + int64(10*time.Second+w.upTo(2*time.Minute))}
	switch w.rng.IntN(6) {
	case 0:
		o.work.Redo = area.RedoOnce
	case 1:
		o.work.Prio = area.Emergency
	case 2:
		o.work.Device = w.members[w.rng.IntN(len(w.members))].id
	}
	w.orders = append(w.orders, o)
	w.r.orders++
	if w.hub.arb != nil {
		w.hub.take(o)
	} else {
		o.owner, o.life = w.hub.leader, w.hub.lifeOf
	}
}

func (w *world) order(id area.WorkID) *order {
	n, err := strconv.Atoi(strings.TrimPrefix(string(id), "w"))
	if err != nil {
		panic(err)
	}
	return w.orders[n]
}

// open are the orders without an end.
func (w *world) open() (list []*order) {
	for _, o := range w.orders[min(w.closed, len(w.orders)):] {
		if o.end == "" {
			list = append(list, o)
		}
	}
	for w.closed < len(w.orders) && w.orders[w.closed].end != "" {
		w.closed++
	}
	return list
}

// take gives an order to the hub's own arbiter.
func (h *hub) take(o *order) {
	o.owner, o.handed = nil, false
	a := h.arb
	a.step(arbiter.Submit{Work: o.work, Expires: a.now().Add(time.Duration(o.expires - h.w.now)), Att: o.att, Given: o.given})
}

// takeAll gives the hub's own orders to its arbiter; what a leader has stays his.
func (h *hub) takeAll() {
	for _, o := range h.w.open() {
		if o.owner == nil {
			h.take(o)
		}
	}
}

// handAll puts all orders into the hands of a leader that the hub follows from now
// on, with what it knows of them.
func (h *hub) handAll(left []arbiter.Submit) {
	for _, s := range left {
		o := h.w.order(s.Work.ID)
		o.att, o.given = s.Att, s.Given
	}
	for _, o := range h.w.open() {
		if !h.w.bug.keepsWorks || o.owner == nil {
			o.maybe = o.maybe || o.handed
			o.owner, o.life, o.handed = h.leader, h.lifeOf, false
		}
	}
}

// hand says the works that the leader has not acknowledged.
func (h *hub) hand() {
	m := h.leader
	if h.vacant || h.arb != nil || m == nil || m.arb == nil || m.life != h.lifeOf || !m.trunk() {
		return
	}
	a := m.arb
	for _, o := range h.w.open() {
		if o.owner != m || o.life != m.life || o.handed {
			continue
		}
		ttl, att, given, maybe := time.Duration(o.expires-h.w.now), max(o.att, 1), o.given, o.maybe
		h.w.in(2*h.w.delay(), func() {
			if m.arb != a || !m.trunk() {
				return
			}
			a.step(arbiter.Submit{Work: o.work, Expires: a.now().Add(ttl), Att: att, Given: given, Maybe: maybe})
			h.w.in(2*h.w.delay(), func() {
				if h.alive && m.trunk() && o.owner == m && o.life == m.life {
					o.handed = true
				}
			})
		})
	}
}

// ends takes in the end of an order; the first counts.
func (h *hub) ends(r area.Report) {
	o := h.w.order(r.Work)
	switch {
	case o.end == "":
		o.end = r.State
		h.w.log("%s ends %s %s", r.Work, r.State, r.Reason)
		h.w.judge(o, r.Reason)
		h.stored(o)
	case o.end != r.State:
		h.w.r.merged++ // two arbiters have seen different ends
	}
}

// merge takes in the end that a member reports: of an order that another leader has
// by now it counts only if that was played.
func (h *hub) merge(m *member, r area.Report) {
	if o := h.w.order(r.Work); o.owner == m || o.owner == nil || r.State == area.OrderPlayed {
		h.ends(r)
	}
}

// own hears the reports of the hub's own arbiter.
func (h *hub) own(a *arb, r area.Report) {
	if !r.State.Ended() {
		return
	}
	if o := h.w.order(r.Work); o.end != "" && o.end != r.State && o.owner == nil {
		h.w.bad(&h.w.r.badEnds, "%s has ended %s and %s", r.Work, o.end, r.State)
	}
	h.ends(r)
	h.w.in(0, func() { a.step(arbiter.Stored{Work: r.Work}) })
}

// reported keeps what a leader's arbiter reports, until the hub has it.
func (m *member) reported(r area.Report) {
	if r.State.Ended() && (m.trunk() || !m.w.bug.reportsOnce) {
		m.dues = append(m.dues, due{r})
	}
}

// report tells the hub each second the ends that it has not got, leading or not.
func (m *member) report() {
	m.soon(time.Second, m.report)
	if !m.trunk() {
		return
	}
	for _, d := range slices.Clone(m.dues) {
		m.soon(2*m.w.delay(), func() {
			if !m.trunk() || !m.w.hub.alive || m.w.hub.vacant {
				return
			}
			m.w.hub.merge(m, d.report)
			m.soon(2*m.w.delay(), func() {
				m.dues = slices.DeleteFunc(m.dues, func(x due) bool { return x.report.Work == d.report.Work })
				if m.arb != nil {
					m.arb.step(arbiter.Stored{Work: d.report.Work})
				}
			})
		})
	}
}

// stored tells the leader that an order has its end: nobody is to play it any more.
func (h *hub) stored(o *order) {
	m := h.leader
	if h.vacant || h.arb != nil || m == nil || m.arb == nil || !m.trunk() {
		return
	}
	a := m.arb
	h.w.in(2*h.w.delay(), func() {
		if m.arb == a && m.trunk() {
			a.step(arbiter.Ended{Report: area.Report{Work: o.work.ID, State: area.OrderPlayed}})
			a.step(arbiter.Stored{Work: o.work.ID})
		}
	})
}

// judge looks whether the end of an order is what was heard of it.
func (w *world) judge(o *order, reason string) {
	switch {
	case o.end == area.OrderPlayed && o.full == 0:
		w.bad(&w.r.badEnds, "%s is played, and nobody has heard it whole", o.work.ID)
	case o.end == area.OrderExpired && o.full > 0:
		w.bad(&w.r.badEnds, "%s is expired, and was heard", o.work.ID)
	case o.full > 1 && o.work.Redo == area.RedoOnce:
		w.bad(&w.r.badEnds, "%s may sound once, and was heard %d times", o.work.ID, o.full)
	case o.end == area.OrderFailed && o.begun == 0 && reason != area.EndNoDevice:
		w.r.unsounded++
	}
}

// setAside keeps a wish that the arbiter does not know, as firmware does.
func (m *member) setAside(wish turn.Wish) {
	if wish.Work == "" || len(m.aside) > mostQueued {
		return
	}
	m.aside = append(m.aside, wish)
	m.soon(10*time.Second, m.takeUp)
}

// takeUp wants again what was set aside.
func (m *member) takeUp() {
	for _, x := range m.aside {
		if m.w.now < m.w.order(x.Work).expires {
			m.queue = append(m.queue, x)
		}
	}
	m.aside = nil
	m.wishIn(0)
}

// held out to the device.
func (m *member) offered(o area.Offer) {
	m.aside = slices.DeleteFunc(m.aside, func(x turn.Wish) bool { return x.Work == o.Work })
	switch {
	case slices.Contains(m.played[max(0, len(m.played)-256):], o.Work):
		m.step(turn.Known{Work: o.Work, Att: o.Att})
	case slices.ContainsFunc(m.queue, func(x turn.Wish) bool { return x.Work == o.Work && x.Att >= o.Att }):
	case m.wish.Work == o.Work && m.turn.Phase() != turn.Idle:
	case len(m.queue) >= mostQueued:
	default:
		m.queue = slices.DeleteFunc(m.queue, func(x turn.Wish) bool { return x.Work == o.Work })
		m.step(turn.Take{Work: o.Work, Att: o.Att})
	}
}

// journal notes that an order was played to its end.
func (m *member) journal() {
	id := m.wish.Work
	if id == "" {
		return
	}
	m.played = append(m.played, id)
	o := m.w.order(id)
	if o.full++; o.full == 2 {
		m.w.r.twice++
	}
}

// checkOrders: each has its end.
func (w *world) checkOrders() {
	for _, o := range w.open() {
		w.bad(&w.r.badEnds, "%s has no end", o.work.ID)
	}
}
