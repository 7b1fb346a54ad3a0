package devicehub

import (
	"context"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// Member is a connection that is there.
type Member struct {
	User         *string           `json:"user"`
	Device       *area.DeviceID    `json:"device"`
	ConnectionID string            `json:"connection_id"`
	Node         string            `json:"node"`
	Since        area.Time         `json:"since"`
	Attributes   map[string]string `json:"attributes"`
}

// Presence lists the connections in a scope, of those that somebody may see:
// tenant (all), area:A (its devices and watchers), group:G, user:U, or attr:K=V.
// Its error is an [area.Error] of code invalid, unknown_area or forbidden.
func (h *Hub) Presence(p auth.Principal, scope string) ([]Member, error) {
	if err := p.May(auth.Read, ""); err != nil {
		return nil, err
	}
	kind, what, _ := strings.Cut(scope, ":")
	switch {
	case scope == "tenant":
		return h.show(p, h.Server.Conns()), nil
	case kind == "area" && what != "":
		name, err := h.findArea(p, what, auth.Read)
		if err != nil {
			return nil, err
		}
		return h.show(p, h.Server.Members(string(area.AreaGroup(name)))), nil
	case kind == "group":
		g, err := h.MayJoin(p, what)
		if err != nil {
			return nil, err
		}
		return h.show(p, h.Server.Members(room(p, g))), nil
	case kind == "user" && what != "":
		return h.show(p, h.Server.Conns(), func(c *signalr.Conn) bool { return c.User() != "" && h.Who(c).Name == what }), nil
	case kind == "attr":
		if k, v, ok := strings.Cut(what, "="); ok && k != "" {
			return h.show(p, h.Server.Conns(), func(c *signalr.Conn) bool { return h.attributes(c)[k] == v }), nil
		}
	}
	return nil, area.InvalidField("scope", "%.60q is none of tenant, area:A, group:G, user:U, attr:K=V", scope)
}

// show is the connections that somebody may see as members, in the order of
// their ids: those of his tenant, and no devices of areas that he does not see.
func (h *Hub) show(p auth.Principal, list []*signalr.Conn, only ...func(*signalr.Conn) bool) []Member {
	out := []Member{}
	for _, c := range list {
		who := h.Who(c)
		at, device := c.Get(registered{}).(place)
		if who.Tenant != p.Tenant || device && !sees(p, at.area) || len(only) > 0 && !only[0](c) {
			continue
		}
		m := Member{ConnectionID: c.ID(), Node: h.node, Since: area.At(c.Since()), Attributes: h.attributes(c)}
		if c.User() != "" {
			m.User = &who.Name
		}
		if device {
			m.Device = &at.device
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(a.ConnectionID, b.ConnectionID) })
	return out
}

// Close ends a connection on somebody's behalf, who must run the area that its
// device is in, or all of them where it is no device's. The client is told not to
// come back. Its error is an [area.Error] of code not_found or forbidden.
func (h *Hub) Close(p auth.Principal, id string) error {
	c := h.Server.Conn(id)
	if c == nil || h.Who(c).Tenant != p.Tenant {
		return area.Errorf(area.CodeNotFound, "no connection %.80q", id)
	}
	in := area.Name("")
	if at, ok := c.Get(registered{}).(place); ok {
		in = at.area
	}
	if err := p.May(auth.Operate, in); err != nil {
		return err
	}
	c.Close(signalr.Error("closed by an operator"))
	return nil
}

func (h *Hub) getPresence(_ context.Context, c *signalr.Call) (any, error) {
	var scope string
	if err := c.Bind(&scope); err != nil {
		return nil, err
	}
	return h.Presence(h.caller(c), scope)
}
