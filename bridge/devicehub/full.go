package devicehub

import (
	"context"
	"encoding/json"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
)

// The full calls (DESIGN.md §3.3, §3.6): a device that follows leases itself says
// over its connection what an MQTT device says over its topics.

// registration is what Register is told; unknown members are ignored.
type registration struct {
	Device     string            `json:"device"`
	Area       string            `json:"area"`
	Location   json.RawMessage   `json:"location"`
	Boot       int64             `json:"boot"` // 0: the device keeps none, and is given one
	MID        string            `json:"mid"`
	Attributes map[string]string `json:"attributes"`
}

// welcome is the answer to Register.
type welcome struct {
	Boot    uint64 `json:"boot"`
	LeaseMs int64  `json:"lease_ms"`
	Term    uint64 `json:"term"`
}

// claimRequest is the second argument of Claim.
type claimRequest struct {
	Claim int64  `json:"claim"` // number of the wish, growing, from 1
	Work  string `json:"work"`
	Prio  *int   `json:"prio"`
	DurMs int64  `json:"dur_ms"`
}

// granted is the answer to Claim: no right to sound yet.
type granted struct {
	Token area.Token `json:"token"`
	Claim uint64     `json:"claim"`
}

// leased is the answer to Renew. It counts from when Renew was sent.
type leased struct {
	LeaseMs int64 `json:"lease_ms"`
}

// assigned is the answer to TakeWork.
type assigned struct {
	Work  area.WorkID `json:"work"`
	Att   int         `json:"att"`
	DurMs int64       `json:"dur_ms"`
	Prio  int         `json:"prio"`
	Body  area.Body   `json:"body"`
}

func (h *Hub) register(ctx context.Context, c *signalr.Call) (any, error) {
	var r registration
	if err := c.Bind(&r); err != nil {
		return nil, err
	}
	d, err := area.ParseDeviceID(r.Device)
	if err != nil {
		return nil, err
	}
	location := ""
	if len(r.Location) > 0 && string(r.Location) != "null" {
		if location, err = textOrNumber(r.Location); err != nil {
			return nil, area.InvalidField("location", "neither text nor a whole number")
		}
	}
	// A claim has the same bounds: what it would refuse is refused here, with words.
	if _, err := area.ParseClaim(area.Claim{Op: area.OpHello, Boot: uint64(r.Boot), MID: r.MID}.Encode()); err != nil {
		return nil, err
	}
	if err := h.mayRegister(h.caller(c), d, r.Area); err != nil {
		return nil, err
	}
	conn := c.Conn()
	if was, ok := conn.Get(registered{}).(place); ok && was.device != d {
		h.left(conn, area.PresentGoodbye)
	}
	attributes := h.attributes(conn)
	for k, v := range r.Attributes {
		if _, set := attributes[k]; !set && k != "" && len(k)+len(v) <= 256 && len(attributes) < 32 {
			attributes[k] = v
		}
	}
	name, _, conflict := h.Roster.Register(arbiter.Player{
		Device: d, Area: r.Area, Location: location, Via: area.ViaSignalR, Link: link(conn), MID: r.MID, Attributes: attributes,
	})
	if name == "" {
		return nil, conflict
	}
	h.moved(conn, name)
	conn.Set(registered{}, place{device: d, area: name})
	h.cameBack(ctx, conn, d)
	return h.answered(ctx, c, func(l *loop, done func(any, error)) {
		l.enrol(d, name, link(conn), conn, uint64(r.Boot), r.MID, func(v any, err error) {
			if err == nil && conflict != nil {
				err = conflict // registered, without the location
			}
			done(v, err)
		})
	})
}

