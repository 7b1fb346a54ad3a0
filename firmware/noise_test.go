package firmware

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
)

var curve = NoiseCurve{Quiet: 50, Loud: 80, Boost: 30}

func TestNoiseCurve(t *testing.T) {
	for db, want := range map[float64]int{-100: 0, 50: 0, 51: 1, 65: 15, 79.9: 30, 80: 30, 140: 30} {
		if got := curve.At(db); got != want {
			t.Errorf("at %v dB %d is added, want %d", db, got, want)
		}
	}
	if (NoiseCurve{}).At(100) != 0 {
		t.Error("a curve that is off adds something")
	}
	bad := map[string]NoiseCurve{
		"no number": {Quiet: math.NaN(), Loud: 80, Boost: 10}, "endless": {Quiet: 50, Loud: math.Inf(1), Boost: 10}, "backwards": {Quiet: 80, Loud: 50, Boost: 10},
		"a step": {Quiet: 50, Loud: 50.5, Boost: 10}, "too much": {Quiet: 50, Loud: 80, Boost: 101}, "less": {Quiet: 50, Loud: 80, Boost: -1},
	}
	for name, c := range bad {
		if c.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if curve.Validate() != nil || (NoiseCurve{}).Validate() != nil {
		t.Error("a good curve is refused")
	}
}

// The boost follows a noise that lasts, not a door that slams, does not flutter,
// and never leaves its bounds.
func TestFollower(t *testing.T) {
	var f follower
	hear := func(db ...float64) (got []int) {
		for _, d := range db {
			got = append(got, f.hear(curve, d))
		}
		return got
	}
	if got := hear(45, 45, 90, 45, 45); got[2] > 12 || got[4] != 0 && got[4] >= got[2]+noiseStep {
		t.Errorf("a door slams: %v", got)
	}
	f = follower{}
	got := hear(45, 85, 85, 85, 85, 85, 85, 85, 85, 85, 85, 85, 85)
	if got[len(got)-1] != 30 {
		t.Errorf("a machine is switched on: %v", got)
	}
	f = follower{}
	steady, changes := hear(65)[0], 0
	for i := range 1000 {
		if b := hear(65 + 4*float64(i%2) - 2)[0]; b != steady {
			steady = b
			changes++
		}
	}
	if changes > 1 {
		t.Errorf("a murmur changes it %d times", changes)
	}
	for _, d := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if b := hear(d)[0]; b != steady {
			t.Errorf("%v dB: %d", d, b)
		}
	}
	for i := range 10000 {
		if b := hear(200 * math.Sin(float64(i)))[0]; b < 0 || b > curve.Boost {
			t.Fatalf("it adds %d", b)
		}
	}
}

// What is measured while the area sounds is its own voice, and is not counted.
func TestVolumeFollowsNoise(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1", func(_ *dev, c *Config) { c.Volume, c.Noise = 50, curve })
		loudness := func(work string) int16 {
			t.Helper()
			r.offer("gate-1", area.WorkID(work), 1, speech("one two"))
			time.Sleep(500 * time.Millisecond)
			d.Noise(120, d.clock.Now()) // our own voice
			time.Sleep(4 * time.Second)
			d.Noise(120, d.clock.Now()-3*time.Second) // it was measured while we spoke
			synctest.Wait()
			plays := d.plays()
			p := plays[len(plays)-1]
			return d.sound()[media.Samples(p.from+time.Second)]
		}
		if got := loudness("o-1"); got != 500 {
			t.Errorf("in a quiet room %d of 1000, want 500", got)
		}
		if got := loudness("o-2"); got != 500 {
			t.Errorf("after its own voice %d of 1000, want 500", got)
		}
		d.Noise(65, d.clock.Now())
		if got := loudness("o-3"); got != 650 {
			t.Errorf("in a room of 65 dB %d of 1000, want 650", got)
		}
		if s := d.status(r); *s.Volume != 50 {
			t.Errorf("the operator's volume is %d now", *s.Volume)
		}
	})
}
