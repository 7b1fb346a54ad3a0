package host

import (
	"encoding/json"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/order"
	"github.com/tacet-hub/tacet/broker/proof"
)

// What the hub is owed, by kind.

// oweWork owes the newest state of a work of the hub, or its end.
func (h *Host) oweWork(r area.Report, at time.Time) {
	ago := max(0, h.Now().Sub(at))
	t := area.Trunk{Op: area.TrunkReport, Area: r.Area, Report: r.Reported(0)}
	state, end := "work/"+string(r.Work), "end/"+string(r.Work)
	if !r.State.Ended() {
		h.out.put(state, t, ago, nil)
		return
	}
	h.out.put(end, t, ago, func() { h.works.forget(r.Work) }, state)
}

// owePlayed owes the word of a device that it has played a work which nobody here
// knows.
func (h *Host) owePlayed(r area.Report) {
	key := "end/" + string(r.Work)
	if !h.out.has(key) { // the device may say it again
		h.out.putKept(key, area.Trunk{Op: area.TrunkReport, Area: r.Area, Report: r.Reported(0)}, h.Now().UnixMilli())
	}
}

// oweOrder owes an order that was taken and has ended here.
func (h *Host) oweOrder(o area.Order) {
	ago := time.Duration(0)
	if o.EndedAt != nil {
		ago = max(0, h.Now().Sub(o.EndedAt.Time))
	}
	t := area.Trunk{Op: area.TrunkReport, Area: o.Area, Report: h.own.reported(o).Reported(0), Order: &o}
	h.out.put("own/"+string(o.ID), t, ago, func() { h.own.tell(o.ID, toldEnd, nil) })
}

// oweLive owes an order that was taken here and goes on here, as it stands. It is said
// while the hub follows us, and not to one that does not.
func (h *Host) oweLive(r order.Record) {
	o, hand := r.Order, h.own.handOf(r, h.Now())
	t := area.Trunk{Op: area.TrunkOrder, Area: o.Area, Report: h.own.reported(o).Reported(0), Order: &o, Handed: &hand}
	h.out.put("own/"+string(o.ID), t, 0, func() { h.own.tell(o.ID, toldKnown, nil) })
}

// handOver owes the orders that nobody here goes on with, while it does not lead:
// the hub shall. That it may have them is on disk before it is told, so that a
// reign that begins meanwhile leaves them alone.
func (h *Host) handOver() {
	if h.Leads() || !h.Link.Up() || !h.leads.TryLock() {
		return
	}
	defer h.leads.Unlock()
	for _, r := range h.own.Live() {
		h.own.tell(r.Order.ID, toldAway, h.out.poke)
	}
	for _, r := range h.own.away() {
		key := "away/" + string(r.Order.ID)
		if h.out.has(key) {
			continue
		}
		o, hand := r.Order, h.own.handOf(r, h.Now())
		t := area.Trunk{Op: area.TrunkReport, Area: o.Area, Report: h.own.reported(o).Reported(0), Order: &o, Handed: &hand}
		h.out.put(key, t, 0, func() { h.own.gone(o.ID) })
	}
}

// Owes tells whether the hub is to be told something yet, or to go on with an order of
// this device: whether Run has something to do.
func (h *Host) Owes() bool {
	return h.out.len() > 0 || len(h.own.Live()) > 0 || len(h.own.away()) > 0
}

// owes tells whether something of a work waits.
func (o *outbox) owes() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.list {
		if m.t.Op == area.TrunkReport {
			return true
		}
	}
	return false
}

// has tells whether a message of the key waits.
func (o *outbox) has(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.list {
		if m.key == key {
			return true
		}
	}
	return false
}

// Note takes a record of what was granted or sounded: it is kept here, and the hub
// is owed it. It is the witness of a reign, and does not block.
func (h *Host) Note(a area.Name, r proof.Record) {
	h.proof.Note(a, r)
	r.T = h.Now().UnixMilli()
	r.Node = string(h.cfg.Device)
	b, err := json.Marshal(r)
	if err != nil {
		panic("leader: " + err.Error()) // numbers and texts always have JSON
	}
	h.out.putKept("", area.Trunk{Op: area.TrunkRecord, Area: a, Record: b}, r.T)
}
