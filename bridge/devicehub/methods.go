package devicehub

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/order"
)

// registered is the key under which a connection keeps which device it is.
type registered struct{}

type place struct {
	device area.DeviceID
	area   area.Name
}

// method is a hub method that answers or fails; a fault of ours travels as
// "CODE: detail".
type method func(ctx context.Context, c *signalr.Call) (any, error)

// methods registers every call of the hub.
func (h *Hub) methods() {
	for name, m := range map[string]method{
		"ReceiveDeviceConnected": h.deviceConnected,
		"BroadcastWorkStatus":    h.workStatus,
		"GetWork":                h.getWork,
		"Register":               h.register,
		"Claim":                  h.claim,
		"Renew":                  h.renew,
		"Done":                   h.doneCall,
		"TakeWork":               h.takeWork,
		"Echo":                   echo,
		"JoinGroup":              h.joinGroup,
		"LeaveGroup":             h.leaveGroup,
		"SendToGroup":            h.sendToGroup,
		"GetAreas":               h.getAreas,
		"GetArea":                h.getArea,
		"JoinArea":               h.joinArea,
		"LeaveArea":              h.leaveArea,
		"Announce":               h.announce,
		"CancelOrder":            h.cancelOrder,
		"StopArea":               h.stopArea,
		"StopAll":                h.stopAll,
		"GetPresence":            h.getPresence,
	} {
		h.Server.Handle(name, func(ctx context.Context, c *signalr.Call) (any, error) {
			v, err := m(ctx, c)
			return v, outward(err)
		})
	}
	h.Server.Method("UploadClip", signalr.Func2(func(ctx context.Context, c *signalr.Call, name string, bytes signalr.Upload[[]byte]) (string, error) {
		sum, err := h.uploadClip(ctx, h.caller(c), name, bytes)
		return sum, outward(err)
	}))
	h.stream("StreamTopics", h.streamTopics)
	h.stream("StreamReadings", h.streamReadings)
	h.stream("StreamOrders", h.streamOrders)
	h.stream("StreamAuditLog", h.streamAuditLog)
	h.Server.OnConnect(func(c *signalr.Conn) {
		h.enter(c)
		_ = c.Send("ConnectionAcknowledged", c.ID(), area.At(h.Now()))
	})
	h.Server.OnDisconnect(func(c *signalr.Conn, err error) {
		h.markAll(c, err != nil)
		defer h.leave(c, err) // it may take a moment
		if c.Get(registered{}) == nil {
			return
		}
		reason := area.PresentGoodbye
		if err != nil {
			reason = area.PresentTimeout
		}
		h.left(c, reason)
	})
}

// left takes the devices of a connection off it.
func (h *Hub) left(c *signalr.Conn, reason string) {
	h.Roster.Lost(link(c), reason)
	id := c.ID()
	_ = h.do(context.Background(), func(l *loop) { l.lost(id) })
}

func link(c *signalr.Conn) string { return "hub/" + c.ID() }

// outward turns a fault of ours into one that the caller may read; what is not
// ours stays inside.
func outward(err error) error {
	if err == nil {
		return nil
	}
	if code := area.CodeOf(err); code != area.CodeInternal {
		return signalr.Error(err.Error())
	}
	return err
}

func (h *Hub) deviceConnected(ctx context.Context, c *signalr.Call) (any, error) {
	var device, in string
	var at json.RawMessage
	if err := c.Bind(&device, &in, &at); err != nil {
		return nil, err
	}
	d, err := area.ParseDeviceID(device)
	if err != nil {
		return nil, err
	}
	location, err := textOrNumber(at)
	if err != nil {
		return nil, err
	}
	if err := h.mayRegister(h.caller(c), d, in); err != nil {
		return nil, err
	}
	conn := c.Conn()
	if was, ok := conn.Get(registered{}).(place); ok && was.device != d {
		h.left(conn, area.PresentGoodbye)
	}
	name, _, err := h.Roster.Register(arbiter.Player{
		Device: d, Area: in, Location: location, Via: area.ViaClassic, Link: link(conn), Attributes: h.attributes(conn),
	})
	if name == "" {
		return nil, err
	}
	h.moved(conn, name)
	conn.Set(registered{}, place{device: d, area: name})
	if e := h.do(ctx, func(l *loop) { l.register(d, name, link(conn), conn) }); e != nil {
		return nil, e
	}
	h.cameBack(ctx, conn, d)
	return nil, err // a location conflict: registered, without the location
}

// moved puts a connection into its area's group, and out of the one of before.
// It hears what is sent to the group, but not the news that only watchers have
// handlers for: a classic program's library would complain of each. JoinArea
// brings those.
func (h *Hub) moved(conn *signalr.Conn, to area.Name) {
	if was, ok := conn.Get(registered{}).(place); ok && was.area != to {
		conn.Leave(string(area.AreaGroup(was.area)))
	}
	_, _ = conn.JoinFor(string(area.AreaGroup(to)), func(event string) bool { return !area.HubEvent(event) })
}

// textOrNumber reads a location as classic programs send it: "2" or 2.
func textOrNumber(raw json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var n int64
	if json.Unmarshal(raw, &n) == nil {
		return strconv.FormatInt(n, 10), nil
	}
	return "", area.InvalidField("locationNumber", "neither text nor a whole number")
}

