package host

import (
	"errors"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

// giveUpAfter is for how long nothing could be written before a reign ends: nothing
// new is assigned meanwhile, and another member's disk may be well.
const giveUpAfter = 3 * time.Second

// errDisk ends a reign of which nothing can be written.
var errDisk = errors.New("what the leader has to keep cannot be written")

// disk watches over what the store says of its writes; whatever has failed is tried
// again each second, by the arbiter or by the hub. It is pure.
type disk struct {
	failed, written int64
	since           area.Instant // the first failure after the newest success; Never: none
}

func newDisk(s store.Stats) disk {
	return disk{failed: s.Failed + s.Refused, written: s.Written, since: area.Never}
}

// look takes in how the store stands now, and answers whether to give up.
func (d *disk) look(s store.Stats, now area.Instant) bool {
	failed, written := s.Failed+s.Refused, s.Written
	switch {
	case written > d.written:
		d.since = area.Never
	case failed > d.failed && d.since == area.Never:
		d.since = now
	}
	d.failed, d.written = failed, written
	return d.since != area.Never && now.Sub(d.since) >= giveUpAfter
}
