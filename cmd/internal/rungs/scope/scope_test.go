package scope

import (
	"bytes"
	"io"
	"math"
	"reflect"
	"testing"
	"time"
)

// sine is a tone with faded ends.
func sine(hz, amplitude float64, d time.Duration) []int16 {
	out := make([]int16, count(d))
	fade := min(count(5*time.Millisecond), len(out)/2)
	for i := range out {
		gain := min(1, float64(min(i, len(out)-1-i))/float64(max(fade, 1)))
		out[i] = int16(math.Round(gain * amplitude * math.Sin(2*math.Pi*hz*float64(i)/Rate)))
	}
	return out
}

func TestToneIsExact(t *testing.T) {
	for hz, amplitude := range map[float64]float64{100: 9000, 261.63: 32000, 587.33: 500, 3000: 9000} {
		got, loud := Tone(sine(hz, amplitude, 500*time.Millisecond))
		if math.Abs(got-hz) > 0.01 || math.Abs(loud/amplitude-1) > 0.03 {
			t.Errorf("%g Hz, amplitude %g: measured %.4f Hz, %.0f", hz, amplitude, got, loud)
		}
	}
	for name, samples := range map[string][]int16{"nothing": nil, "silence": make([]int16, Rate), "short": sine(440, 9000, 5*time.Millisecond)} {
		if hz, loud := Tone(samples); hz != 0 || loud != 0 {
			t.Errorf("%s: %g Hz, %g", name, hz, loud)
		}
	}
}

func TestBreaks(t *testing.T) {
	whole := sine(587.33, 9000, time.Second)
	cut := func(from, n int) []int16 { return append(append([]int16(nil), whole[:from]...), whole[from+n:]...) }
	hole := append([]int16(nil), whole...)
	clear(hole[20_000:20_100])
	twice := append(append(append([]int16(nil), whole[:10_000]...), whole[9_000:10_000]...), whole[10_000:]...)
	for name, c := range map[string]struct {
		samples []int16
		want    int
	}{
		"whole": {whole, 0}, "a sample is missing": {cut(10_000, 1), 1}, "a period of the card is missing": {cut(10_000, 480), 1},
		"silence in the middle": {hole, 2}, "a part twice": {twice, 2},
	} {
		got := Breaks(c.samples, 587.33)
		if (got > 0) != (c.want > 0) {
			t.Errorf("%s: %d breaks, want %d", name, got, c.want)
		}
		if hz := Steady(c.samples, 587.33); math.Abs(hz-587.33) > 0.05 {
			t.Errorf("%s: %.3f Hz in its longest piece", name, hz)
		}
	}
}

func TestTrace(t *testing.T) {
	var tr Trace
	add := func(pins Pins, samples []int16) {
		for len(samples) > 0 {
			n := min(480, len(samples))
			tr.Add(Block{At: time.Hour + tr.Duration(), Pins: pins, Samples: samples[:n]})
			samples = samples[n:]
		}
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	add(0, make([]int16, count(ms(100))))
	add(Amp, make([]int16, count(ms(50))))
	add(Amp|Lamp, sine(440, 9000, ms(200)))
	add(Amp, make([]int16, count(ms(30))))
	add(Amp|Lamp, sine(440, 9000, ms(200)))
	add(0, make([]int16, count(ms(100))))
	if tr.Start != time.Hour || tr.Duration() != ms(680) {
		t.Errorf("from %v, %v long", tr.Start, tr.Duration())
	}
	if tr.Silent() < ms(100) || tr.Silent() > ms(101) {
		t.Errorf("silent for %v at the end", tr.Silent())
	}
	sounds := tr.Sounds(ms(20))
	if len(sounds) != 2 || len(tr.Sounds(ms(50))) != 1 {
		t.Fatalf("sounds: %v", sounds)
	}
	near := func(what string, got, want time.Duration) {
		if d := got - want; d < -ms(10) || d > ms(10) {
			t.Errorf("%s at %v, want %v", what, got, want)
		}
	}
	near("first sound", sounds[0].Begin(), ms(150))
	near("its end", sounds[0].End(), ms(350))
	near("its length", sounds[0].Duration(), ms(200))
	amp, lamp := tr.High(Amp), tr.High(Lamp)
	if len(amp) != 1 || len(lamp) != 2 {
		t.Fatalf("amp %v, lamp %v", amp, lamp)
	}
	near("amp", amp[0].Begin(), ms(100))
	near("amp off", amp[0].End(), ms(580))
	for _, s := range sounds {
		if !s.Covered(amp, 0) {
			t.Errorf("%v is not in %v", s, amp)
		}
	}
	if (Span{0, 480}).Covered(amp, 0) {
		t.Error("the beginning is taken for covered")
	}
}

func TestBlocksGoOverAWire(t *testing.T) {
	var wire bytes.Buffer
	in := []Block{{At: time.Second, Pins: Amp, Samples: []int16{1, -2, 3}}, {At: 2 * time.Second, Samples: []int16{}}}
	for _, b := range in {
		if err := Encode(&wire, b); err != nil {
			t.Fatal(err)
		}
	}
	raw := wire.Bytes()
	for _, want := range in {
		if got, err := Decode(&wire); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	if _, err := Decode(&wire); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	for cut := 1; cut < 16+6; cut++ {
		if _, err := Decode(bytes.NewReader(raw[:cut])); err != io.ErrUnexpectedEOF {
			t.Errorf("cut after %d bytes: %v", cut, err)
		}
	}
	if _, err := Decode(bytes.NewReader(bytes.Repeat([]byte{0xff}, 16))); err == nil {
		t.Error("a block of 4 billion samples is taken")
	}
}
