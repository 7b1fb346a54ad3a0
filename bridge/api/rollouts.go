package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// Rollouts brings devices to other versions: what of [rollout.Service] REST
// needs, and the releases that there are.
type Rollouts interface {
	// Releases are the newest ones, in the order of their architectures. It may wait a
	// second for other nodes.
	Releases(ctx context.Context) []Release
	List() []rollout.Rollout
	Get(id string) (rollout.Rollout, error)
	Start(ctx context.Context, r rollout.Request, by string, may func(area.Name) error) (rollout.Rollout, error)
	Cancel(id, by string) (rollout.Rollout, error)
}

// Release is the newest program for an architecture.
type Release struct {
	Arch       string    `json:"arch"`
	Version    string    `json:"version"`
	MinVersion *string   `json:"min_version"`
	Bytes      int64     `json:"bytes"`
	SHA256     string    `json:"sha256"`
	BuiltAt    area.Time `json:"built_at"`
}

var rolloutRoutes = []route{
	{http.MethodGet, "/releases", auth.Read, (*API).listReleases},
	{http.MethodGet, "/rollouts", auth.Read, (*API).listRollouts},
	{http.MethodPost, "/rollouts", auth.Operate, (*API).createRollout},
	{http.MethodGet, "/rollouts/{rollout}", auth.Read, (*API).getRollout},
	{http.MethodDelete, "/rollouts/{rollout}", auth.Operate, (*API).cancelRollout},
}

func (a *API) listReleases(c *call) (answer, error) {
	var all []Release
	if !c.foreign() {
		all = a.Rollouts.Releases(c.Context())
	}
	return page(c, all, func(r *Release) string { return r.Arch })
}

func (a *API) listRollouts(c *call) (answer, error) {
	var seen []rollout.Rollout
	for _, r := range a.Rollouts.List() {
		if r = c.part(r); len(r.Devices) > 0 {
			seen = append(seen, r)
		}
	}
	return page(c, seen, func(r *rollout.Rollout) string { return r.ID })
}

// part is a rollout with the devices that the caller sees.
func (c *call) part(r rollout.Rollout) rollout.Rollout {
	r.Devices = slices.DeleteFunc(slices.Clone(r.Devices), func(d rollout.Device) bool { return !c.sees(d.Area) })
	return r
}

func (a *API) createRollout(c *call) (answer, error) {
	var req rollout.Request
	if err := c.decode(&req); err != nil {
		return answer{}, err
	}
	if err := c.home(); err != nil {
		return answer{}, err
	}
	r, err := a.Rollouts.Start(c.Context(), req, c.caller(), func(in area.Name) error { return c.may(auth.Operate, in) })
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, body: r, location: "/rollouts/" + r.ID}, nil
}

// rollout is the one that the path names, where the caller sees a device of it.
func (a *API) rollout(c *call) (rollout.Rollout, error) {
	r, err := a.Rollouts.Get(c.PathValue("rollout"))
	switch {
	case err != nil:
		return r, err
	case c.foreign():
		return r, area.Errorf(area.CodeNotFound, "no rollout %.40q", r.ID)
	case len(c.part(r).Devices) == 0:
		return r, c.may(auth.Read, r.Devices[0].Area)
	}
	return r, nil
}

func (a *API) getRollout(c *call) (answer, error) {
	r, err := a.rollout(c)
	if err != nil {
		return answer{}, err
	}
	return ok(c.part(r))
}

// cancelRollout takes a rollout back, for who could have made it.
func (a *API) cancelRollout(c *call) (answer, error) {
	r, err := a.rollout(c)
	if err != nil {
		return answer{}, err
	}
	for _, d := range r.Devices {
		if err := c.may(auth.Operate, d.Area); err != nil {
			return answer{}, err
		}
	}
	if r, err = a.Rollouts.Cancel(r.ID, c.caller()); err != nil {
		return answer{}, err
	}
	return ok(r)
}
