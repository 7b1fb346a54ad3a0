package firmware

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// The states of a status light: what a person who stands before the device can
// see of it. A driver has a pattern for each.
const (
	LightBooting     = "booting"      // started, and the hub has not answered yet
	LightNoNetwork   = "no_network"   // the machine has no network
	LightNoHub       = "no_hub"       // no hub answers
	LightNoSound     = "no_sound"     // connected, and nothing that it could sound by works
	LightFault       = "fault"        // connected, and something does not work, or the newest order could not be made into sound: the status says what
	LightOK          = "ok"           // connected, idle
	LightAlone       = "alone"        // connected to the leader of its area, idle; the hub cannot be reached
	LightPlaying     = "playing"      // it sounds
	LightMuted       = "muted"        // connected or not, somebody has muted it
	LightSafeMode    = "safe_mode"    // it does nothing but wait to be repaired
	LightConfigError = "config_error" // its configuration has a fault: the log says which
)

// Lights is every state of a status light.
func Lights() []string {
	return []string{LightBooting, LightNoNetwork, LightNoHub, LightNoSound, LightFault, LightOK, LightAlone, LightPlaying, LightMuted, LightSafeMode, LightConfigError}
}

const (
	bootTime   = 15 * time.Second // after which a device that nobody answers is no longer booting
	lightEvery = time.Second      // how often the network is looked at while there is no connection
)

// Alert has the status light show state, such as [LightSafeMode], in place of
// what the agent would have it show; empty: no longer.
func (a *Agent) Alert(state string) {
	a.shared.alert.Store(&state)
	a.enqueue(func() {}) // so that it is shown
}

// lit has the light show what is the case now.
func (a *Agent) lit(now area.Instant) {
	state := a.lightNow(now)
	if state == a.light {
		return
	}
	a.light = state
	if err := a.Beacon.Light(state); err != nil {
		a.warnOnce("light", "status light not switched", "err", err)
	}
}

// lightNow is the first of these that is the case. A play comes before the mute:
// where both are, it is an emergency that is heard.
func (a *Agent) lightNow(now area.Instant) string {
	alert := a.shared.alert.Load()
	switch {
	case now < a.blinks: // somebody looks for it
		return LightPlaying
	case alert != nil && *alert != "":
		return *alert
	case a.play != nil && !a.play.quiet():
		return LightPlaying
	case a.shared.muted.Load():
		return LightMuted
	case a.link.up && a.greeted && a.output() == noOutput:
		return LightNoSound
	case a.link.up && a.greeted && a.faulty():
		return LightFault
	case a.link.up && a.greeted && a.Alone != nil && a.Alone():
		return LightAlone
	case a.link.up && a.greeted:
		return LightOK
	case !a.link.up && a.unwelcome(): // it has to be enrolled again
		return LightConfigError
	case !a.greeted && now < a.began.Add(bootTime):
		return LightBooting
	case a.link.up:
		return LightNoHub
	case a.Network != nil && !a.Network():
		return LightNoNetwork
	}
	return LightNoHub
}

// unwelcome tells whether the hub refuses the device's credential.
func (a *Agent) unwelcome() bool {
	r, knows := a.Uplink.(Refusable)
	return knows && r.Refused()
}
