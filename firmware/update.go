package firmware

import (
	"errors"

	"github.com/tacet-hub/tacet/broker/area"
)

// ErrUpdate is the end of a run after which the device starts with another
// version of its program.
var ErrUpdate = errors.New("device: starting with another version")

// updated is what the status says of updates; nil: the device takes none.
func (a *Agent) updated() *area.Update {
	if a.Update == nil {
		return nil
	}
	u := a.Update()
	return &u
}

// Refresh looks whether the status has changed, and tells the hub.
func (a *Agent) Refresh() { a.enqueue(func() {}) }

// Idle tells whether nothing sounds or waits to: an end now cuts nothing short.
func (a *Agent) Idle() bool { return a.shared.idle.Load() }

// Fault is what is wrong with a part, such as "sound"; empty: nothing that is
// known.
func (a *Agent) Fault(part string) string {
	a.shared.mu.Lock()
	defer a.shared.mu.Unlock()
	return a.shared.faults[part]
}
