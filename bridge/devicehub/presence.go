package devicehub

import (
	"context"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/bridge/presence"
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

// Presence lists the connections in a scope, of all nodes, of those that somebody may
// see: tenant (all), area:A (its devices and watchers), group:G, user:U, or attr:K=V.
// Its error is an [area.Error] of code invalid, unknown_area or forbidden.
func (h *Hub) Presence(p auth.Principal, scope string) ([]Member, error) {
	if err := p.May(auth.Read, ""); err != nil {
		return nil, err
	}
	kind, what, _ := strings.Cut(scope, ":")
	switch {
	case scope == "tenant":
		return h.show(p, h.Server.Conns(), everybody), nil
	case kind == "area" && what != "":
		name, err := h.findArea(p, what, auth.Read)
		if err != nil {
			return nil, err
		}
		group := string(area.AreaGroup(name))
		return h.show(p, h.Server.Members(group), member(group)), nil
	case kind == "group":
		g, err := h.MayJoin(p, what)
		if err != nil {
			return nil, err
		}
		group := room(p, g)
		return h.show(p, h.Server.Members(group), member(group)), nil
	case kind == "user" && what != "":
		return h.show(p, h.Server.Conns(), everybody, func(s *seat) bool { return s.User != nil && *s.User == what }), nil
	case kind == "attr":
		if k, v, ok := strings.Cut(what, "="); ok && k != "" {
			return h.show(p, h.Server.Conns(), everybody, func(s *seat) bool { return s.Attributes[k] == v }), nil
		}
	}
	return nil, area.InvalidField("scope", "%.60q is none of tenant, area:A, group:G, user:U, attr:K=V", scope)
}

func everybody(presence.Conn) bool { return true }

// show is the connections that somebody may see as members, in the order of their ids:
// those of this node, and those of others that fit.
func (h *Hub) show(p auth.Principal, here []*signalr.Conn, fits func(presence.Conn) bool, only ...func(*seat) bool) []Member {
	seats := h.others(fits)
	for _, c := range here {
		seats = append(seats, h.seat(c))
	}
	out := []Member{}
	for i := range seats {
		if s := &seats[i]; s.shows(p) && (len(only) == 0 || only[0](s)) {
			out = append(out, s.Member)
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(a.ConnectionID, b.ConnectionID) })
	return out
}

func (h *Hub) getPresence(_ context.Context, c *signalr.Call) (any, error) {
	var scope string
	if err := c.Bind(&scope); err != nil {
		return nil, err
	}
	return h.Presence(h.caller(c), scope)
}
