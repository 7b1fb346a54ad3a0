package arbiter

import (
	"cmp"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	mostHanded  = 32   // works that are sent in one step
	mostUnheard = 4096 // works that are handed in soon; of one more it is not known who had it
	mostPending = 4096 // reports that wait for their end to be durable; of one more the leader hears nothing, and says it again
)

// mirrorWorks are the works that are in a leader's hands, or go there.
type mirrorWorks struct {
	by      map[area.WorkID]*away
	order   []*away
	unheard []workRecord // what is known of works that nobody has handed in since the start, or that were adopted just now
	played  hearsay
	pending map[area.WorkID][]receipt
	coming  []adopt       // orders of the leader, to be adopted once they are written down
	unsaid  []area.WorkID // ends that the leader has yet to hear of; the oldest first
	waiting int           // of pending, in all
	n       uint64
}

// away is a work that the area's leader is to see to. It ends by a report of the
// leader, or of one after it, or by its device's own word.
type away struct {
	ev      Submit // with what is known of it
	known   bool   // handed in since the start: there is something to hand on
	to      area.DeviceID
	n       uint64 // of the message
	written uint64 // it may be sent once this record is durable
	taken   bool   // the leader has it durably
	sent    area.Instant
	cancel  string       // somebody has taken it back
	told    area.Instant // when that was sent
	state   area.OrderState
}

// receipt is a report whose end waits to be durable.
type receipt struct {
	to area.DeviceID
	n  uint64
}

// adopted answers adopt.
type adopted struct {
	receipt
	work area.WorkID
	err  error
}

func (adopted) event() {}

// newMirrorWorks starts with the works of a record: in the hands of whoever had
// them.
func newMirrorWorks(list []ledWork) mirrorWorks {
	w := mirrorWorks{by: map[area.WorkID]*away{}, pending: map[area.WorkID][]receipt{}}
	for _, r := range list {
		w.add(&away{ev: Submit{Work: area.Work{ID: r.Work}, Att: r.Att, Reason: r.Reason, Given: r.given()}, to: r.To, state: area.OrderAssigned})
	}
	return w
}

func (w *mirrorWorks) add(a *away) {
	w.n++
	a.n = w.n
	w.by[a.ev.Work.ID] = a
	w.order = append(w.order, a)
}

func (w *mirrorWorks) remove(id area.WorkID) {
	delete(w.by, id)
	w.order = slices.DeleteFunc(w.order, func(a *away) bool { return a.ev.Work.ID == id })
}

// submit takes in a work that is, or goes, into the leader's hands; it answers
// false for one that is the core's.
func (m *mirror) submit(ev Submit) bool {
	if a := m.works.by[ev.Work.ID]; a != nil {
		a.known, a.ev.Work, a.ev.Expires = true, ev.Work, ev.Expires
		return true
	}
	if m.leader == "" {
		return false
	}
	m.works.take(m, m.works.recall(ev))
	return true
}

// take has a work handed over, once the record has it.
func (w *mirrorWorks) take(m *mirror, ev Submit) {
	if w.by[ev.Work.ID] != nil {
		return
	}
	ev.Att = max(ev.Att, 1)
	w.add(&away{ev: ev, known: true, written: m.kept.next()})
	m.kept.changed = true
}

// recall adds what is known of a work from before the start.
func (w *mirrorWorks) recall(ev Submit) Submit {
	i := slices.IndexFunc(w.unheard, func(r workRecord) bool { return r.Work == ev.Work.ID })
	if i < 0 || ev.Att > 0 {
		return ev
	}
	r := w.unheard[i]
	w.unheard = slices.Delete(w.unheard, i, i+1)
	ev.Att, ev.Reason, ev.Given = r.Att, r.Reason, ledWork{workRecord: r}.given()
	return ev
}

// inherit takes over what our core left.
func (w *mirrorWorks) inherit(m *mirror, y Yielded) {
	w.unheard = y.unheard
	for _, ev := range y.Works {
		w.take(m, ev)
	}
}

// anew has everything handed over again: to another leader, or another start. What
// became of a work in the hands that it was in may not have been heard.
func (w *mirrorWorks) anew() {
	for _, a := range w.order {
		a.taken, a.sent, a.told = false, 0, 0
		a.ev.Maybe = a.ev.Maybe || a.to != ""
	}
}

