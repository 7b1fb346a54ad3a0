package auth

import (
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Enrolled is a device with a credential that it was given by enrolment, or
// that the configuration defines.
type Enrolled struct {
	Device     area.DeviceID
	Area       area.Name
	Tenant     string
	Configured bool      // by the configuration: it cannot be revoked here
	Created    time.Time // zero where configured
	By         string    // who enrolled it
	Publish    []string  // its rules beside its own branch
	Subscribe  []string
}

// Devices lists the devices of a tenant that may connect, by id. What it answers
// is not to be written to.
func (a *Authority) Devices(tenant string) []Enrolled {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var list []Enrolled
	for _, r := range a.by {
		if p := r.principal; p.Kind == KindDevice && p.Tenant == tenantOr(tenant) {
			list = append(list, Enrolled{Device: area.DeviceID(p.Name), Area: p.Area, Tenant: p.Tenant, Configured: r.configured,
				Created: r.created, By: r.by, Publish: p.Publish, Subscribe: p.Subscribe})
		}
	}
	slices.SortFunc(list, func(x, y Enrolled) int { return strings.Compare(string(x.Device), string(y.Device)) })
	return list
}

// Waiting is a code that waits for its device, without the code.
type Waiting struct {
	Enrolment
	Expires time.Time
}

// Waiting lists the codes of a tenant that wait and are still good, by device,
// the one that is good for longest first. What it answers is not to be written
// to.
func (a *Authority) Waiting(tenant string) []Waiting {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var list []Waiting
	for _, e := range a.pending {
		if e.Tenant == tenantOr(tenant) && a.now().Before(e.Expires) {
			list = append(list, Waiting{e.Enrolment, e.Expires})
		}
	}
	slices.SortFunc(list, func(x, y Waiting) int {
		if c := strings.Compare(string(x.Device), string(y.Device)); c != 0 {
			return c
		}
		return y.Expires.Compare(x.Expires)
	})
	return list
}
