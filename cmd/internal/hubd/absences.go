package hubd

import (
	"time"

	"github.com/tacet-hub/tacet/bridge/absence"
	"github.com/tacet-hub/tacet/bridge/devicehub"
)

// makeAbsences makes what keeps what lost connections have left.
func (h *Hub) makeAbsences() (err error) {
	table := h.shared.Table("absences")
	if h.absences, err = absence.New(absence.Config{Node: h.cfg.Node}, table, time.Now, h.log); err != nil {
		return err
	}
	table.Watch(func(who string, value []byte) {
		if value != nil {
			h.devices.Left(who) // he may have come back here before another node knew that he was gone
		}
	})
	return nil
}

// keepsAbsences is what keeps them, for the device hub; nil: clients rejoin their groups
// themselves.
func (h *Hub) keepsAbsences() devicehub.Absences {
	if !h.cfg.Hub.Rejoin {
		return nil
	}
	return h.absences
}
