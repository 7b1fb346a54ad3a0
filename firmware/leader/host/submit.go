package host

import (
	"context"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/order"
)

// hubWait is for how long who hands an order in waits for the hub to have it too. It
// is durable here by then, and told again until the hub has it.
const hubWait = 2 * time.Second

// submit makes an order of a work. Where the hub follows us it is durable there too
// when submit answers, so that whoever leads next goes on with it if this device is
// no more; where the hub cannot be reached, or does not answer, it is durable here.
func (w *reign) submit(ctx context.Context, s area.Submit) error {
	if err := w.orders.Submit(ctx, w.area, s); err != nil || !w.line.accepted.Load() {
		return err
	}
	heard := w.own.heard(s.Work)
	defer w.own.unheard(s.Work, heard)
	if r, ok := w.own.Get(s.Work); ok && !r.Order.State.Ended() && !w.out.has("own/"+string(s.Work)) {
		w.oweLive(r)
	}
	over := time.NewTimer(w.hubWait)
	defer over.Stop()
	select {
	case <-heard:
	case <-over.C:
		w.Log.Warn("an order is kept here alone, the hub does not answer", "work", s.Work, "area", w.area)
	case <-ctx.Done():
	}
	return nil
}

// ours tells whether an order was handed in here, and is gone on with here.
func (w *reign) ours(id area.WorkID) bool {
	if w.own.knows(id) == toldAway {
		return false
	}
	_, err := w.orders.Get(id)
	return err == nil
}

// ordered hears of each change of an order of this device, and owes the hub its
// state: to one that does not follow us its end alone.
func (w *reign) ordered(o area.Order) {
	if o.State.Ended() {
		delete(w.told, o.ID)
		w.arbiter.Stored(o.Area, o.ID)
		w.oweOrder(o)
		return
	}
	if r, ok := w.own.Get(o.ID); ok && w.line.accepted.Load() && w.changed(o) {
		r.Order = o
		w.oweLive(r)
	}
}

// stands is as much of an order as the hub is told of as it changes.
type stands struct {
	state          area.OrderState
	att            int
	device, reason string
}

// changed tells whether more has changed of an order than when it may begin. It is
// called from one goroutine.
func (w *reign) changed(o area.Order) bool {
	now := stands{state: o.State, att: o.Attempt}
	if o.Device != nil {
		now.device = string(*o.Device)
	}
	if o.Reason != nil {
		now.reason = *o.Reason
	}
	was, known := w.told[o.ID]
	w.told[o.ID] = now
	return !known || was != now
}

// tellOrders tells the hub of the orders that go on here: it has begun to follow us.
func (w *reign) tellOrders() {
	for _, r := range w.own.Live() {
		if o, err := w.orders.Get(r.Order.ID); err == nil && !o.State.Ended() {
			w.oweLive(order.Record{Order: o, Location: r.Location, Device: r.Device})
		}
	}
}

// gate makes an order of a work that is handed in here, before its PUBACK goes
// out.
func (w *reign) gate(ctx context.Context) (cancel func()) {
	return w.broker.Gate(area.SubmitTopic("+"), func(m area.Message) error {
		sub, err := area.ParseSubmit(m.Payload)
		in := area.ParseTopic(m.Topic).Area
		switch {
		case err != nil:
		case ctx.Err() != nil:
			err = area.Errorf(area.CodeDraining, "this device no longer leads the area")
		case in != w.area:
			err = area.Errorf(area.CodeUnknownArea, "no area %s at the leader of %s", in, w.area)
		case w.hubs(sub.Work): // a known id is ignored
		default:
			err = w.submit(ctx, sub)
		}
		if err != nil {
			w.Log.Warn("submit refused", "topic", m.Topic, "work", sub.Work, "err", err)
			if sub.Work != "" {
				w.arbiter.Post(area.Message{Topic: area.ResponseTopic(string(sub.Work)), Payload: area.ErrorPayload(err), QoS: 1})
			}
		}
		return err
	})
}
