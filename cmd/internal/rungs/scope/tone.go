package scope

import (
	"math"
	"math/cmplx"
	"slices"
)

// Tone is the frequency in hertz and the amplitude of the strongest sine in the
// samples; the frequency is exact to a hundredth of a hertz where there is half
// a second of one tone. Zero for less than 10 ms or silence.
func Tone(samples []int16) (hz, amplitude float64) {
	if len(samples) < Rate/100 {
		return 0, 0
	}
	best, step := crossings(samples), float64(Rate)/float64(len(samples))
	if best == 0 {
		return 0, 0
	}
	// Around what the crossings say the spectrum has one hill, as wide as four
	// steps; the search narrows it down.
	low, high := max(best-2*step, 1), best+2*step
	for high-low > 0.001 {
		a, b := low+(high-low)/3, high-(high-low)/3
		if magnitude(samples, a) < magnitude(samples, b) {
			low = a
		} else {
			high = b
		}
	}
	hz = (low + high) / 2
	return hz, magnitude(samples, hz)
}

// crossings is the frequency by the number of times that the samples rise
// through zero, with the place of the first and the last between samples.
func crossings(samples []int16) float64 {
	n, first, last := 0, 0.0, 0.0
	for i := 1; i < len(samples); i++ {
		a, b := float64(samples[i-1]), float64(samples[i])
		if a < 0 && b >= 0 {
			if last = float64(i-1) + a/(a-b); n == 0 {
				first = last
			}
			n++
		}
	}
	if n < 3 {
		return 0
	}
	return float64(n-1) * Rate / (last - first)
}

// magnitude is the amplitude of a sine of hz in the samples, through a Hann
// window. Sine and window are turned on by a step at each sample, which costs a
// tenth of computing them.
func magnitude(samples []int16, hz float64) float64 {
	n := float64(len(samples))
	step, windowStep := cmplx.Rect(1, 2*math.Pi*hz/Rate), cmplx.Rect(1, 2*math.Pi/n)
	turn, window, sum := complex(1, 0), complex(1, 0), complex(0, 0)
	for _, v := range samples {
		sum += complex(float64(v)*(1-real(window)), 0) * turn
		turn, window = turn*step, window*windowStep
	}
	return 2 * cmplx.Abs(sum) / n
}

// Breaks counts the places at which a sine of hz is not continued: where samples
// are missing, doubled or silent. Fading in and out does not count.
func Breaks(samples []int16, hz float64) int { return len(Pieces(samples, hz)) - 1 }

// Pieces are the parts of samples between the places at which a sine of hz is not
// continued; one where it is whole. A sine is the sum of its two samples before,
// x(n) = 2 cos(w) x(n-1) - x(n-2); a jump breaks that by far more than the
// rounding to 16 bit does.
func Pieces(samples []int16, hz float64) []Span {
	peak := 0.0
	for _, v := range samples {
		peak = max(peak, math.Abs(float64(v)))
	}
	w := 2 * math.Pi * hz / Rate
	k := 2 * math.Cos(w)
	// A jump by one sample changes the value by up to peak*w, once; rounding by 3 at
	// most, twice that where a volume was applied.
	allowed := math.Max(6, peak*w/8)
	out := []Span{{0, len(samples)}}
	for i := 2; i < len(samples); i++ {
		want := k*float64(samples[i-1]) - float64(samples[i-2])
		if math.Abs(float64(samples[i])-want) <= allowed {
			continue
		}
		if last := &out[len(out)-1]; i-last.From > 4 { // a jump is seen by up to three samples
			last.To = i
			out = append(out, Span{i, len(samples)})
		} else {
			last.From = i
		}
	}
	return out
}

// Steady is the frequency of the longest piece: that of the tone, also where a
// busy machine has left gaps in it.
func Steady(samples []int16, hz float64) float64 {
	longest := Span{}
	for _, p := range Pieces(samples, hz) {
		if p.To-p.From > longest.To-longest.From {
			longest = p
		}
	}
	got, _ := Tone(samples[longest.From:longest.To])
	return got
}

// ToneOfPieces is the frequency in hertz of one tone of which pieces are missing, as a
// recording has it whose frames were dropped: that of most of its periods. Zero
// for less than three of them.
func ToneOfPieces(samples []int16) float64 {
	var periods []float64
	last := -1.0
	for i := 1; i < len(samples); i++ {
		a, b := float64(samples[i-1]), float64(samples[i])
		if a >= 0 || b < 0 {
			continue
		}
		at := float64(i-1) + a/(a-b)
		if last >= 0 {
			periods = append(periods, at-last)
		}
		last = at
	}
	if len(periods) < 3 {
		return 0
	}
	slices.Sort(periods)
	middle := periods[len(periods)/2]
	sum, n := 0.0, 0
	for _, p := range periods {
		if math.Abs(p-middle) <= middle/50 {
			sum, n = sum+p, n+1
		}
	}
	return Rate * float64(n) / sum
}
