package api

import (
	"cmp"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// How a device came by its credential.
const (
	credentialConfigured = "configured" // by the configuration
	credentialEnrolled   = "enrolled"   // by a code, which it traded
	credentialWaiting    = "waiting"    // it has none yet: a code waits for it
)

// deviceCredential is what is known of one device's credential, whether it ever
// connected or not.
type deviceCredential struct {
	Device      area.DeviceID `json:"device"`
	Area        *area.Name    `json:"area"`
	State       string        `json:"state"`
	CreatedAt   *area.Time    `json:"created_at"`
	CreatedBy   *string       `json:"created_by"`
	CodeExpires *area.Time    `json:"code_expires_at"`
	Publish     []string      `json:"publish"`
	Subscribe   []string      `json:"subscribe"`
}

// listCredentials is the devices that may connect, and those for which a code
// waits, of the areas that the caller runs.
func (a *API) listCredentials(c *call) (answer, error) {
	byDevice := map[area.DeviceID]deviceCredential{}
	for _, e := range a.Credentials.Devices(c.who.Tenant) {
		if c.may(auth.Operate, e.Area) == nil {
			byDevice[e.Device] = credentialOf(e)
		}
	}
	for _, w := range a.Credentials.Waiting(c.who.Tenant) {
		if c.may(auth.Operate, w.Area) != nil {
			continue
		}
		known, ok := byDevice[w.Device]
		if !ok {
			known = deviceCredential{Device: w.Device, Area: areaOrNil(w.Area), State: credentialWaiting, CreatedBy: &w.By,
				Publish: append([]string{}, w.Publish...), Subscribe: append([]string{}, w.Subscribe...)}
		}
		if known.CodeExpires == nil { // the one that is good for longest comes first
			at := area.At(w.Expires)
			known.CodeExpires = &at
		}
		byDevice[w.Device] = known
	}
	all := make([]deviceCredential, 0, len(byDevice))
	for _, one := range byDevice {
		all = append(all, one)
	}
	slices.SortFunc(all, func(x, y deviceCredential) int { return cmp.Compare(x.Device, y.Device) })
	return page(c, all, func(d *deviceCredential) string { return string(d.Device) })
}

func credentialOf(e auth.Enrolled) deviceCredential {
	out := deviceCredential{Device: e.Device, Area: areaOrNil(e.Area), State: credentialConfigured,
		Publish: append([]string{}, e.Publish...), Subscribe: append([]string{}, e.Subscribe...)}
	if !e.Configured {
		at := area.At(e.Created)
		out.State, out.CreatedAt, out.CreatedBy = credentialEnrolled, &at, &e.By
	}
	return out
}

func areaOrNil(a area.Name) *area.Name {
	if a == "" {
		return nil
	}
	return &a
}
