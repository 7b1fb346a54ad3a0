package hubd

import (
	"context"
	"errors"
	"strings"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// Reload takes users, devices, issuers, areas, mappings and schedules of a
// configuration that was read again, and reads the certificates again. No
// connection is dropped but of those whose rights have changed. What else has
// changed needs a start: the log names its keys.
// Its error tells everything that was not taken; the rest was. It may be called
// once the hub is ready.
func (h *Hub) Reload(ctx context.Context, cfg conf.Config) error {
	if keys := h.cfg.NeedStart(cfg); len(keys) > 0 {
		h.log.Warn("changed keys need a start", "rule", strings.Join(keys, " "), "n", len(keys))
	}
	err := h.roster.Configure(areaConfigs(cfg.Areas))
	e := h.rulebook.Configure(rules(cfg.Mappings))
	known, bad := cfg.Identity()
	if bad == nil {
		bad = h.auth.Reload(known)
	}
	return errors.Join(h.certs.reload(), bad, err, e, h.schedule.Reload(ctx, schedules(cfg.Schedules)))
}
