package hubd

import (
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// gateStatus keeps devices that speak MQTT in their own areas. A status names
// the area in its payload, which the rules for topics do not look at; so a
// device could join another area there, and be offered its work.
func (h *Hub) gateStatus() (cancel func()) {
	if h.broker == nil { // who says what is that broker's business
		return func() {}
	}
	return h.broker.Gate(area.StatusTopic("+"), func(m area.Message) error {
		if h.auth.Open() || len(m.Payload) == 0 {
			return nil
		}
		st, err := area.ParseStatus(m.Payload)
		if err != nil {
			return nil // the arbiter counts it
		}
		p, _ := h.broker.Principal(m.From, m.Conn)
		return mayJoin(p, h.areaOf(st.Area))
	})
}

// areaOf is the area that a device's text names, or the one that it would make.
func (h *Hub) areaOf(text string) area.Name {
	if in, err := h.roster.Find(text); err == nil {
		return in
	}
	if area.IsID(text) {
		return area.Name(text)
	}
	made, _ := area.Slug(text)
	return made
}

// mayJoin tells whether a principal may register a device in an area: its own,
// where it is a device; else where it may run the place.
func mayJoin(p auth.Principal, in area.Name) error {
	if p.Kind == auth.KindDevice {
		if in != p.Area || in == "" {
			return area.Errorf(area.CodeForbidden, "device %s belongs to another area than %s", p.Name, in)
		}
		return nil
	}
	return p.May(auth.Operate, in)
}
