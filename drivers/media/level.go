package media

import "time"

const (
	attack  = 5 * time.Millisecond   // in which the limiter takes the level down, before the peak
	release = 200 * time.Millisecond // in which it gives it back, after it
	fade    = 150 * time.Millisecond // in which ducked sound goes down and comes back

	mostVolume = 1_000_000 // percent; so that a sample fits into 32 bits
)

// Volume is s with its amplitude at percent of what it was; 0 or less is
// silence, over 100 is louder, up to 1,000,000. What would not fit is made to fit as [Limit] does.
// s is not changed.
func (s Sound) Volume(percent int) Sound {
	wide := make([]int32, len(s))
	for i, v := range s {
		wide[i] = int32(int64(v) * int64(min(max(percent, 0), mostVolume)) / 100)
	}
	return Limit(wide)
}

// Mix is a and b at the same time, as long as the longer. What would not fit is
// made to fit as [Limit] does.
func Mix(a, b Sound) Sound {
	wide := make([]int32, max(len(a), len(b)))
	for i, v := range a {
		wide[i] = int32(v)
	}
	for i, v := range b {
		wide[i] += int32(v)
	}
	return Limit(wide)
}

// Limit makes samples of any height into a [Sound] without cutting a peak off,
// which would be heard as a crackle: the level goes down within 5 ms before what
// is too high, and comes back within 200 ms after it. What fits is not changed.
func Limit(wide []int32) Sound {
	const full = 1 << 30 // a gain of 1
	out := make(Sound, len(wide))
	gain := make([]int64, len(wide))
	for i, v := range wide {
		gain[i] = full
		if h := height(v); h > 32767 {
			gain[i] = 32767 * full / h
		}
	}
	slope(gain, full/int64(Samples(attack)), full/int64(Samples(release)))
	for i, v := range wide {
		out[i] = clip(int64(v) * gain[i] / full)
	}
	return out
}

func height(v int32) int64 {
	if v < 0 {
		return -int64(v)
	}
	return int64(v)
}

// slope lowers gains so that they fall by at most down and rise by at most up
// from one to the next; none is raised.
func slope(gain []int64, down, up int64) {
	for i := len(gain) - 2; i >= 0; i-- {
		gain[i] = min(gain[i], gain[i+1]+down)
	}
	for i := 1; i < len(gain); i++ {
		gain[i] = min(gain[i], gain[i-1]+up)
	}
}

// Duck mixes voice into under from the given moment on; while the voice is
// there, and for 150 ms before and after, under is at percent (0 to 100) of its
// amplitude. A moment before the start is the start.
func Duck(under, voice Sound, at time.Duration, percent int) Sound {
	const full = 1 << 30
	from := Samples(at)
	low := int64(min(max(percent, 0), 100)) * full / 100
	gain := make([]int64, max(len(under), from+len(voice)))
	for i := range gain {
		gain[i] = full
		if i >= from && i < from+len(voice) {
			gain[i] = low
		}
	}
	step := (full - low) / int64(Samples(fade))
	slope(gain, max(step, 1), max(step, 1))
	wide := make([]int32, len(gain))
	for i, v := range under {
		wide[i] = int32(int64(v) * gain[i] / full)
	}
	for i, v := range voice {
		wide[from+i] += int32(v)
	}
	return Limit(wide)
}
