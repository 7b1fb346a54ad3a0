package gpio

import (
	"maps"
	"time"
)

// A Pattern is how long a light is on and off in turn, beginning with on; then
// it begins again. One duration alone means on for good.
type Pattern []time.Duration

const (
	short = 100 * time.Millisecond
	blip  = 150 * time.Millisecond
	long  = 700 * time.Millisecond
	half  = 500 * time.Millisecond
	rest  = 1400 * time.Millisecond
)

// patterns are told apart at a glance: how often it blinks counts what is
// missing (one: network, two: hub, three: configuration, four: sound, five:
// something else), steady is well, steady with a wink is well without the hub.
var patterns = map[string]Pattern{
	"booting":      {half, half},
	"no_network":   {blip, rest},
	"no_hub":       {blip, blip, blip, rest},
	"config_error": {blip, blip, blip, blip, blip, rest},
	"no_sound":     {blip, blip, blip, blip, blip, blip, blip, rest},
	"fault":        {blip, blip, blip, blip, blip, blip, blip, blip, blip, rest},
	"safe_mode":    {long, blip, long, rest},
	"ok":           {time.Hour},
	"alone":        {2 * rest, blip},
	"playing":      {short, short},
	"muted":        {long, short},
}

// Patterns is the pattern of every state that a status light can show, by the
// names of firmware's Lights.
func Patterns() map[string]Pattern { return maps.Clone(patterns) }

// At tells whether the light is on at the given time after the beginning, and
// for how much longer it stays so.
func (p Pattern) At(since time.Duration) (on bool, left time.Duration) {
	if len(p) < 2 {
		return len(p) == 1, time.Hour
	}
	var all time.Duration
	for _, d := range p {
		all += d
	}
	since %= all
	for i, d := range p {
		if since < d {
			return i%2 == 0, d - since
		}
		since -= d
	}
	return false, all // not reached: since is below the sum
}
