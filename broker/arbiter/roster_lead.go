package arbiter

import (
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// ShowLead says who arbitrates an area; it is shown with the area.
func (r *Roster) ShowLead(name area.Name, l area.Lead) {
	r.mu.Lock()
	e, ok := r.areas[name]
	changed := ok && (e.lead == nil || !e.lead.Same(l))
	if changed {
		e.lead = &l
	}
	r.mu.Unlock()
	if changed {
		r.changed()
	}
}

// ShowPeers says how the devices that may lead an area stand; it is shown with the
// area. The list is not kept.
func (r *Roster) ShowPeers(name area.Name, p area.Peering) {
	r.mu.Lock()
	e, ok := r.areas[name]
	changed := ok && (e.peers == nil || !e.peers.Same(p))
	if changed {
		p.Members = append([]area.PeerMember{}, p.Members...)
		e.peers = &p
	}
	r.mu.Unlock()
	if changed {
		r.changed()
	}
}

// showLead adds to an area that is shown who arbitrates it, and who may. Who is
// not live, and is not heard as the leader, leads no longer, whatever it told last.
func (r *Roster) showLead(e *areaEntry, a *area.Area) {
	if e.lead != nil {
		l := *e.lead
		a.Leader = &l
	}
	if e.peers != nil {
		p := area.Peering{Rev: e.peers.Rev, Members: slices.Clone(e.peers.Members)}
		for i, m := range p.Members {
			q, ok := r.players[m.Device]
			live := ok && q.presence == area.Online
			p.Members[i].Leads = m.Leads && (live || e.lead != nil && e.lead.Host == string(m.Device))
		}
		a.Peers = &p
	}
}
