package devicehub

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// Others knows the connections of the hub's other nodes.
type Others interface {
	// Others lists those that fit; fits is quick and does not call back.
	Others(fits func(presence.Conn) bool) []presence.Conn
}

// seat is what is shown of a connection, and what it takes to see it.
type seat struct {
	Member
	Tenant string     `json:"tenant"`
	In     *area.Name `json:"in"` // the area of its device
}

// seat is what is shown of a connection of this node.
func (h *Hub) seat(c *signalr.Conn) seat {
	who := h.Who(c)
	s := seat{Member: Member{ConnectionID: c.ID(), Node: h.node, Since: area.At(c.Since()), Attributes: h.attributes(c)}, Tenant: who.Tenant}
	if c.User() != "" {
		s.User = &who.Name
	}
	if at, ok := c.Get(registered{}).(place); ok {
		s.Device, s.In = &at.device, &at.area
	}
	return s
}

// shows tells whether somebody may see it: it is of his tenant, and no device of an area
// that he does not see.
func (s *seat) shows(p auth.Principal) bool {
	return s.Tenant == p.Tenant && (s.In == nil || sees(p, *s.In))
}

// Describe is a connection of this node as the others are told of it; false where it is
// gone.
func (h *Hub) Describe(id string) (presence.Conn, bool) {
	c := h.Server.Conn(id)
	if c == nil {
		return presence.Conn{}, false
	}
	s := h.seat(c)
	about, err := json.Marshal(s)
	if err != nil {
		return presence.Conn{}, false // plain fields: it does not happen
	}
	return presence.Conn{ID: id, User: c.User(), Groups: c.Groups(), Attributes: s.Attributes, About: about}, true
}

// others is the seats of other nodes whose connections fit.
func (h *Hub) others(fits func(presence.Conn) bool) (list []seat) {
	if h.Others == nil {
		return nil
	}
	for _, c := range h.Others.Others(fits) {
		if s, ok := parseSeat(c); ok {
			list = append(list, s)
		}
	}
	return list
}

// parseSeat is what another node tells of a connection.
func parseSeat(c presence.Conn) (s seat, ok bool) {
	ok = json.Unmarshal(c.About, &s) == nil
	s.Node, s.ConnectionID = c.Node, c.ID
	return s, ok
}

// find is the seat of a connection of any node.
func (h *Hub) find(id string) (seat, bool) {
	if c := h.Server.Conn(id); c != nil {
		return h.seat(c), true
	}
	list := h.others(func(c presence.Conn) bool { return c.ID == id })
	if len(list) == 0 {
		return seat{}, false
	}
	return list[0], true
}

// runs is the seat of a connection with which somebody may do something: he must run the
// area that its device is in, or all of them where it is no device's. Its error is an
// [area.Error] of code not_found or forbidden.
func (h *Hub) runs(p auth.Principal, id string) error {
	s, ok := h.find(id)
	if !ok || s.Tenant != p.Tenant {
		return area.Errorf(area.CodeNotFound, "no connection %.80q", id)
	}
	in := area.Name("")
	if s.In != nil {
		in = *s.In
	}
	return p.May(auth.Operate, in)
}

// farAway is how long another node may take to do something to a connection of its own.
const farAway = 5 * time.Second

// Close ends a connection of any node on somebody's behalf, who must run the area that
// its device is in, or all of them where it is no device's. The client is told not to
// come back. Its error is an [area.Error] of code not_found, forbidden or degraded.
func (h *Hub) Close(ctx context.Context, p auth.Principal, id string) error {
	if err := h.runs(p, id); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, farAway)
	defer stop()
	return failure(h.Server.CloseConn(ctx, id, "closed by an operator"))
}

// SetMember makes a connection of any node a member of a group on somebody's behalf, or
// ends that. He must run it as for [Hub.Close], and may send to the group. Its error is
// an [area.Error] as of those, or conflict where it is in as many groups as it may.
func (h *Hub) SetMember(ctx context.Context, p auth.Principal, id, group string, member bool) error {
	g, err := h.MaySend(p, group)
	if err != nil {
		return err
	}
	if err := h.runs(p, id); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, farAway)
	defer stop()
	if member {
		return failure(h.Server.AddToGroup(ctx, id, room(p, g)))
	}
	return failure(h.Server.RemoveFromGroup(ctx, id, room(p, g)))
}

// failure is why something could not be done to a connection, as an [area.Error].
func failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, signalr.ErrClosed):
		return area.Errorf(area.CodeNotFound, "the connection has ended")
	case errors.Is(err, signalr.ErrForbidden):
		return area.Errorf(area.CodeForbidden, "the connection may not be in that group")
	case errors.Is(err, signalr.ErrGroups):
		return area.Errorf(area.CodeConflict, "the connection is in as many groups as it may")
	}
	return area.Errorf(area.CodeDegraded, "the connection's node does not answer: %s", err)
}

// member tells whether a connection of another node is in a group of the library.
func member(group string) func(presence.Conn) bool {
	return func(c presence.Conn) bool { return slices.Contains(c.Groups, group) }
}
