package hubd

import (
	"context"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/window"
	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/order"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/scheduler"
)

// links shows the arbiter the broker's connections.
type links struct{ b *broker.Broker }

func (l links) Disconnect(client, reason string) bool { return l.b.Disconnect(client, reason) }

func (l links) Connections(ended func(conn uint64, reason string)) (cancel func()) {
	return l.b.Connections(func(e broker.ConnEvent) {
		if !e.Up {
			ended(e.Conn, presenceReason(e.Reason))
		}
	})
}

// presenceReason is how a connection's end is told as a device's presence.
func presenceReason(end string) string {
	switch end {
	case broker.Goodbye:
		return area.PresentGoodbye
	case broker.Lost:
		return area.PresentWill
	case broker.TakenOver:
		return area.PresentTakenOver
	}
	return area.PresentTimeout
}

// firings is the orders as the scheduler makes them.
type firings struct{ *order.Service }

func (f firings) Accept(ctx context.Context, r area.OrderRequest, by scheduler.By) (area.Order, error) {
	return f.Service.Accept(ctx, r, order.By{Who: "schedule:" + by.Schedule, Schedule: by.Schedule, IdempotencyKey: by.Key})
}

func (f firings) DryRun(ctx context.Context, r area.OrderRequest) (area.Order, error) {
	return f.Service.DryRun(ctx, r, order.By{})
}

// groups sends the bridge's events to the hub's groups.
type groups struct{ s *signalr.Server }

func (g groups) Send(group, event string, args ...any) { g.s.Group(group).Send(event, args...) }

func (g groups) SendLatest(group, event, key string, args ...any) {
	g.s.Group(group).SendLatest(event, key, args...)
}

// hereGroups sends events of what every node knows by itself: to this node's own
// connections, and to nodes that have no broker.
type hereGroups struct {
	s    *signalr.Server
	also *window.Source // nil: there are no other nodes
}

func (g hereGroups) Send(group, event string, args ...any) {
	g.s.Group(group).Here().Send(event, args...)
	g.also.Send(group, event, args...)
}

func (g hereGroups) SendLatest(group, event, key string, args ...any) {
	g.s.Group(group).Here().SendLatest(event, key, args...)
	g.also.SendLatest(group, event, key, args...)
}

// burst is groups for the pump, which sends what comes together together.
type burst struct {
	b    *signalr.Burst
	also *window.Source
}

func (x burst) Send(group, event string, args ...any) { x.b.Group(group).Send(event, args...) }

func (x burst) SendLatest(group, event, key string, args ...any) {
	x.b.Group(group).Here().SendLatest(event, key, args...) // what a node's own broker has
	x.also.SendLatest(group, event, key, args...)
}

func (x burst) Flush() { x.b.End() }

// renderer knows how long an order will sound: what the chimes and the clip
// last, and what speaking the text takes, by estimate until it was spoken. The
// device that plays it measures.
type renderer struct{ h *Hub }

func (x renderer) Duration(r area.OrderRequest) (time.Duration, error) {
	chime, err := media.ChimeLength(r.Chime)
	if err != nil {
		return 0, area.InvalidField("chime", "%.40q is none of %s", r.Chime, strings.Join(media.Chimes(), ", "))
	}
	var said time.Duration
	switch {
	case r.Clip != nil:
		if said, err = x.h.clipLength(*r.Clip); err != nil {
			return 0, err
		}
	case r.Message != nil:
		said = x.h.voice.Length(*r.Message, r.Languages)
	}
	repeat := 1
	if r.Repeat != nil {
		repeat = *r.Repeat
	}
	return media.AnnounceLength(chime, said, repeat), nil
}

// announcer is the order service as hub calls see it.
type announcer struct{ h *Hub }

func (a announcer) Announce(ctx context.Context, req area.OrderRequest, who string, may func(area.Name) error) (area.Accepted, error) {
	o, err := a.h.orders.Accept(ctx, req, order.By{Who: who, May: may})
	if err != nil {
		return area.Accepted{}, err
	}
	return o.Accepted(), nil
}

