package host

import (
	"log/slog"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// guests is who may come in: the members, by what they make of the area's key, and
// who has a credential at the hub, by that. A member may also hand works in, which
// is how what a device has to say by its own schedule becomes an order. Where the
// hub is open nobody is configured.
func guests(p area.Peers, log *slog.Logger) auth.Config {
	if p.Open {
		return auth.Config{}
	}
	by := map[string]int{}
	var cfg auth.Config
	add := func(name string) *auth.Device {
		i, ok := by[name]
		if !ok {
			i = len(cfg.Devices)
			by[name] = i
			cfg.Devices = append(cfg.Devices, auth.Device{Name: name, Area: p.Area})
		}
		return &cfg.Devices[i]
	}
	for _, m := range p.Members {
		d := add(string(m.Device))
		d.Secret = leader.Secret(p.Key, m.Device)
		d.Publish = []string{area.SubmitTopic(p.Area)}
	}
	for _, c := range p.Credentials {
		if err := (auth.Config{Devices: []auth.Device{{Name: c.Name, PasswordHash: c.Hash}}}).Validate(); err != nil {
			log.Warn("a credential of the roster is of no use here", "device", c.Name, "err", err)
			continue
		}
		add(c.Name).PasswordHash = c.Hash
	}
	return cfg
}

// settings is how the area works.
func settings(p area.Peers) arbiter.AreaConfig {
	c := arbiter.AreaConfig{
		ID: p.Area, Name: p.Name, Source: area.SourceConfig, Mode: p.Mode, Topology: p.Topology, Policy: p.Policy, Lease: p.Lease(), Volume: p.Volume,
		ClassicHold: millis(p.ClassicHoldMs), DumbHold: millis(p.DumbHoldMs),
	}
	for _, l := range p.Locations {
		c.Locations = append(c.Locations, arbiter.Place{ID: l.ID, Name: l.Name})
	}
	return c
}
