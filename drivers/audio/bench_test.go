package audio

import (
	"os"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/drivers/audio/audiotest"
)

// descriptors is how many this process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Each play gives everything back.
func TestPulseLeavesNothingBehind(t *testing.T) {
	audiotest.Pulse(t)
	p := openPulse(t, "")
	many(t, p, 1)
	before := descriptors(t)
	many(t, p, 20)
	look, late := time.NewTicker(10*time.Millisecond), time.Now().Add(time.Minute)
	defer look.Stop()
	for after := descriptors(t); after > before; after = descriptors(t) { // a program's end is noticed a moment later
		if time.Now().After(late) {
			t.Fatalf("%d descriptors after 20 plays, %d before", after, before)
		}
		<-look.C
	}
}

// many plays n tones of 60 ms, and answers how long the first writes took, in
// which a play begins.
func many(t testing.TB, p player, n int) (first time.Duration) {
	t.Helper()
	sound := audiotest.Tone(587, 60*time.Millisecond, 22050)
	for range n {
		began := time.Now()
		if _, err := p.Write(sound[:882]); err != nil {
			t.Fatal(err)
		}
		first += time.Since(began)
		play(t, p, sound[882:])
		if err := p.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return first
}

// BenchmarkPulsePlays plays through a sound server and listens: -benchtime 1000x
// for a thousand plays. A gap that was heard and not told, and a descriptor that
// is left, are failures.
func BenchmarkPulsePlays(b *testing.B) {
	s := audiotest.Pulse(b)
	p := openPulse(b, "")
	many(b, p, 1)
	r := s.Record(b, "speaker")
	before, xruns := descriptors(b), p.Xruns()
	b.ResetTimer()
	first := many(b, p, b.N)
	b.StopTimer()
	left, told := descriptors(b)-before, p.Xruns()-xruns
	got := r.Until(300 * time.Millisecond)
	gaps, plays := 0, 0
	for i, last := 0, -audiotest.Rate; i < len(got); i++ {
		if got[i] > -audiotest.Heard && got[i] < audiotest.Heard {
			continue
		}
		switch silent := i - last; {
		case silent > audiotest.Rate/50: // a new play begins at least so long after the one before
			plays++
		case silent > audiotest.Rate/500:
			gaps++
		}
		last = i
	}
	b.ReportMetric(float64(first.Microseconds())/1000/float64(b.N), "ms-to-first-sample")
	b.ReportMetric(float64(told), "xruns-told")
	b.ReportMetric(float64(gaps), "gaps-heard")
	b.ReportMetric(float64(left), "descriptors-left")
	if uint64(gaps) > told || plays > b.N+int(told) {
		b.Errorf("%d gaps in %d stretches of sound were heard of %d plays, and %d xruns told", gaps, plays, b.N, told)
	}
	if left > 0 {
		b.Errorf("%d descriptors are left", left)
	}
}
