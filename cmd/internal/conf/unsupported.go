package conf

import (
	"strconv"

	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// unsupported refuses what the contract has and this version has not. To
// configure it and get a hub without it would be worse than no hub.
func (c *Config) unsupported() (fs settings.Faults) {
	for _, key := range []struct {
		name string
		set  bool
	}{
		{"auth.oidc", c.Auth.OIDC != OIDC{}},
	} {
		if key.set {
			fs = append(fs, c.Faultf(key.name, "not supported in this version"))
		}
	}
	return fs
}

// unenforced warns of what is shown and not yet kept.
func (c *Config) unenforced() {
	for i, a := range c.Areas {
		if len(a.QuietHours) > 0 {
			f := c.Faultf("areas["+strconv.Itoa(i)+"].quiet_hours", "shown, but not kept in this version")
			c.Warnings = append(c.Warnings, f.String())
		}
	}
}