func (a announcer) Find(ctx context.Context, id area.WorkID) (area.Order, error) {
	return a.h.orders.Find(ctx, id)
}

func (a announcer) Cancel(ctx context.Context, id area.WorkID) (area.Order, error) {
	return a.h.orders.Cancel(ctx, id)
}

func (a announcer) StopArea(ctx context.Context, in area.Name) (any, error) {
	return stopper{a.h.orders, a.h}.StopArea(ctx, in, true)
}

func (a announcer) StopAll(ctx context.Context) (any, error) {
	return stopper{a.h.orders, a.h}.StopAll(ctx, true)
}

// stopper is the order service, whose stops also stop what sounds without an
// order.
type stopper struct {
	*order.Service
	h *Hub
}

// StopArea stops what plays in an area and, with waiting, cancels what waits.
func (s stopper) StopArea(ctx context.Context, in area.Name, waiting bool) (order.Stopped, error) {
	s.h.arbiter.StopPlay(in)
	return s.Service.StopArea(ctx, in, waiting)
}

// StopAll does so in every area.
func (s stopper) StopAll(ctx context.Context, waiting bool) (order.Stopped, error) {
	for _, in := range s.h.roster.Names() {
		s.h.arbiter.StopPlay(in)
	}
	return s.Service.StopAll(ctx, waiting)
}

// reporter takes the dispatcher's word to the order service. The end of a work
// that the order service has never heard of (its orders live in memory; the
// arbiter's record outlived them), or has as ended, is settled here.
type reporter struct{ h *Hub }

func (r reporter) Report(rep area.Report) {
	o, err := r.h.orders.Get(rep.Work)
	if err != nil || o.State.Ended() {
		if rep.State.Ended() {
			r.h.arbiter.Stored(rep.Area, rep.Work)
		}
		return
	}
	r.h.orders.Report(rep)
}

// Adopt takes in an order that came to the leader of an area. Where it has ended here
// already, whoever goes on with it is to know.
func (r reporter) Adopt(o area.Order, rep area.Report, done func(error)) {
	if known, err := r.h.orders.Get(o.ID); err == nil && known.State.Ended() {
		r.h.arbiter.Stored(o.Area, o.ID)
	}
	r.h.orders.Adopt(o, rep, done)
}

// gateSubmits lets work be handed in over MQTT: it is an order before its PUBACK
// goes out. It is there before the first client is, and until the last one is
// gone; when ctx has ended work is refused.
func (h *Hub) gateSubmits(ctx context.Context) (cancel func()) {
	if h.broker == nil { // see takeSubmits
		return func() {}
	}
	return h.broker.Gate(area.SubmitTopic("+"), func(m area.Message) error { return h.submit(ctx, m) })
}

// submit hands a work in, and answers one that is refused.
func (h *Hub) submit(ctx context.Context, m area.Message) error {
	sub, err := area.ParseSubmit(m.Payload)
	switch {
	case err != nil:
	case ctx.Err() != nil:
		err = area.Errorf(area.CodeDraining, "the hub is going down")
	default:
		err = h.orders.Submit(ctx, area.ParseTopic(m.Topic).Area, sub)
	}
	if err != nil {
		h.refuseSubmit(sub.Work, m, err)
	}
	return err
}

// forgetEnded tells the arbiter of each order that has ended and is kept as
// ended: it may forget it.
func (h *Hub) forgetEnded() (cancel func()) {
	return h.orders.Watch(func(o area.Order) {
		if o.State.Ended() {
			h.arbiter.Stored(o.Area, o.ID)
		}
	})
}

func (h *Hub) refuseSubmit(id area.WorkID, m area.Message, err error) {
	h.log.Warn("submit refused", "topic", m.Topic, "work", id, "err", err)
	if id == "" {
		return
	}
	h.arbiter.Post(area.Message{Topic: area.ResponseTopic(string(id)), Payload: area.ErrorPayload(err), QoS: 1})
}
