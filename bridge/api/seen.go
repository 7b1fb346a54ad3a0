package api

import (
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// Sighting is when a user or a device was last there, and at which node.
type Sighting struct {
	User   *string        `json:"user"`
	Device *area.DeviceID `json:"device"`
	At     area.Time      `json:"at"`
	Node   string         `json:"node"`
}

// key orders sightings: devices first.
func (s *Sighting) key() string {
	if s.Device != nil {
		return "device/" + string(*s.Device)
	}
	return "user/" + *s.User
}

func (a *API) listLastSeen(c *call) (answer, error) {
	q := c.query()
	user, device := q.text("user"), q.text("device")
	if err := q.err(); err != nil {
		return answer{}, err
	}
	list, err := a.Groups.LastSeen(c.Context(), c.who)
	if err != nil {
		return answer{}, err
	}
	if user != "" || device != "" {
		list = slices.DeleteFunc(list, func(s Sighting) bool {
			return !(s.User != nil && *s.User == user) && !(s.Device != nil && string(*s.Device) == device)
		})
	}
	return page(c, list, (*Sighting).key)
}
