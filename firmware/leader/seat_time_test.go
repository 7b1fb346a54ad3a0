package leader

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// newBubble is a site in a bubble: its times are exact, and take none.
func newBubble(t *testing.T, topology string, names ...area.DeviceID) *site {
	t.Helper()
	s := &site{t: t, hub: "ws://hub", seats: map[area.DeviceID]*stand{}, moved: make(chan struct{}, 1), began: time.Now(), ether: newEther(), there: true}
	s.people(topology, names...)
	for i, n := range names {
		s.seats[n].cfg.Bind = fmt.Sprintf("10.0.0.%d", i+1)
	}
	return s
}

// within waits until something is so, and answers how long that took, which must not
// be longer than promised.
func (s *site) within(promised time.Duration, what string, ok func() bool) time.Duration {
	s.t.Helper()
	began := time.Now()
	s.until(what, ok)
	took := time.Since(began)
	if took > promised {
		s.t.Errorf("%s: after %v, promised are %v", what, took, promised)
	}
	return took
}

// hubIs has the hub be there, or not.
func (s *site) hubIs(there bool) {
	s.mu.Lock()
	s.there = there
	s.mu.Unlock()
	s.nudge()
}

func (d *stand) ip() netip.Addr { return netip.MustParseAddr(d.cfg.Bind) }

// stop ends everybody, and waits for the probes of the library that are under way:
// when the test has ended, the time of its bubble stands still.
func (s *site) stop() {
	for _, d := range s.seats {
		if d.stop != nil {
			d.stop()
		}
	}
	time.Sleep(time.Minute)
}

// The leader is killed: every member follows the next one within 5 s, however many
// they are, again and again.
func TestLeaderIsMissedWithinFiveSeconds(t *testing.T) {
	for _, n := range []int{2, 3, 8} {
		t.Run(fmt.Sprint(n, " members"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := names(n)
				s := newBubble(t, area.TopologyLocal, all...)
				defer s.stop()
				s.start(all...)
				s.within(10*time.Second, "all follow the first", s.follow("leader", all[0], all...))
				var took []time.Duration
				for i := range max(2, 16/n) {
					dies, next := all[i%2], all[1-i%2]
					s.seats[dies].kill()
					left := slices.DeleteFunc(slices.Clone(all), func(d area.DeviceID) bool { return d == dies })
					took = append(took, s.within(5*time.Second, "the others follow the next", s.follow("leader", next, left...)))
					for _, d := range left {
						if st := s.seats[d].State(); st.Highest < s.seats[next].State().Term {
							t.Errorf("%s has heard of no term above %d, %s leads by %d", d, st.Highest, next, s.seats[next].State().Term)
						}
					}
					s.seats[dies].start()
					s.within(10*time.Second, "the dead one is back", s.follow("leader", next, all...))
				}
				slices.Sort(took)
				t.Logf("all follow the next after %v to %v", took[0], took[len(took)-1])
			})
		})
	}
}

// A member that was cut off for longer than the membership remembers the dead is
// called again, by addresses that others have kept: nobody else would. Two lead
// meanwhile, each in its part; then one does, within seconds.
func TestCutOffForLongerThanTheDeadAreRemembered(t *testing.T) {
	for _, away := range []time.Duration{8 * time.Second, 45 * time.Second, 10 * time.Minute} {
		t.Run(fmt.Sprint(away), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := names(3)
				s := newBubble(t, area.TopologyLocal, all...)
				defer s.stop()
				s.start(all...)
				s.until("all follow the first", s.follow("leader", all[0], all...))
				s.hubIs(false)
				time.Sleep(20 * time.Second) // till everybody knows
				first := s.seats[all[0]]
				s.ether.cut(first.ip())
				s.within(5*time.Second, "the others follow the second", s.follow("leader", all[1], all[1:]...))
				time.Sleep(away)
				if st := first.State(); st.Term == 0 || st.Alive != 1 {
					t.Fatalf("alone it is %+v", st)
				}
				known := make(chan int, 1)
				s.seats[all[1]].post(func() { known <- s.seats[all[1]].gossip.list.NumMembers() })
				if n := <-known; n != 2 {
					t.Errorf("%d members are known where two are", n)
				}
				high := s.seats[all[1]].State().Term // it has led above the first's
				s.ether.mend()
				took := s.within(8*time.Second, "all see each other", func() bool { return s.seats[all[0]].State().Alive == 3 && s.seats[all[1]].State().Alive == 3 })
				s.within(5*time.Second, "all follow one", s.follow("leader", all[1], all...))
				if st := first.State(); st.Term != 0 || s.seats[all[1]].State().Term < high {
					t.Errorf("the first is %+v", st)
				}
				t.Logf("they see each other after %v", took)
			})
		})
	}
}

// In a direct area nobody leads for 5 s after the hub is gone, and somebody does soon
// after; with the hub back everybody is there within seconds.
func TestDirectInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := names(3)
		s := newBubble(t, area.TopologyDirect, all...)
		defer s.stop()
		s.start(all...)
		s.until("all see each other", func() bool { return s.seats[all[2]].State().Alive == 3 })
		for range 5 {
			s.hubIs(false)
			took := s.within(9*time.Second, "all follow the first", s.follow("leader", all[0], all...))
			if took < 5*time.Second {
				t.Errorf("it leads %v after the hub was gone", took)
			}
			s.hubIs(true)
			back := s.within(4*time.Second, "all are back", s.follow("hub", "", all...))
			t.Logf("on its own after %v, back after %v", took, back)
			time.Sleep(time.Minute)
		}
	})
}

// A member whose disk does not take the term does not lead by it: it leaves that to
// the next; it leads, above what it has heard, when the disk takes terms again.
func TestTermThatCannotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := names(3)
		s := newBubble(t, area.TopologyLocal, all...)
		defer s.stop()
		s.start(all...)
		s.until("all follow the first", s.follow("leader", all[0], all...))
		d := s.seats[all[1]]
		file := filepath.Join(d.cfg.Dir, termFile)
		for _, err := range []error{os.Remove(file), os.MkdirAll(filepath.Join(file, "in the way"), 0o700)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		s.seats[all[0]].kill()
		s.until("the third leads", func() bool {
			if st := d.State(); st.Term != 0 {
				t.Fatalf("the second leads by term %d, which it has not kept", st.Term)
			}
			return s.follow("leader", all[2], all[1:]...)()
		})
		if n := d.Stats().Unfit; n == 0 {
			t.Error("the second was not tried")
		}
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
		above := s.seats[all[2]].State().Term
		s.seats[all[2]].kill()
		s.until("the second keeps what it has heard", func() bool { _, kept, _, _ := Kept(d.cfg.Dir, ""); return kept >= above })
		d.kill()
		d.start() // else it would wait for 30 s before it tries again
		s.until("the second leads", s.follow("leader", all[1], all[1]))
		if _, kept, _, err := Kept(d.cfg.Dir, ""); err != nil || kept <= above || kept != d.State().Term {
			t.Errorf("it leads by term %d, keeps %d, %v; above %d", d.State().Term, kept, err, above)
		}
	})
}