// cancel takes a work back; it answers false for one that is not in the leader's
// hands.
func (w *mirrorWorks) cancel(m *mirror, ev Cancel) bool {
	a := w.by[ev.Work]
	if a == nil {
		return false
	}
	if a.to == "" { // it was never sent
		w.remove(ev.Work)
		m.kept.changed = true
		m.do(Report{Report: area.Report{Work: ev.Work, Area: m.cfg.area, State: area.OrderCancelled, Att: a.ev.Att, Reason: ev.Reason}})
		return true
	}
	a.cancel = ev.Reason
	return true
}

// handOver sends what the leader has not taken yet.
func (m *mirror) handOver() {
	m.welcome()
	if !m.live() {
		return
	}
	m.sayEnds()
	room := mostHanded
	for _, a := range m.works.order {
		if a.cancel != "" && a.due(a.told, m.now) {
			a.told = m.now
			m.down(area.Trunk{Op: area.TrunkCancel, Work: a.ev.Work.ID, Reason: a.cancel})
		}
		if room == 0 || a.taken || !a.known || !m.kept.has(a.written) || !a.due(a.sent, m.now) {
			continue
		}
		room--
		a.to, a.sent = m.leader, m.now
		m.down(area.Trunk{Op: area.TrunkSubmit, N: a.n, Handed: a.handed(m.now)})
	}
}

func (a *away) due(last, now area.Instant) bool { return last == 0 || now >= last.Add(handEvery) }

func (a *away) handed(now area.Instant) *area.Handed {
	w := a.ev.Work
	h := area.Hand(w, time.Time{})
	h.Att, h.Reason, h.Given, h.Maybe, h.TTLMs = a.ev.Att, a.ev.Reason, a.ev.Given, a.ev.Maybe, -1
	if a.ev.Expires != area.Never {
		h.TTLMs = max(0, a.ev.Expires.Sub(now)).Milliseconds()
	}
	return &h
}

// next is when something is to be sent again.
func (w *mirrorWorks) next() area.Instant {
	next := area.Never
	for _, a := range w.order {
		if !a.taken && a.known && a.sent != 0 {
			next = min(next, a.sent.Add(handEvery))
		}
		if a.cancel != "" && a.told != 0 {
			next = min(next, a.told.Add(handEvery))
		}
	}
	return next
}

// submitted notes that the leader has a work durably.
func (w *mirrorWorks) submitted(m *mirror, t area.Trunk) {
	if a := w.by[t.Work]; a != nil && a.n == t.N && !a.taken {
		a.taken = true
		m.counts.Handed++
	}
}

// linger shows the works of a silent leader as assigned: it may be doing them,
// whatever their expiry (§8.13).
func (w *mirrorWorks) linger(m *mirror) {
	for _, a := range w.order {
		if a.to != "" && a.state != area.OrderAssigned && a.state != area.OrderPlaying {
			a.state = area.OrderAssigned
			m.do(Report{Report: area.Report{Work: a.ev.Work.ID, Area: m.cfg.area, State: area.OrderAssigned, Att: a.ev.Att}})
		}
	}
}

// back gives the core what a device has given back, and what was never sent to
// any.
func (w *mirrorWorks) back(m *mirror, from area.DeviceID) {
	for _, a := range slices.Clone(w.order) {
		if a.to != "" && a.to != from {
			continue
		}
		w.remove(a.ev.Work.ID)
		m.kept.changed = true
		switch {
		case !a.known:
			w.unheard = append(w.unheard, ledWork{}.of(a).workRecord)
		case a.cancel != "" && a.ev.Given == nil:
			m.do(Report{Report: area.Report{Work: a.ev.Work.ID, Area: m.cfg.area, State: area.OrderCancelled, Att: a.ev.Att, Reason: a.cancel}})
		default:
			m.do(toCore{a.ev})
			if a.cancel != "" {
				m.do(toCore{Cancel{Work: a.ev.Work.ID, Reason: a.cancel}})
			}
		}
	}
}

// report merges what a member says became of a work. The first end counts; one
// that another leader has by now ends only by having been played.
func (m *mirror) report(d area.DeviceID, t area.Trunk) {
	r := t.Report.Report(m.cfg.area)
	a := m.works.by[r.Work]
	if t.Order != nil && !r.State.Ended() {
		r = m.works.met(r, t.Handed)
	}
	current := a == nil || a.to == "" || a.to == d
	switch {
	case !current && r.State != area.OrderPlayed, a == nil && t.Order == nil && !r.State.Ended():
		m.send(d, area.Trunk{Op: area.TrunkGot, N: t.N})
		return
	case r.State.Ended():
		if a == nil && t.Order == nil && r.State == area.OrderPlayed {
			m.works.played.note(r)
		}
		m.ended(receipt{d, t.N}, r, a, t.Order)
		return
	case a != nil:
		m.goes(a, r)
	}
	if t.Order != nil {
		m.do(adopt{order: *t.Order, report: r, receipt: receipt{d, t.N}})
		return
	}
	m.do(Report{Report: r})
	m.send(d, area.Trunk{Op: area.TrunkGot, N: t.N})
}

