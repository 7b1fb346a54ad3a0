package hubd

import "github.com/tacet-hub/tacet/broker/area"

// joinSensors makes the sensors of all nodes one list, where there are others.
func (h *Hub) joinSensors() {
	h.shared.Table("sensors").Watch(h.registry.Changed)
	if h.nodes != nil {
		h.registry.Join(h.nodes.mux, func(r area.Reading) { h.pump.Show(r) })
	}
}
