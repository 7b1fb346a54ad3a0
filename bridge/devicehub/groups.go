package devicehub

import (
	"context"
	"encoding/json"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

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
	p := h.caller(c)
	g, err := h.MaySend(p, name)
	if err != nil {
		return nil, err
	}
	if !area.IsID(event) {
		return nil, area.InvalidField("event", "an event's name is 1 to 64 of A-Z a-z 0-9 _ -")
	}
	if err := maySay(g, event); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(args)
	if err != nil {
		return nil, area.Errorf(area.CodeInvalid, "an argument is no JSON")
	}
	sent := make([]any, len(args))
	for i := range args {
		sent[i] = args[i]
	}
	h.send(p, area.FromHub+":"+c.Conn().ID(), g, event, sent, payload)
	return nil, nil
}

// maySay tells whether others than the hub may send an event to a group: its own, by which
// its members know how things stand, they may not.
func maySay(g area.Group, event string) error {
	if g.Reserved() && area.HubEvent(event) {
		return area.Errorf(area.CodeForbidden, "event %s is the hub's own", event)
	}
	return nil
}

// send sends an event to a group of somebody's tenant, and to the group's topic;
// the topics of other tenants are not mirrored. payload is the arguments as JSON.
func (h *Hub) send(p auth.Principal, from string, g area.Group, event string, args []any, payload []byte) {
	h.Server.Group(room(p, g)).Send(event, args...)
	if !foreign(p) {
		h.Mirror.GroupSent(from, g, event, payload)
	}
}

func (h *Hub) getAreas(_ context.Context, c *signalr.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	return seen(h.caller(c), h.View.Areas()), nil
}

func (h *Hub) getArea(_ context.Context, c *signalr.Call) (any, error) {
	name, err := h.bindArea(c, auth.Read)
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
func (h *Hub) joinArea(ctx context.Context, c *signalr.Call) (any, error) {
	var in string
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p := h.caller(c)
	if in == everyArea {
		defer h.Server.Listen(ctx, h.groupsOfAll(p)...)()
		reply := c.Detach()
		h.View.JoinAll(func(group string) { reply.Complete(h.joinAll(c.Conn(), p, group), nil) })
		reply.Complete(nil, outward(errNoView)) // only where the view has ended
		return nil, nil
	}
	name, err := h.findArea(p, in, auth.Read)
	if err != nil {
		return nil, err
	}
	defer h.Server.Listen(ctx, h.View.GroupOf(name))()
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

// groupsOfAll are the groups that joinAll joins.
func (h *Hub) groupsOfAll(p auth.Principal) (groups []string) {
	if sees(p, anyArea) {
		return []string{h.View.GroupAll()}
	}
	for _, a := range seen(p, h.View.Areas()) {
		groups = append(groups, h.View.GroupOf(a.ID))
	}
	return groups
}

// joinAll joins the group of all areas; who may not see all of them joins those
// that he may see, and has to join by name what comes later.
func (h *Hub) joinAll(c *signalr.Conn, p auth.Principal, group string) []area.Area {
	all := seen(p, h.View.Areas())
	if sees(p, anyArea) {
		_, _ = c.Join(group)
		return all
	}
	for _, a := range all {
		_, _ = c.Join(h.View.GroupOf(a.ID))
	}
	return all
}

// errNoView answers a watcher that comes while the hub is going down.
var errNoView = area.Errorf(area.CodeDraining, "the hub is going down")

func (h *Hub) leaveArea(_ context.Context, c *signalr.Call) (any, error) {
	var in string
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if in == everyArea {
		h.leaveAll(c.Conn(), h.caller(c))
		return nil, nil
	}
	name, err := h.Roster.Find(in)
	if err != nil {
		return nil, err
	}
	c.Conn().Leave(h.View.GroupOf(name))
	return nil, nil
}

func (h *Hub) leaveAll(c *signalr.Conn, p auth.Principal) {
	if sees(p, anyArea) {
		c.Leave(h.View.GroupAll())
		return
	}
	for _, a := range seen(p, h.View.Areas()) {
		c.Leave(h.View.GroupOf(a.ID))
	}
}
