package firmware

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
)

// How a run ends other than in order.
var (
	// ErrPanic is the error of a run in which a goroutine of the agent has
	// panicked. The hardware was switched off at once, and what is known of it
	// was kept for the next start. The process must end: its state is not sound.
	ErrPanic = errors.New("device: a part of the agent has panicked")
	// ErrRestart is the end of a run whose operator asked for another start.
	ErrRestart = errors.New("device: told to start again")
	// ErrReboot is the end of a run whose operator asked for another start of the
	// machine.
	ErrReboot = errors.New("device: told to start the machine again")
)

// spawn starts a goroutine that Run awaits, and that does not die alone.
func (a *Agent) spawn(f func()) {
	a.work.Go(func() {
		defer a.caught()
		f()
	})
}

// caught is deferred by every goroutine of the agent: where it panics the
// hardware is switched off before anything else is done.
func (a *Agent) caught() {
	v := recover()
	if v == nil {
		return
	}
	a.count.panics.Add(1)
	a.off()
	text := fmt.Sprintf("panic: %v\n\n%s", v, debug.Stack())
	kept := os.WriteFile(a.Memory.CrashFile(), []byte(text), 0o600)
	err := fmt.Errorf("%w: %v", ErrPanic, v)
	a.Log.Error("panic, everything is switched off", "err", text)
	if kept != nil {
		a.Log.Error("panic not kept", "err", kept)
	}
	select {
	case a.died <- err:
	default: // another one is reported already
	}
}
