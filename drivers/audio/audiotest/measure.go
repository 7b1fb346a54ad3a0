package audiotest

import (
	"math"
	"time"
)

// Heard is the least height of a sample that counts as sound.
const Heard = 100

// Span is a stretch of sound: samples Start to End, which does not belong to it.
type Span struct{ Start, End int }

// Spans finds the stretches of sound in a recording. Silence of less than 100 ms
// does not end one.
func Spans(s []int16, rate int) []Span {
	var spans []Span
	for i, v := range s {
		if v < Heard && v > -Heard {
			continue
		}
		if n := len(spans); n > 0 && i-spans[n-1].End < rate/10 {
			spans[n-1].End = i + 1
		} else {
			spans = append(spans, Span{i, i + 1})
		}
	}
	return spans
}

// Gaps counts the silences of at least 2 ms within the sound of s, which must be
// a tone of over 300 Hz.
func Gaps(s []int16, rate int) int {
	gaps, last := 0, -1
	for i, v := range s {
		if v < Heard && v > -Heard {
			continue
		}
		if last >= 0 && i-last > rate/500 {
			gaps++
		}
		last = i
	}
	return gaps
}

// Pitch is the dominant frequency of s between 200 and 2,000 Hz, to 0.1 Hz, and
// its amplitude: sought in a twentieth of a second, then in ever more.
func Pitch(s []int16, rate int) (hz, height float64) {
	n := rate / 20
	hz, height = loudest(s[:min(n, len(s))], rate, 200, 2000, 10)
	for step := 5.0; step >= 0.05; step /= 2 {
		n *= 2
		hz, height = loudest(s[:min(n, len(s))], rate, hz-3*step, hz+3*step, step)
	}
	return hz, height
}

func loudest(s []int16, rate int, from, to, step float64) (hz, height float64) {
	for f := from; f <= to; f += step {
		if a := Amplitude(s, f, rate); a > height {
			hz, height = f, a
		}
	}
	return hz, height
}

// Amplitude is the height of one frequency in s (Goertzel).
func Amplitude(s []int16, hz float64, rate int) float64 {
	w := 2 * math.Pi * hz / float64(rate)
	var a, b float64
	for _, v := range s {
		a, b = float64(v)+2*math.Cos(w)*a-b, a
	}
	return 2 * math.Hypot(a-b*math.Cos(w), b*math.Sin(w)) / float64(len(s))
}

// Tone is a sine of hz with an amplitude of 10,000, as 16 bit little-endian
// samples.
func Tone(hz float64, d time.Duration, rate int) []byte {
	b := make([]byte, 2*int(d.Seconds()*float64(rate)))
	for i := 0; i < len(b); i += 2 {
		v := int16(math.Round(10000 * math.Sin(2*math.Pi*hz*float64(i/2)/float64(rate))))
		b[i], b[i+1] = byte(v), byte(v>>8)
	}
	return b
}
