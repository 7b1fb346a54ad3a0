//go:build !race

package arbiter_test

// Under the race detector the runtime itself ends this test, in two of three runs
// (in the clock of synctest; it looks like golang/go#78156). The other tests of nodes have
// the same goroutines, and run under it.

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// Nobody plays beside another, and everything goes on again, whatever happens to
// nodes, ledger and wire.
func TestNodesAndTheirFaults(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 7))
			s := newSite(t)
			defer s.close()
			s.losing(0.05)
			disks := []*ledger{newLedger(), newLedger(), newLedger()}
			var list [3]*siteNode
			var at [3]*device
			boots := [3]uint64{}
			up := func(i int) {
				list[i] = s.join(fmt.Sprintf("hub-%d", i+1), uint64(i), disks[i])
				boots[i]++
				at[i] = list[i].quick(t, area.DeviceID(fmt.Sprintf("gate-%d", i+1)), "", boots[i])
			}
			for i := range list {
				up(i)
			}
			played := 0
			for range 120 {
				switch i := dice.IntN(3); dice.IntN(12) {
				case 0:
					list[i].kill()
					up(i)
				case 1:
					list[i].stop()
					up(i)
				case 2:
					s.ledger.Away(true)
				case 3, 4, 5:
					s.ledger.Away(false)
					s.ledger.LoseAnswers(false)
				case 6:
					s.ledger.Flush()
				case 7:
					s.ledger.LoseAnswers(true)
				}
				for end := time.Now().Add(time.Duration(dice.IntN(5000)) * time.Millisecond); time.Now().Before(end); {
					for _, d := range at {
						switch d.turn.Phase() {
						case turn.Idle:
							d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
						case turn.Playing:
							if dice.IntN(4) == 0 {
								played++
								d.step(turn.Over{Result: area.Played})
							}
						}
					}
					s.pass(100*time.Millisecond, at[:]...)
				}
			}
			s.ledger.Away(false)
			s.ledger.LoseAnswers(false)
			s.losing(0)
			for i, d := range at {
				s.until(fmt.Sprintf("seed %d: gate-%d plays", seed, i+1), func() bool {
					for _, other := range at {
						if other != d && other.turn.Phase() == turn.Playing {
							other.step(turn.Over{Result: area.Played})
						}
					}
					if d.turn.Phase() == turn.Idle {
						d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
					}
					return d.turn.Phase() == turn.Playing
				}, at[:]...)
			}
			t.Logf("seed %d: %d plays", seed, played)
			if played < 30 {
				t.Errorf("seed %d: only %d plays", seed, played)
			}
		})
	}
}
