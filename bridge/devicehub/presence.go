package devicehub

import (
	"context"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
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

// Presence lists the connections in a scope: tenant (all), area:A (its devices
// and watchers), group:G, user:U, or attr:K=V. Its error is an [area.Error] of
// code invalid or unknown_area.
func (h *Hub) Presence(scope string) ([]Member, error) {
	kind, what, _ := strings.Cut(scope, ":")
	switch {
	case scope == "tenant":
		return h.show(h.Server.Conns()), nil
	case kind == "area" && what != "":
		name, err := h.Roster.Find(what)
		if err != nil {
			return nil, err
		}
		return h.show(h.Server.Members(string(area.AreaGroup(name)))), nil
	case kind == "group":
		g, err := area.ParseGroup(what)
		if err != nil {
			return nil, err
		}
		return h.show(h.Server.Members(string(g))), nil
	case kind == "user" && what != "":
		return h.show(h.Server.Conns(), func(c *signalr.Conn) bool { return c.User() == what }), nil
	case kind == "attr":
		if k, v, ok := strings.Cut(what, "="); ok && k != "" {
			return h.show(h.Server.Conns(), func(c *signalr.Conn) bool { return attributes(c)[k] == v }), nil
		}
	}
	return nil, area.InvalidField("scope", "%.60q is none of tenant, area:A, group:G, user:U, attr:K=V", scope)
}

// show is the connections as members, in the order of their ids.
func (h *Hub) show(list []*signalr.Conn, only ...func(*signalr.Conn) bool) []Member {
	out := []Member{}
	for _, c := range list {
		if len(only) > 0 && !only[0](c) {
			continue
		}
		m := Member{ConnectionID: c.ID(), Node: h.node, Since: area.At(c.Since()), Attributes: attributes(c)}
		if u := c.User(); u != "" {
			m.User = &u
		}
		if at, ok := c.Get(registered{}).(place); ok {
			d := at.device
			m.Device = &d
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(a.ConnectionID, b.ConnectionID) })
	return out
}

func (h *Hub) getPresence(_ context.Context, c *signalr.Call) (any, error) {
	var scope string
	if err := c.Bind(&scope); err != nil {
		return nil, err
	}
	return h.Presence(scope)
}
