package proof

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// What a leader has noted while the hub could not be reached is judged with what
// the hub has, whenever it comes, and once.
func TestRecordsOfALeaderAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		b, stop := opened(t, Config{Dir: t.TempDir(), Node: "hub-1"})
		b.Note("north", Record{Is: Granted, Device: "web-1", Token: 64_000_001})
		time.Sleep(5 * time.Second)
		b.Note("north", Record{Is: Sounded, Device: "web-1", Token: 64_000_001, Boot: 1, At: 5000, First: 1000, Last: 4000})
		b.Note("north", Record{Is: Freed, Device: "web-1", Token: 64_000_001})
		time.Sleep(time.Minute)
		// It ended a minute ago. Three plays of the leader's reign: before it, beside it, and after it.
		for range 2 {
			for i, ago := range []time.Duration{100 * time.Second, 64 * time.Second, 40 * time.Second} {
				token := area.MakeToken(80, uint64(i+1))
				b.Merge("north", Record{Is: Granted, Device: "gate-2", Token: token}, ago)
				b.Merge("north", Record{Is: Sounded, Device: "gate-2", Token: token, Boot: 1, At: 100_000 - ago.Milliseconds() + 3000, First: 100_000 - ago.Milliseconds(), Last: 100_000 - ago.Milliseconds() + 2000}, ago-3*time.Second)
				b.Merge("north", Record{Is: Freed, Device: "gate-2", Token: token}, ago-3*time.Second)
			}
		}
		b.Merge("north", Record{Is: Missing, Count: 7}, 0)
		b.Merge("north", Record{Is: Split, Device: "gate-2"}, 0) // the hub's to say
		b.Merge("north", Record{Is: Barge, Device: "gate-2", Over: "gate-3", Token: 64_000_009}, time.Second)
		synctest.Wait()
		v, err := b.Check("north", time.Now().Add(-time.Hour))
		if err != nil || v.Plays != 4 || v.Measured != 4 || v.Unmeasured != 0 || v.Overlaps != 1 || v.Missing != 0 || v.Barges != 1 || v.Splits != 0 || b.Stats().Barges != 1 || v.Broken != "" {
			t.Errorf("verdict %+v, %v; want 4 plays, all measured, one overlap", v, err)
		}
		if v.From != nil && v.From.After(time.Now().Add(-100*time.Second)) {
			t.Errorf("the record begins at %s, want the oldest that came", v.From)
		}
		stop()
	})
}