// answered detaches the call and has the loop answer it, once. It occupies no call
// slot of its connection meanwhile (COORDINATION.md §8.20).
func (h *Hub) answered(ctx context.Context, c *signalr.Call, ask func(l *loop, done func(any, error))) (any, error) {
	reply := c.Detach()
	done := func(v any, err error) { reply.Complete(v, outward(err)) }
	if err := h.do(ctx, func(l *loop) { ask(l, done) }); err != nil {
		done(nil, err)
	}
	return nil, nil
}

// here is the caller's device, which is a member of the area that it names.
func (h *Hub) here(c *signalr.Call, in string) (place, error) {
	name, err := h.Roster.Find(in)
	if err != nil {
		return place{}, err
	}
	me, ok := c.Conn().Get(registered{}).(place)
	switch {
	case !ok:
		return place{}, area.Errorf(area.CodeNotRegistered, "call Register first")
	case me.area != name:
		return place{}, area.Errorf(area.CodeConflict, "device %s is registered in area %s, not in %s", me.device, me.area, name)
	}
	return me, nil
}

func (h *Hub) claim(ctx context.Context, c *signalr.Call) (any, error) {
	var in string
	var r claimRequest
	if err := c.Bind(&in, &r); err != nil {
		return nil, err
	}
	me, err := h.here(c, in)
	if err != nil {
		return nil, err
	}
	w := wish{prio: area.Normal}
	if r.Prio != nil {
		w.prio = area.Priority(*r.Prio)
	}
	if r.Claim < 1 || r.Claim > area.MaxCounter {
		return nil, area.InvalidField("claim", "%d is not 1 or more", r.Claim)
	}
	w.n = uint64(r.Claim)
	said := area.Claim{Op: area.OpWant, Claim: w.n, Prio: w.prio, Dur: milliseconds(r.DurMs), Work: area.WorkID(r.Work), Att: 1}
	if _, err := area.ParseClaim(said.Encode()); err != nil {
		return nil, err
	}
	w.work, w.dur = said.Work, said.Dur
	conn, reply := c.Conn().ID(), c.Detach()
	ask := &asking{done: func(v any, err error) { reply.Complete(v, outward(err)) }}
	// The caller may take the call back, and is gone when its connection is.
	context.AfterFunc(reply.Context(), func() {
		_ = h.do(context.Background(), func(l *loop) { l.withdraw(me.device, ask) })
	})
	if err := h.do(ctx, func(l *loop) { l.want(me.device, conn, w, ask) }); err != nil {
		ask.done(nil, err)
	}
	return nil, nil
}

func (h *Hub) renew(ctx context.Context, c *signalr.Call) (any, error) {
	var in string
	var token area.Token
	if err := c.Bind(&in, &token); err != nil {
		return nil, err
	}
	me, err := h.here(c, in)
	if err != nil {
		return nil, err
	}
	conn := c.Conn().ID()
	return h.answered(ctx, c, func(l *loop, done func(any, error)) { l.renew(me.device, conn, token, done) })
}

func (h *Hub) doneCall(ctx context.Context, c *signalr.Call) (any, error) {
	var in string
	said := area.Claim{Op: area.OpDone}
	if err := c.BindOptional(3, &in, &said.Token, &said.Result, &said.Sound); err != nil {
		return nil, err
	}
	me, err := h.here(c, in)
	if err != nil {
		return nil, err
	}
	if _, err := area.ParseClaim(said.Encode()); err != nil {
		return nil, err
	}
	conn := c.Conn().ID()
	return h.answered(ctx, c, func(l *loop, done func(any, error)) { l.done(me.device, conn, said, done) })
}

func (h *Hub) takeWork(ctx context.Context, c *signalr.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	work, err := area.ParseWorkID(id)
	if err != nil {
		return nil, err
	}
	me, ok := c.Conn().Get(registered{}).(place)
	if !ok {
		return nil, area.Errorf(area.CodeNotRegistered, "call Register first")
	}
	conn := c.Conn().ID()
	return h.answered(ctx, c, func(l *loop, done func(any, error)) { l.take(me.device, conn, work, done) })
}