// met is a report of an order that is adopted with what is known of it: that it was
// played, while who had accepted it could not say so; else who has it, for when it
// is handed in.
func (w *mirrorWorks) met(r area.Report, h *area.Handed) area.Report {
	if p, was := w.played.take(r.Work); was {
		p.Att = max(p.Att, r.Att)
		return p
	}
	known := slices.ContainsFunc(w.unheard, func(u workRecord) bool { return u.Work == r.Work })
	if h == nil || known || w.by[r.Work] != nil || len(w.unheard) >= mostUnheard {
		return r
	}
	u := workRecord{Work: h.Work, Att: h.Att, Reason: h.Reason, DurMs: h.DurMs}
	if g := h.Given; g != nil {
		u.Device, u.MID, u.Boot = g.Device, g.MID, g.Boot
	}
	w.unheard = append(w.unheard, u)
	return r
}

// goes notes how far a work has come.
func (m *mirror) goes(a *away, r area.Report) {
	was := a.ev
	a.state, a.ev.Att, a.ev.Reason, a.ev.Given = r.State, max(r.Att, a.ev.Att), r.Reason, nil
	if r.Device != "" && (r.State == area.OrderAssigned || r.State == area.OrderPlaying) {
		a.ev.Given = &area.Assignment{Device: r.Device, MID: r.MID, Boot: r.Boot}
	}
	same := was.Given == nil && a.ev.Given == nil || was.Given != nil && a.ev.Given != nil && *was.Given == *a.ev.Given
	m.kept.changed = m.kept.changed || !same || was.Att != a.ev.Att
}

// ended takes the end of a work in. The report is got when the order service has
// it.
func (m *mirror) ended(from receipt, r area.Report, a *away, o *area.Order) {
	if a != nil {
		m.counts.Merged++
		if a.to != from.to {
			m.unsay(a)
		}
		m.works.remove(r.Work)
		m.kept.changed = true
	}
	if r.State == area.OrderPlayed && (a != nil || o != nil) {
		m.do(played{r.Device, r.Work})
	}
	if m.leader == "" {
		m.do(toCore{Ended{Report: r}})
	}
	if o != nil {
		m.do(adopt{order: *o, report: r, receipt: from})
		return
	}
	m.works.wait(r.Work, from)
	m.do(Report{Report: r})
}

// wait notes that a report is to be answered once its end is durable.
func (w *mirrorWorks) wait(id area.WorkID, from receipt) {
	if w.waiting < mostPending && !slices.Contains(w.pending[id], from) {
		w.pending[id] = append(w.pending[id], from)
		w.waiting++
	}
}

// stored answers the reports of an end that is durable by now.
func (m *mirror) stored(id area.WorkID) {
	if a := m.works.by[id]; a != nil {
		m.unsay(a)
		m.works.remove(id)
		m.kept.changed = true
	}
	for _, r := range m.works.pending[id] {
		m.send(r.to, area.Trunk{Op: area.TrunkGot, N: r.n})
	}
	m.works.waiting -= len(m.works.pending[id])
	delete(m.works.pending, id)
}

// doneHere hears a device itself say that it has played a work that its leader
// has not reported, since that is silent or gone.
func (m *mirror) doneHere(ev Heard, unknown bool) {
	c := ev.Claim
	a := m.works.by[c.Work]
	if c.Op != area.OpDone || c.Result != area.Played || c.Work == "" || m.live() && !unknown {
		return
	}
	if a == nil {
		if unknown {
			m.works.played.note(area.Report{Work: c.Work, Area: m.cfg.area, State: area.OrderPlayed, Device: ev.Device, Att: c.Att})
		}
		return
	}
	m.unsay(a)
	m.works.remove(c.Work)
	m.kept.changed = true
	m.counts.Merged++
	m.do(played{ev.Device, c.Work})
	m.do(Report{Report: area.Report{Work: c.Work, Area: m.cfg.area, State: area.OrderPlayed, Device: ev.Device, Att: cmp.Or(c.Att, a.ev.Att)}})
}
