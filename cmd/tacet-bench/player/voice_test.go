package player

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/heard"
)

func at(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }

func play(i int, work area.WorkID, from, to int) heard.Play {
	return heard.Play{Device: device(i), Work: work, From: at(from), To: at(to)}
}

func TestJudged(t *testing.T) {
	second := map[area.WorkID]time.Duration{"a": time.Second, "b": time.Second}
	plays := []heard.Play{
		play(0, "a", 0, 1000), play(1, "a", 990, 2000), play(2, "a", 1960, 3000), // thrice whole, twice two voices
		play(0, "b", 6000, 6500), play(1, "b", 7000, 8000), // cut short, then whole
	}
	if n, longest := overlapping(plays); n != 2 || longest != 40*time.Millisecond {
		t.Errorf("%d overlaps, longest %s", n, longest)
	}
	if n := twice(plays, second); n != 1 {
		t.Errorf("%d whole twice", n)
	}
}

// TestSilence: it lasts from the death in the middle of a play to the next play.
func TestSilence(t *testing.T) {
	plays := []heard.Play{play(3, "a", 10, 20), play(3, "b", 30, 70), play(1, "c", 375, 400)}
	v := voice{deaths: []time.Time{at(75)}}
	if d := v.silence(plays); d != 300*time.Millisecond {
		t.Errorf("silence for %s", d)
	}
}
