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
	table := h.shared.Table("peers")
	if h.peers, err = peers.New(h.everywhere(), grounds{h}, table, h.resolved, time.Now, h.log); err != nil {
		return err
	}
	table.Watch(func(key string, _ []byte) { h.peers.ChangedElsewhere(area.Name(key)) })
	return nil
}

// resolved takes in what the topology of an area comes to, who its members are, and
// how they stand.
func (h *Hub) resolved(a area.Name, topology string, is area.Peering) {
	h.roster.FoundTopology(a, topology)
	if is.Rev != 0 { // else nobody was ever a member
		h.roster.ShowPeers(a, is)
	}
	if h.arbiter != nil {
		h.arbiter.Elect(a)
	}
}

// voters are the members of an area, who vote where it is strict, once they are known.
func (h *Hub) voters(a area.Name) (list []arbiter.Voter, known bool) {
	members, known := h.peers.Voters(a)
	for _, m := range members {
		list = append(list, arbiter.Voter{Device: m.Device, MID: m.MID})
	}
	return list, known
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
	if !ok {
		return peers.Area{}, false
	}
	p := area.Peers{
		Area: a, Name: is.Name, Hub: g.h.arbiterName(), Web: g.h.webPort(), Mode: is.Mode, LeaseMs: is.Lease.Milliseconds(), Policy: is.Policy,
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

func (g grounds) Names() []area.Name { return g.h.roster.Names() }

func (g grounds) Reign(a area.Name) uint64 {
	switch {
	case g.h.nodes == nil:
		return peers.Alone
	case g.h.arbiter == nil:
		return 0
	}
	return g.h.arbiter.Reign(a)
}

func (g grounds) Here(d area.DeviceID) bool { return g.h.nodes == nil || g.h.arbiter.SendsTo(d) }

func (g grounds) Player(d area.DeviceID) (area.Device, bool) { return g.h.roster.Player(d) }

func (g grounds) Watch(changed func()) (cancel func()) { return g.h.roster.Watch(changed) }
