package devicehub

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/broker/area"
)

// joined is the answer to JoinGroup: where the group's history stands.
type joined struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
	Gap    bool   `json:"gap"`
}

// joinGroup answers the position of the group. With since it answers gap true:
// nothing is replayed, so whatever came between is missing.
func (h *Hub) joinGroup(_ context.Context, c *signalr.Call) (any, error) {
	var name string
	var since json.RawMessage
	if err := c.BindOptional(1, &name, &since); err != nil {
		return nil, err
	}
	g, err := h.General(name)
	if err != nil {
		return nil, err
	}
	at, err := c.Conn().Join(string(g))
	if err != nil {
		return nil, err
	}
	gap := len(since) > 0 && string(bytes.TrimSpace(since)) != "null"
	return joined{Epoch: at.Epoch, Offset: at.Offset, Gap: gap}, nil
}

func (h *Hub) leaveGroup(_ context.Context, c *signalr.Call) (any, error) {
	var name string
	if err := c.Bind(&name); err != nil {
		return nil, err
	}
	g, err := area.ParseGroup(name)
	if err != nil {
		return nil, err
	}
	c.Conn().Leave(string(g))
	return nil, nil
}

// sendToGroup sends event(args…) to a group and to the group's topic.
func (h *Hub) sendToGroup(_ context.Context, c *signalr.Call) (any, error) {
	if c.Len() < 2 {
		var name, event string
		return nil, c.Bind(&name, &event)
	}
	var name, event string
	into := []any{&name, &event}
	args := make([]protocol.Value, c.Len()-2)
	for i := range args {
		into = append(into, &args[i])
	}
	if err := c.Bind(into...); err != nil {
		return nil, err
	}
	g, err := h.General(name)
	if err != nil {
		return nil, err
	}
	if !area.IsID(event) {
		return nil, area.InvalidField("event", "an event's name is 1 to 64 of A-Z a-z 0-9 _ -")
	}
	if g.Reserved() && area.HubEvent(event) {
		return nil, area.Errorf(area.CodeForbidden, "event %s is the hub's own", event)
	}
	payload, err := json.Marshal(args)
	if err != nil {
		return nil, area.Errorf(area.CodeInvalid, "an argument is no JSON")
	}
	sent := make([]any, len(args))
	for i := range args {
		sent[i] = args[i]
	}
	h.Server.Group(string(g)).Send(event, sent...)
	h.Mirror.GroupSent(area.FromHub+":"+c.Conn().ID(), g, event, payload)
	return nil, nil
}

// General is a group that a caller without special rights may use: one of its
// own making, or the group of an area that there is. Its error is an
// [area.Error] of code invalid, unknown_area or forbidden.
func (h *Hub) General(name string) (area.Group, error) {
	g, err := area.ParseGroup(name)
	if err != nil {
		return "", err
	}
	if !g.Reserved() {
		return g, nil
	}
	if in, ok := cutPrefix(name, "area:"); ok {
		if _, err := h.Roster.Find(in); err != nil {
			return "", err
		}
		return g, nil
	}
	return "", area.Errorf(area.CodeForbidden, "group %s is the hub's own", g)
}

func (h *Hub) getAreas(_ context.Context, c *signalr.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	return h.View.Areas(), nil
}

func (h *Hub) getArea(_ context.Context, c *signalr.Call) (any, error) {
	name, err := h.bindArea(c)
	if err != nil {
		return nil, err
	}
	a, ok := h.View.Area(name)
	if !ok {
		return nil, area.Errorf(area.CodeUnknownArea, "no area %s", name)
	}
	return a, nil
}

// everyArea is the argument of JoinArea that means all areas, now and later.
const everyArea = "*"

// joinArea answers a snapshot; the deltas that follow begin right after it. The
// call is completed inside the view's join, so that no delta is queued on the
// connection before the snapshot is.
func (h *Hub) joinArea(_ context.Context, c *signalr.Call) (any, error) {
	var in string
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if in == everyArea {
		reply := c.Detach()
		h.View.JoinAll(func(group string) {
			_, _ = c.Conn().Join(group)
			reply.Complete(h.View.Areas(), nil)
		})
		reply.Complete(nil, outward(errNoView)) // only where the view has ended
		return nil, nil
	}
	name, err := h.Roster.Find(in)
	if err != nil {
		return nil, err
	}
	reply := c.Detach()
	if _, ok := h.View.Join(name, func(group string) {
		_, _ = c.Conn().Join(group)
		a, _ := h.View.Area(name)
		reply.Complete(a, nil)
	}); !ok {
		reply.Complete(nil, outward(area.Errorf(area.CodeUnknownArea, "no area %s", name)))
	}
	return nil, nil
}

// errNoView answers a watcher that comes while the hub is going down.
var errNoView = area.Errorf(area.CodeDraining, "the hub is going down")

func (h *Hub) leaveArea(_ context.Context, c *signalr.Call) (any, error) {
	var in string
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if in == everyArea {
		c.Conn().Leave(h.View.GroupAll())
		return nil, nil
	}
	name, err := h.Roster.Find(in)
	if err != nil {
		return nil, err
	}
	c.Conn().Leave(h.View.GroupOf(name))
	return nil, nil
}
