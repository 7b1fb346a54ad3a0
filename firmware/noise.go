package firmware

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// NoiseCurve is how much louder a device is in a noisy room: nothing at Quiet and
// below, Boost at Loud and above, and in a line in between. The zero curve adds
// nothing.
type NoiseCurve struct {
	Quiet, Loud float64 // dB, as the microphone tells them
	Boost       int     // percent that are added to the volume, 0 to 100; 0: it is off
}

// Validate tells everything that is wrong with the curve at once.
func (c NoiseCurve) Validate() error {
	if c == (NoiseCurve{}) {
		return nil
	}
	var faults []error
	for _, v := range []float64{c.Quiet, c.Loud} {
		if !(v >= -120 && v <= 150) { // nor is it a number, else
			faults = append(faults, fmt.Errorf("%v dB is not -120 to 150", v))
		}
	}
	if c.Boost < 0 || c.Boost > 100 {
		faults = append(faults, fmt.Errorf("boost %d is not 0 to 100", c.Boost))
	}
	if c.Boost > 0 && !(c.Loud-c.Quiet >= 1) {
		faults = append(faults, fmt.Errorf("loud (%v dB) is not at least 1 dB above quiet (%v dB)", c.Loud, c.Quiet))
	}
	return errors.Join(faults...)
}

// At is what is added at a level.
func (c NoiseCurve) At(db float64) int {
	if c.Boost <= 0 {
		return 0
	}
	part := (db - c.Quiet) / (c.Loud - c.Quiet)
	return int(math.Round(float64(c.Boost) * min(max(part, 0), 1)))
}

const (
	noiseWeight = 0.3 // of a new level in the mean: a door that slams is no noise
	noiseStep   = 4   // percent; less of a change is none
)

// follower makes a boost of the levels that are heard. It is pure. The boost
// follows the mean of the levels, and stays where it is until the curve has moved
// by noiseStep, or to one of its ends.
type follower struct {
	heard bool // there is a mean
	mean  float64
	boost int
}

// hear takes in a level, and answers the boost; what is no number is not heard.
func (f *follower) hear(c NoiseCurve, db float64) int {
	switch {
	case math.IsNaN(db) || math.IsInf(db, 0):
		return f.boost
	case !f.heard:
		f.heard, f.mean = true, db
	default:
		f.mean += noiseWeight * (db - f.mean)
	}
	at := c.At(f.mean)
	if at == 0 || at == c.Boost || at-f.boost >= noiseStep || f.boost-at >= noiseStep {
		f.boost = at
	}
	return f.boost
}

// Noise tells the agent how loud it is in the room, in dB; taken is when the
// measurement began, on the agent's clock. While the area sounds, and for a
// moment after, the microphone hears the loudspeakers: such a level is not
// counted, or the device would become louder by its own voice. It is safe for
// concurrent use and does not block.
func (a *Agent) Noise(db float64, taken time.Duration) {
	a.enqueue(func() {
		if a.cfg.Noise.Boost == 0 || a.sounds() || area.Instant(taken) < a.sounded {
			return
		}
		if boost := a.noise.hear(a.cfg.Noise, db); int64(boost) != a.shared.boost.Swap(int64(boost)) {
			a.Log.Info("volume follows the noise", "n", boost)
		}
	})
}

// echoTime is how long a room is left to itself after a sound.
const echoTime = time.Second

// sounds tells whether the area sounds, as far as is known here.
func (a *Agent) sounds() bool { return a.play != nil || a.busy != nil && a.busy.Flag() == "1" }

// noteSound notes until when the room is not to be believed: it is called after
// everything that happens, so also when a sound begins and when it ends.
func (a *Agent) noteSound(now area.Instant) {
	loud := a.sounds()
	if loud || a.loud {
		a.sounded = now.Add(echoTime)
	}
	a.loud = loud
}
