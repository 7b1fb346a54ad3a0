package hubd

import (
	"context"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/peers"
)

// makePeers opens the rosters of the devices that may lead their area. What
// topology each area has is known from then on.
func (h *Hub) makePeers() (err error) {
	h.peers, err = peers.New(h.bus, grounds{h}, h.store.Table("peers"), h.resolved, time.Now, h.log)
	return err
}

// resolved takes in what the topology of an area comes to, who its members are, and
// how they stand.
func (h *Hub) resolved(a area.Name, topology string, is area.Peering) {
	h.roster.FoundTopology(a, topology)
	h.roster.ShowPeers(a, is)
	if h.arbiter != nil {
		h.arbiter.Elect(a)
	}
}

// voters are the members of an area, who vote where it is strict.
func (h *Hub) voters(a area.Name) (list []arbiter.Voter) {
	for _, m := range h.peers.Members(a) {
		list = append(list, arbiter.Voter{Device: m.Device, MID: m.MID})
	}
	return list
}

// runPeers keeps the rosters until ctx ends. A device whose credential is
// withdrawn is on none any more.
func (h *Hub) runPeers(ctx context.Context) error {
	defer h.auth.Watch(func(r auth.Revoked) {
		if _, stands := h.auth.AccessOf(r.Tenant, r.Name); r.Name != "" && !stands {
			h.peers.Revoked(area.DeviceID(r.Name))
		}
		h.peers.Changed()
	})()
	defer h.auth.Changes(h.peers.Changed)()
	return h.peers.Run(ctx)
}

// grounds tells the rosters what the areas are like.
type grounds struct{ h *Hub }

func (g grounds) Describe(a area.Name) (peers.Area, bool) {
	is, ok := g.h.roster.Settings(a)
	if !ok || g.h.nodes != nil { // each node would have members and a key of its own
		return peers.Area{}, false
	}
	p := area.Peers{
		Area: a, Name: is.Name, Hub: g.h.cfg.Node, Web: g.h.webPort(), Mode: is.Mode, LeaseMs: is.Lease.Milliseconds(), Policy: is.Policy,
		ClassicHoldMs: is.ClassicHold.Milliseconds(), DumbHoldMs: is.DumbHold.Milliseconds(), BargeMs: is.EmergencyBarge.Milliseconds(), Volume: is.Volume, Open: g.h.auth.Open(),
	}
	if shown, ok := g.h.roster.Area(a); ok {
		for _, l := range shown.Locations {
			p.Locations = append(p.Locations, area.PeerPlace{ID: l.ID, Name: l.Name})
		}
	}
	if !p.Open {
		p.Credentials, p.People = g.h.auth.Credentials(a), g.h.auth.People(a)
	}
	return peers.Area{Peers: p, Topology: is.Topology}, true
}

func (g grounds) Player(d area.DeviceID) (area.Device, bool) { return g.h.roster.Player(d) }

func (g grounds) Watch(changed func()) (cancel func()) { return g.h.roster.Watch(changed) }
