package firmware

import (
	"errors"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Config says which device this is.
type Config struct {
	Device   area.DeviceID // needed
	Area     area.Name     // whose topics it speaks on, until the hub says that it is in another; needed
	AreaText string        // the area as the operator wrote it, such as "North Wing"; empty: Area
	Location string        // where in the area it is mounted; empty: not known
	Name     string        // for people; empty: Device
	Volume   int           // percent, 0 to 100; the order's volume is taken of it
	Rate     int           // samples a second; needed
	Queue    int           // works that wait here while one plays; 0: 2
	AmpHold  time.Duration // how long the amplifier stays on after a play; 0: 2 s
	AmpLead  time.Duration // how long it is on before the first sample, where it was off; at most 1 s; 0: not at all
	Noise    NoiseCurve    // how the volume follows the noise in the room; zero: not at all
	Audio    string        // what makes the sound, for the status: "sim", "aplay"
	Version  string        // of the program, for the status
	Web      string        // where the hub's web listener is; empty: the hub tells

	Start     Start         // how this start came about; Safe: nothing sounds, and no work is taken
	FeedEvery time.Duration // how often the watchdog is fed while there is progress, and a third of what it takes without; 0: 5 s
}

// Defaults and fixed times.
const (
	defaultQueue   = 2
	defaultAmpHold = 2 * time.Second
	mostLead       = time.Second // of a lease that may be 1 s

	chunk      = 20 * time.Millisecond  // of sound written at once
	ahead      = 50 * time.Millisecond  // of sound written and not heard: COORDINATION.md §3.3
	perWaiting = 50 * time.Millisecond  // a take waits so long for each work that is here already: §3.5
	takeJitter = 20 * time.Millisecond  // same
	mutedWait  = 500 * time.Millisecond // a muted device waits so long besides: a neighbour can be heard
	leaveTime  = 1500 * time.Millisecond
	drainTime  = 2 * time.Second // for the last 50 ms: a loudspeaker that takes longer is stuck
	noOutput   = area.AudioNone  // for the status, of a player that has no way to sound
	identify   = 5 * time.Second
	blink      = 250 * time.Millisecond
	inboxLen   = 256
	mostTaken  = 16 // works that package turn takes at a time
	longest    = 15 * time.Minute

	defaultFeedEvery = 5 * time.Second
)

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("device: "+format, args...))
		}
	}
	fault(!area.IsID(string(c.Device)), "device id %q is not 1 to 64 of A-Z a-z 0-9 _ -", c.Device)
	fault(!area.IsID(string(c.Area)), "area id %q is not 1 to 64 of A-Z a-z 0-9 _ -", c.Area)
	fault(len(c.AreaText) > 128 || len(c.Location) > 128 || len(c.Name) > 128, "area, location or name is over 128 bytes")
	fault(c.Volume < 0 || c.Volume > 100, "volume %d is not 0 to 100", c.Volume)
	fault(c.Rate < 8000 || c.Rate > 192000, "rate %d is not 8000 to 192000", c.Rate)
	fault(c.Queue < 0 || c.Queue > mostTaken/2, "queue %d is not 0 to %d", c.Queue, mostTaken/2)
	fault(c.AmpHold < 0, "amplifier hold %v is negative", c.AmpHold)
	fault(c.AmpLead < 0 || c.AmpLead > mostLead, "amplifier lead %v is not 0 to %v", c.AmpLead, mostLead)
	if err := c.Noise.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("device: noise curve: %w", err))
	}
	fault(c.FeedEvery < 0, "interval of the watchdog %v is negative", c.FeedEvery)
	return errors.Join(faults...)
}

func (c *Config) fill() {
	if c.AreaText == "" {
		c.AreaText = string(c.Area)
	}
	if c.Name == "" {
		c.Name = string(c.Device)
	}
	if c.Queue == 0 {
		c.Queue = defaultQueue
	}
	if c.AmpHold == 0 {
		c.AmpHold = defaultAmpHold
	}
	if c.FeedEvery == 0 {
		c.FeedEvery = defaultFeedEvery
	}
}

// bytes is how many bytes of sound last d.
func (c Config) bytes(d time.Duration) int {
	return 2 * int(int64(c.Rate)*int64(d/time.Microsecond)/1e6)
}

// length is how long n bytes of sound last.
func (c Config) length(n int) time.Duration {
	return time.Duration(n/2) * time.Second / time.Duration(c.Rate)
}
