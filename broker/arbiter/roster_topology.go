package arbiter

import "github.com/tacet-hub/tacet/broker/area"

// resolved is the topology, found out where it is not set.
func (e *areaEntry) resolved() string {
	if e.Topology != area.TopologyAuto {
		return e.Topology
	}
	return cmpOr(e.topology, area.TopologyDirect)
}

// Topology is the topology of an area, found out where it is not set; empty for
// an area that is not there.
func (r *Roster) Topology(name area.Name) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.areas[name]; ok {
		return e.resolved()
	}
	return ""
}

// FoundTopology notes what the topology of an area comes to where it is not set.
func (r *Roster) FoundTopology(name area.Name, is string) {
	r.mu.Lock()
	e, ok := r.areas[name]
	changed := ok && e.topology != is
	if changed {
		e.topology = is
	}
	r.mu.Unlock()
	if changed {
		r.changed()
	}
}
