package hubd

import (
	"context"
	"errors"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// Reload takes users, devices, issuers, areas, mappings and schedules of a
// configuration that was read again, and reads the certificates again. No
// connection is dropped but of those whose rights have changed. What else has
// changed needs a start.
// Its error tells everything that was not taken; the rest was. It may be called
// once the hub is ready.
func (h *Hub) Reload(ctx context.Context, cfg conf.Config) error {
	err := h.roster.Configure(areaConfigs(cfg.Areas))
	table, e := mapping.Compile(rules(cfg.Mappings))
	if e == nil {
		h.pump.Remap(table)
	}
	known, bad := cfg.Identity()
	if bad == nil {
		bad = h.auth.Reload(known)
	}
	return errors.Join(h.certs.reload(), bad, err, e, h.schedule.Reload(ctx, schedules(cfg.Schedules)))
}
