package media

import (
	"math"
	"testing"
	"time"
)

// wave is a sine of n samples with the given peak.
func wave(hz, peak float64, n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(peak * math.Sin(2*math.Pi*hz*float64(i)/Rate))
	}
	return out
}

// highest is the greatest height in s, and how many samples stand at the very
// end of the range in a row: what a cut peak looks like.
func highest(s Sound) (top int64, flat int) {
	row := 0
	for _, v := range s {
		top = max(top, height(int32(v)))
		if height(int32(v)) < 32767 {
			row = 0
			continue
		}
		row++
		flat = max(flat, row)
	}
	return top, flat
}

func TestLimiterCutsNoPeak(t *testing.T) {
	cases := map[string][]int32{
		"three times too loud": wave(440, 3*32767, Rate),
		"just too loud":        wave(1000, 32800, Rate),
		"a hundred times":      wave(90, 100*32767, Rate),
	}
	for name, in := range cases {
		out := Limit(in)
		top, flat := highest(out)
		if len(out) != len(in) || top > 32767 || top < 32000 || flat > 1 {
			t.Errorf("%s: %d of %d samples, highest %d, %d in a row at the end of the range", name, len(out), len(in), top, flat)
		}
	}
	for i, v := range Limit(wave(440, 32767, 1000)) {
		if want := wave(440, 32767, 1000)[i]; int32(v) != want {
			t.Fatalf("sample %d, which fits, is %d and not %d", i, v, want)
		}
	}
}

// The gain is seen on a low tone under one peak: it goes down within the attack
// before it, comes back within the release after it, and nowhere steps.
func TestLimiterAttackAndRelease(t *testing.T) {
	const level, peak = 10000, 4 * 32767
	in := make([]int32, Rate)
	for i := range in {
		in[i] = level
	}
	at := Rate / 2
	in[at] = peak
	out := Limit(in)
	down, up := Samples(attack), Samples(release)
	for _, c := range []struct{ i, least, most int }{
		{at - down - 1, level, level},
		{at - down/2, level / 4, level - 1},
		{at, 32700, 32767},
		{at + 1, level / 4, level/4 + 10},
		{at + up/2, level / 2, level - 1},
		{at + up + 1, level, level},
	} {
		if v := int(out[c.i]); v < c.least || v > c.most {
			t.Errorf("%v from the peak: %d, want %d to %d", Length(c.i)-Length(at), v, c.least, c.most)
		}
	}
	for i := 1; i < len(out); i++ {
		if d := height(int32(out[i]) - int32(out[i-1])); i != at && i != at+1 && d > int64(level/down)+2 {
			t.Fatalf("sample %d: a step of %d", i, d)
		}
	}
}

func TestVolumeAboveFullAndMixFit(t *testing.T) {
	loud := Limit(wave(440, 32767, Rate))
	for name, s := range map[string]Sound{"Volume": loud.Volume(300), "a million": loud.Volume(1 << 40), "Mix": Mix(loud, loud)} {
		if top, flat := highest(s); top > 32767 || flat > 1 {
			t.Errorf("%s: highest %d, %d in a row", name, top, flat)
		}
	}
}

func TestDuck(t *testing.T) {
	under := make(Sound, 4*Rate)
	for i := range under {
		under[i] = 10000
	}
	out := Duck(under, Silence(time.Second), 2*time.Second, 20)
	for _, c := range []struct {
		at   time.Duration
		want int16
	}{
		{0, 10000}, {2*time.Second - fade - time.Millisecond, 10000}, {2*time.Second - fade/2, 6000}, {2 * time.Second, 2000},
		{3*time.Second - time.Millisecond, 2000}, {3*time.Second + fade/2, 6000}, {3*time.Second + fade + time.Millisecond, 10000},
	} {
		if got := out[Samples(c.at)]; got < c.want-20 || got > c.want+20 {
			t.Errorf("at %v: %d, want %d", c.at, got, c.want)
		}
	}
	voice := Tone(440, time.Second)
	if out := Duck(nil, voice, -time.Second, 50); len(out) != len(voice) || out[1000] != voice[1000] {
		t.Errorf("a voice alone: %d samples", len(out))
	}
	if out := Duck(under, voice, 3500*time.Millisecond, 0); len(out) != 4*Rate+Rate/2 || out[len(out)-Rate/4] != voice[len(voice)-Rate/4] {
		t.Errorf("a voice that ends later: %d samples", len(out))
	}
}
