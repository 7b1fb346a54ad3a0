package scope

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestToneOfPieces: a third of the tone is missing, a millisecond here and a few there,
// and its frequency is what it was.
func TestToneOfPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	var out []int16
	for i := 0; i < 2*Rate; {
		if r.IntN(12) == 0 {
			i += Rate / 1000 * (1 + r.IntN(10))
		}
		for range Rate / 1000 {
			out = append(out, int16(9000*math.Sin(2*math.Pi*660*float64(i)/Rate)))
			i++
		}
	}
	if hz := ToneOfPieces(out); math.Abs(hz-660) > 0.5 {
		t.Errorf("%.2f Hz in %d samples", hz, len(out))
	}
	if hz := ToneOfPieces(out[:50]); hz != 0 {
		t.Errorf("%.2f Hz in a part of a period", hz)
	}
}
