package media

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// amplitude of hz in s, which was taken rate times a second (Goertzel).
func amplitude(s []int16, hz float64, rate int) float64 {
	w := 2 * math.Pi * hz / float64(rate)
	var a, b float64
	for _, v := range s {
		a, b = float64(v)+2*math.Cos(w)*a-b, a
	}
	re, im := a-b*math.Cos(w), b*math.Sin(w)
	return 2 * math.Hypot(re, im) / float64(len(s))
}

func sine(hz float64, rate, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(math.Round(10000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return out
}

// A tone comes out as it went in; one that the new rate cannot carry is not
// there at all, neither itself nor as what it would fold to.
func TestResamplerKeepsAndKeepsOut(t *testing.T) {
	for _, c := range []struct{ from, to int }{{44100, Rate}, {48000, Rate}, {8000, Rate}, {Rate, 48000}, {Rate, 44100}, {Rate, 8000}, {96000, Rate}, {44101, Rate}} {
		r := NewResampler(c.from, c.to)
		in := sine(587, c.from, c.from)
		out := r.Flush(r.Push(nil, in))
		if len(out) != c.to {
			t.Errorf("%d to %d Hz: %d samples", c.from, c.to, len(out))
		}
		if a := amplitude(out, 587, c.to); a < 9950 || a > 10050 {
			t.Errorf("%d to %d Hz: amplitude %.0f of 10000", c.from, c.to, a)
		}
		if c.from <= c.to {
			continue
		}
		high := 0.7 * float64(c.to) // folds to 0.3 of it
		out = r.Flush(r.Push(out[:0], sine(high, c.from, c.from)))
		if a := amplitude(out, float64(c.to)-high, c.to); a > 10 {
			t.Errorf("%d to %d Hz: %.0f Hz came back as another tone, %.1f of 10000", c.from, c.to, high, a)
		}
	}
}

// However sound is cut into pieces, the same comes out.
func TestResamplerByPieces(t *testing.T) {
	in := sine(440, 48000, 10000)
	whole := Resample(in, 48000)
	rng := rand.New(rand.NewPCG(1, 2))
	r := NewResampler(48000, Rate)
	for range 3 {
		var out []int16
		for rest := in; len(rest) > 0; {
			n := min(rng.IntN(500), len(rest))
			out = r.Push(out, rest[:n])
			rest = rest[n:]
		}
		if out = r.Flush(out); !slices.Equal(out, whole) {
			t.Fatalf("%d samples by pieces, %d at once, or not the same", len(out), len(whole))
		}
	}
	if cap(r.held) > 4096 {
		t.Errorf("it keeps %d samples", cap(r.held))
	}
}

func BenchmarkResampleSecond(b *testing.B) {
	in := sine(440, Rate, Rate)
	r := NewResampler(Rate, 48000)
	var out []int16
	for b.Loop() {
		out = r.Flush(r.Push(out[:0], in))
	}
}
