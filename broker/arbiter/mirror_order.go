package arbiter

import (
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	mostComing = 256  // orders of the leader that wait to be written down; one more is not heard, and said again
	mostUnsaid = 1024 // ends that a silent leader has yet to hear of; the oldest goes
)

// order takes in an order that came to the leader, which goes on with it. It is in
// his hands from now on: that is written down before the order service has it, so
// that a hub which starts in between leaves it there.
func (m *mirror) order(t area.Trunk) {
	w := &m.works
	if len(w.coming) >= mostComing {
		return
	}
	r := t.Report.Report(m.cfg.area)
	a := w.by[r.Work]
	if a == nil {
		a = &away{ev: Submit{Work: area.Work{ID: r.Work}}}
		w.add(a)
	}
	if a.to != m.leader || !a.taken {
		a.to, a.taken, a.written = m.leader, true, m.kept.next()
		m.kept.changed = true
	}
	m.goes(a, r)
	w.coming = append(w.coming, adopt{order: *t.Order, report: r, receipt: receipt{m.leader, t.N}})
}

// welcome has the orders adopted that are written down.
func (m *mirror) welcome() {
	w := &m.works
	w.coming = slices.DeleteFunc(w.coming, func(c adopt) bool {
		a := w.by[c.order.ID]
		if a != nil && !m.kept.has(a.written) {
			return false
		}
		m.do(c)
		return true
	})
}

// adopted answers the report of an order that came to a leader. One that the order
// service does not have is in nobody's hands, as far as the hub is concerned.
func (m *mirror) adopted(ev adopted) {
	if ev.err == nil {
		m.send(ev.to, area.Trunk{Op: area.TrunkGot, N: ev.n})
		return
	}
	if a := m.works.by[ev.work]; a != nil && !a.known {
		m.works.remove(ev.work)
		m.kept.changed = true
	}
}

// unsay remembers the end of a work for the leader that has it and is silent: he is
// not to go on with it.
func (m *mirror) unsay(a *away) {
	w := &m.works
	if a.to == "" || m.live() && a.to == m.leader {
		return
	}
	if len(w.unsaid) >= mostUnsaid {
		w.unsaid = slices.Delete(w.unsaid, 0, 1)
	}
	w.unsaid = append(w.unsaid, a.ev.Work.ID)
}

// sayEnds tells the leader what has ended while nobody could; he listens once his
// lead is accepted.
func (m *mirror) sayEnds() {
	if m.asked {
		return
	}
	for _, id := range m.works.unsaid {
		m.down(area.Trunk{Op: area.TrunkStored, Work: id})
	}
	m.works.unsaid = nil
}
