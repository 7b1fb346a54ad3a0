package host

import (
	"log/slog"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// guests is who may come in: the members, by what they make of the area's key, and
// who has a credential at the hub, by that, with its rights there. A member may also hand works in, which
// is how what a device has to say by its own schedule becomes an order. Where the
// hub is open nobody is configured.
func guests(p area.Peers, log *slog.Logger) auth.Config {
	if p.Open {
		return auth.Config{}
	}
	by := map[string]int{}
	var cfg auth.Config
	for _, c := range p.Credentials {
		d := auth.DeviceOf(c, p.Area)
		if err := (auth.Config{Devices: []auth.Device{d}}).Validate(); err != nil {
			log.Warn("a credential of the roster is of no use here", "device", c.Name, "err", err)
			continue
		}
		by[c.Name] = len(cfg.Devices)
		cfg.Devices = append(cfg.Devices, d)
	}
	for _, who := range p.People {
		if err := cfg.Admit(who, p.Area); err != nil {
			log.Warn("a credential of the roster is of no use here", "who", who.Name, "err", err)
		}
	}
	for _, m := range p.Members {
		i, ok := by[string(m.Device)]
		if !ok {
			i = len(cfg.Devices)
			cfg.Devices = append(cfg.Devices, auth.Device{Name: string(m.Device), Area: p.Area})
		}
		d := &cfg.Devices[i]
		d.Secret, d.SecretHash = leader.Secret(p.Key, m.Device), "" // here it needs no other
		d.Publish = []string{area.SubmitTopic(p.Area)}
	}
	return cfg
}

// voters are the members, who vote where the area is strict.
func voters(p area.Peers) (list []arbiter.Voter) {
	for _, m := range p.Members {
		list = append(list, arbiter.Voter{Device: m.Device, MID: m.MID})
	}
	return list
}

// settings is how the area works.
func settings(p area.Peers) arbiter.AreaConfig {
	c := arbiter.AreaConfig{
		ID: p.Area, Name: p.Name, Source: area.SourceConfig, Mode: p.Mode, Topology: p.Topology, Policy: p.Policy, Lease: p.Lease(), Volume: p.Volume,
		ClassicHold: millis(p.ClassicHoldMs), DumbHold: millis(p.DumbHoldMs), EmergencyBarge: millis(p.BargeMs),
	}
	for _, l := range p.Locations {
		c.Locations = append(c.Locations, arbiter.Place{ID: l.ID, Name: l.Name})
	}
	return c
}
