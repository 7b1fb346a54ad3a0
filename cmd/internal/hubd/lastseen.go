package hubd

import (
	"context"
	"time"

	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/bridge/seen"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// makeSeen makes what knows when users and devices were last there.
func (h *Hub) makeSeen() (err error) {
	table := h.shared.Table("seen")
	if h.seen, err = seen.New(seen.Config{Node: h.cfg.Node, Here: h.hereNow}, table, time.Now, h.log); err != nil {
		return err
	}
	table.Watch(h.seen.Changed)
	h.who.seen = h.seen
	return nil
}

// saw notes that somebody asks. Devices are seen by what they say.
func (i *identity) saw(p auth.Principal, err error) {
	if err == nil && i.seen != nil && p.Kind != auth.KindAnonymous && p.Kind != auth.KindDevice {
		i.seen.Saw(sighted(p))
	}
}

func sighted(p auth.Principal) seen.Who {
	return seen.Who{Kind: seen.User, Tenant: seenTenant(p), Name: p.Name}
}

// seenTenant is a principal's tenant as it is kept.
func seenTenant(p auth.Principal) string {
	if p.Tenant == auth.DefaultTenant {
		return ""
	}
	return p.Tenant
}

func sightedDevice(d area.DeviceID) seen.Who {
	return seen.Who{Kind: seen.Device, Name: string(d)}
}

// hereNow is who is at this node: the clients of the hub, and the players that are live
// here, or were when they were last heard.
func (h *Hub) hereNow() (list []seen.Sighting) {
	now := time.Now()
	for _, c := range h.signalr.Conns() {
		if p := h.who.whoConnected(c); p.Kind != auth.KindAnonymous && p.Kind != auth.KindDevice {
			list = append(list, seen.Sighting{Who: sighted(p), At: now})
		}
	}
	for _, d := range h.roster.Players() {
		switch {
		case d.Node != h.cfg.Node:
		case d.Presence == area.Online:
			list = append(list, seen.Sighting{Who: sightedDevice(d.ID), At: now})
		case d.LastSeen != nil:
			list = append(list, seen.Sighting{Who: sightedDevice(d.ID), At: d.LastSeen.Time})
		}
	}
	return list
}

// sightedPlayers is the roster with what other nodes, and this one before its start, have
// seen of the players.
type sightedPlayers struct {
	*arbiter.Roster
	seen *seen.Book
}

func (r sightedPlayers) Players() []area.Device {
	list := r.Roster.Players()
	for i := range list {
		r.look(&list[i])
	}
	return list
}

func (r sightedPlayers) Player(id area.DeviceID) (area.Device, bool) {
	d, ok := r.Roster.Player(id)
	r.look(&d)
	return d, ok
}

// look gives a player that is not online the newest sighting.
func (r sightedPlayers) look(d *area.Device) {
	if d.Presence == area.Online {
		return
	}
	if s, ok := r.seen.Of(sightedDevice(d.ID)); ok && (d.LastSeen == nil || s.At.After(d.LastSeen.Time)) {
		at := area.At(s.At)
		d.LastSeen = &at
	}
}

// LastSeen lists when those whom somebody may see were last there.
func (m members) LastSeen(_ context.Context, who auth.Principal) ([]api.Sighting, error) {
	if err := who.May(auth.Read, ""); err != nil {
		return nil, err
	}
	out := []api.Sighting{}
	for _, s := range m.h.seen.List() {
		if s.Tenant != seenTenant(who) {
			continue
		}
		x := api.Sighting{At: area.At(s.At), Node: s.Node}
		if s.Kind == seen.User {
			x.User = &s.Name
		} else if id := area.DeviceID(s.Name); m.shows(who, id) {
			x.Device = &id
		} else {
			continue
		}
		out = append(out, x)
	}
	return out, nil
}

// shows tells whether somebody may see a device: in its area, or, where that is not known
// any more, everywhere.
func (m members) shows(who auth.Principal, id area.DeviceID) bool {
	in := area.Unassigned
	if d, ok := m.h.roster.Player(id); ok {
		in = d.Area
	}
	return who.May(auth.Read, in) == nil
}