// attributes are the attr.KEY=VALUE pairs of the opening request, and over them
// what the client's token says.
func (h *Hub) attributes(c *signalr.Conn) map[string]string {
	list := map[string]string{}
	for k, v := range c.Query() {
		if name, ok := cutPrefix(k, "attr."); ok && name != "" && len(v) > 0 && len(list) < 32 && len(name)+len(v[0]) <= 256 {
			list[name] = v[0]
		}
	}
	maps.Copy(list, h.Who(c).Attributes)
	return list
}

func cutPrefix(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || s[:len(prefix)] != prefix {
		return s, false
	}
	return s[len(prefix):], true
}

func (h *Hub) workStatus(ctx context.Context, c *signalr.Call) (any, error) {
	var in string
	var on bool
	if err := c.Bind(&in, &on); err != nil {
		return nil, err
	}
	name, err := h.Roster.Find(in)
	if err != nil {
		return nil, err
	}
	me, ok := c.Conn().Get(registered{}).(place)
	if !ok {
		return nil, area.Errorf(area.CodeNotRegistered, "call ReceiveDeviceConnected first")
	}
	if me.area != name {
		return nil, area.Errorf(area.CodeConflict, "device %s is registered in area %s, not in %s", me.device, me.area, name)
	}
	if !on {
		return nil, h.setIdle(ctx, c, me)
	}
	if !c.HasID() {
		return nil, h.set(ctx, c, me, "1")
	}
	reply, id := c.Detach(), c.Conn().ID()
	err = h.do(ctx, func(l *loop) { l.claim(me.device, id, func(err error) { reply.Complete(nil, outward(err)) }) })
	if err != nil {
		reply.Complete(nil, outward(err))
	}
	return nil, nil
}

func (h *Hub) setIdle(ctx context.Context, c *signalr.Call, me place) error {
	if !c.HasID() {
		if err := h.set(ctx, c, me, "0"); err != nil {
			return err
		}
	}
	id := c.Conn().ID()
	return h.do(ctx, func(l *loop) { l.release(me.device, id) })
}

// set is a call without an invocation id: nobody waits for a grant, so it is
// what a dumb device says.
func (h *Hub) set(ctx context.Context, c *signalr.Call, me place, flag string) error {
	return h.Bus.Publish(ctx, area.Message{
		Topic: area.SetTopic(me.area, me.device), Payload: []byte(flag), QoS: 1, From: area.FromHub + ":" + c.Conn().ID(),
	})
}

func (h *Hub) getWork(ctx context.Context, c *signalr.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	me, ok := c.Conn().Get(registered{}).(place)
	if !ok {
		return nil, area.Errorf(area.CodeNotRegistered, "call ReceiveDeviceConnected first")
	}
	found, conn := make(chan area.WorkID, 1), c.Conn().ID()
	if err := h.do(ctx, func(l *loop) { found <- l.work(me.device, conn) }); err != nil {
		return nil, err
	}
	select {
	case id := <-found:
		if id == "" {
			return signalr.Null{}, nil
		}
		return h.Orders.Find(ctx, id)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func echo(_ context.Context, c *signalr.Call) (any, error) {
	var v protocol.Value
	if err := c.Bind(&v); err != nil {
		return nil, err
	}
	return v, nil
}

func (h *Hub) announce(ctx context.Context, c *signalr.Call) (any, error) {
	if c.Len() != 1 {
		return nil, c.Bind(new(json.RawMessage))
	}
	req, err := order.Decode(c.Raw(0))
	if err != nil {
		return nil, err
	}
	p := h.caller(c)
	return h.Orders.Announce(ctx, req, who(c), func(in area.Name) error { return may(p, auth.Announce, in) })
}

func (h *Hub) cancelOrder(ctx context.Context, c *signalr.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	w, err := area.ParseWorkID(id)
	if err != nil {
		return nil, err
	}
	o, err := h.Orders.Find(ctx, w)
	if err != nil {
		return nil, err
	}
	p := h.caller(c)
	if foreign(p) {
		return nil, area.Errorf(area.CodeNotFound, "no order %s", w)
	}
	if err := p.May(auth.Announce, o.Area); err != nil {
		return nil, err
	}
	return h.Orders.Cancel(ctx, w)
}

func (h *Hub) stopArea(ctx context.Context, c *signalr.Call) (any, error) {
	name, err := h.bindArea(c, auth.Operate)
	if err != nil {
		return nil, err
	}
	return h.Orders.StopArea(ctx, name)
}

func (h *Hub) stopAll(ctx context.Context, c *signalr.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	p := h.caller(c)
	if err := p.May(auth.Operate, ""); err != nil {
		return nil, err
	}
	if foreign(p) { // all of his tenant is nothing
		return order.Stopped{Stopped: []area.WorkID{}, Cancelled: []area.WorkID{}}, nil
	}
	return h.Orders.StopAll(ctx)
}

// who names the caller in an order's record.
func who(c *signalr.Call) string {
	if u := c.Conn().User(); u != "" {
		return u // unique over tenants
	}
	return "hub"
}

// bindArea reads the area that a call is about, for a caller who may do
// something there.
func (h *Hub) bindArea(c *signalr.Call, do auth.Action) (area.Name, error) {
	var in string
	if err := c.Bind(&in); err != nil {
		return "", err
	}
	return h.findArea(h.caller(c), in, do)
}

func (h *Hub) findArea(p auth.Principal, text string, do auth.Action) (area.Name, error) {
	name, err := h.Roster.Find(text)
	if err != nil {
		return "", err
	}
	return name, may(p, do, name)
}
