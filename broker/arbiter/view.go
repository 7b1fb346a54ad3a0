package arbiter

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Counts are what a core has counted since it was made.
type Counts struct {
	Grants       uint64 // new grants, repeats and extensions apart
	LeaseExpired uint64 // leases that ended without a done
	Conflicts    uint64 // devices that sounded without a right
	Intruders    uint64 // dumb and classic devices that sounded while another held, or past their time
	Preemptions  uint64
	Barges       uint64 // emergencies that sounded beside a holder that did not answer
	Unbacked     uint64 // times that a strict area lost its majority
	Adoptions    uint64 // holders taken over from an earlier arbiter
	Disconnects  uint64
	Settlings    uint64
	Stale        uint64 // messages of an older start
	Replaced     uint64 // messages of a machine whose name another has
	Dropped      uint64 // messages that were too old, or over a bound
}

// Waiting is a place in the queue, or what holds the area, for estimates.
type Waiting struct {
	Device area.DeviceID
	Work   area.WorkID // empty: sound without an order
	Prio   area.Priority
	Dur    time.Duration // 0: not known
	Since  area.Instant  // in the queue, or holding, since
}
