package firmware

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// An arbiter that does not know a work of the device's, since another one has given
// it: the device plays others, asks again, and plays it where it is known; never once
// its time is over.
func TestWorkThatTheArbiterDoesNotKnow(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		r.do(func() { r.strange = map[area.WorkID]bool{"o-1": true, "o-3": true} })
		r.offer("gate-1", "o-1", 1, speech("one"))
		r.offer("gate-1", "o-3", 1, speech("three"))
		time.Sleep(2 * time.Second)
		for _, c := range r.told("gate-1", area.OpDone) {
			if c.Work != "" || c.Att != 0 {
				t.Errorf("the done of a claim for a work that is kept says %+v", c.Claim)
			}
		}
		r.offer("gate-1", "o-2", 1, speech("two"))
		time.Sleep(5 * time.Second)
		r.do(func() { delete(r.strange, "o-1") })
		d.cut(true)
		time.Sleep(time.Second)
		d.cut(false)
		time.Sleep(5 * time.Second) // it is wanted on the next connection
		r.offer("gate-1", "o-1", 1, speech("one"))
		time.Sleep(time.Minute)
		r.do(func() { delete(r.strange, "o-3") })
		time.Sleep(time.Minute)
		var works []string
		for _, p := range d.plays() {
			works = append(works, p.work)
		}
		if want := []string{"o-2", "o-1"}; !slices.Equal(works, want) {
			t.Errorf("played %v, want %v", works, want)
		}
		asked := 0
		for _, c := range r.told("gate-1", area.OpWant) {
			if c.Work == "o-3" {
				asked++
			}
		}
		if asked < 5 || asked > 9 { // each 10 s of its minute, and on the second connection
			t.Errorf("asked %d times for what nobody knows", asked)
		}
		if st := d.Stats(); st.Played != 2 || st.Stopped != 0 {
			t.Errorf("Stats = %+v", st)
		}
	})
}

func TestFewWorksAreSetAside(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		works := []area.WorkID{"o-1", "o-2", "o-3", "o-4", "o-5"}
		r.do(func() {
			r.strange = map[area.WorkID]bool{"o-1": true, "o-2": true, "o-3": true, "o-4": true, "o-5": true}
		})
		for _, w := range works {
			r.offer("gate-1", w, 1, speech("x"))
			time.Sleep(time.Second)
		}
		d.stop() // it gives back what it has
		synctest.Wait()
		if n := len(r.told("gate-1", area.OpDecline)); n != 3 {
			t.Errorf("%d works were set aside, want 3", n)
		}
	})
}

// A device that crashed before it could say what it had played says so once it is
// greeted again.
func TestSaysAfterAStartWhatItPlayed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		newDev(t, r, "gate-1", func(d *dev, _ *Config) {
			m, err := OpenMemory(d.data)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range []area.WorkID{"o-1", "o-2", "o-3", "o-4", "o-5"} {
				if err := m.Journal(w); err != nil {
					t.Error(err)
				}
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Second)
		var said []area.WorkID
		for _, c := range r.told("gate-1", area.OpDone) {
			if c.Result != area.Played || c.Claim.Claim != 0 {
				t.Errorf("says %+v", c.Claim)
			}
			said = append(said, c.Work)
		}
		if want := []area.WorkID{"o-2", "o-3", "o-4", "o-5"}; !slices.Equal(said, want) {
			t.Errorf("says that it has played %v, want %v", said, want)
		}
	})
}
