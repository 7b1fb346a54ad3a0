package firmware

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// When a start counts as failed, and what many of them lead to.
const (
	goodAfter   = time.Minute      // a start that lives for so long is good
	mostFailed  = 5                // failed starts in a row, none of them before failWindow, lead to safe mode
	failWindow  = 10 * time.Minute // where the clock is known
	crashLength = 16 << 10         // bytes of the last lines before a crash that are kept
)

// Machine is what a start can learn of the machine that it runs on.
type Machine struct {
	Kernel   string    // names the run of the machine; empty: not known
	Reset    bool      // its watchdog says that it reset the machine
	Now      time.Time // wall clock
	Clock    string    // what is known of Now: one of the clock states of package area
	Settings string    // digest of the configuration
}

// Start is how this start came about.
type Start struct {
	Reason string // one of the Boot reasons of package area
	Failed int    // starts before this one, in a row, that ended before they were good
	Safe   bool   // so many of them that this one should do nothing but wait to be repaired
}

// run is what is kept of the present run, for the next start. It is written when
// the run begins, when it is good, and when it ends: three times.
type run struct {
	State    string  `json:"state"`            // begun, good or ended
	Ended    string  `json:"ended,omitempty"`  // how: orderly or update
	Hung     string  `json:"hung,omitempty"`   // what made no progress when the watchdog was last fed
	Kernel   string  `json:"kernel,omitempty"` // machine's run
	Settings string  `json:"settings,omitempty"`
	Failed   []int64 `json:"failed,omitempty"` // when the failed starts before it began; Unix seconds, 0: not known
	Began    int64   `json:"began"`            // Unix seconds, 0: not known
	Safe     bool    `json:"safe,omitempty"`
}

const (
	runBegun = "begun"
	runGood  = "good"
	runEnded = "ended"
)

// next is the run after r on machine m, and how it came about. The first run of
// a device has a zero r.
func (r run) next(m Machine) (run, Start) {
	n := run{State: runBegun, Kernel: m.Kernel, Settings: m.Settings}
	if m.Clock != area.ClockUnknown {
		n.Began = m.Now.Unix()
	}
	reason := r.reason(m)
	switch {
	case r.State == "", r.State == runEnded && (r.Ended == area.BootUpdate || r.Ended == endRestart), r.Settings != m.Settings:
		// a new beginning: somebody has done something
	case r.State == runBegun: // it failed
		n.Failed = append(slices.Clone(r.Failed), r.Began)
	case r.Safe: // it was good at being safe, which repairs nothing
		n.Failed = r.Failed
	}
	if !n.Safe && !r.Safe {
		n.Failed = slices.DeleteFunc(n.Failed, func(at int64) bool {
			return at != 0 && n.Began != 0 && time.Duration(n.Began-at)*time.Second > failWindow
		})
	}
	n.Failed = n.Failed[max(0, len(n.Failed)-2*mostFailed):]
	n.Safe = len(n.Failed) >= mostFailed
	return n, Start{Reason: reason, Failed: len(n.Failed), Safe: n.Safe}
}

// reason is why the run after r was started.
func (r run) reason(m Machine) string {
	switch {
	case r.Hung != "" || m.Reset:
		return area.BootWatchdog
	case r.State == runEnded && r.Ended == area.BootUpdate:
		return area.BootUpdate
	case r.State == "", r.Kernel != m.Kernel:
		return area.BootPowerOn
	case r.State == runEnded:
		return area.BootOrderly
	}
	return area.BootCrash
}

// endRestart is how a run ends that was told to start again: the next one begins
// with a clean record.
const endRestart = "restart"
