package arbiter_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// What sounds without a lease is known to every node: also where the ledger forgets
// it and the owner dies, nobody plays beside it.
func TestAHoldOutlivesItsRecord(t *testing.T) {
	for name, fault := range map[string]func(s *site, owner *siteNode){
		"the owner dies":                               func(_ *site, owner *siteNode) { owner.kill() },
		"the ledger forgets":                           func(s *site, _ *siteNode) { s.ledger.Flush() },
		"the owner dies, and the ledger forgets":       func(s *site, owner *siteNode) { owner.kill(); s.ledger.Flush() },
		"the ledger forgets, and then the owner dies":  func(s *site, owner *siteNode) { s.ledger.Flush(); owner.kill() },
		"the ledger forgets while nobody has the area": func(s *site, owner *siteNode) { owner.kill(); s.pass(4 * time.Second); s.ledger.Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, a, b := pair(t)
				defer s.close()
				d := b.quick(t, "gate-2", "2", 1)
				s.pass(time.Second, d)
				a.service.Set("north", "old-1", true, false)
				s.until("both nodes show that old-1 has it", func() bool {
					busy := b.busy(t, "north")
					return busy.State == area.Held && *busy.Holder == "old-1"
				}, d)
				fault(s, a)
				d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
				s.pass(30*time.Second, d)
				if d.turn.Phase() != turn.Waiting {
					t.Fatalf("gate-2 is %s while old-1 sounds", d.turn.Phase())
				}
				b.service.Set("north", "old-1", false, false)
				s.until("old-1 is silent, and gate-2 plays", func() bool { return d.turn.Phase() == turn.Playing }, d)
			})
		})
	}
}

// So also where all nodes start anew, and the one that had the area does not.
func TestAHoldOutlivesTheNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := pair(t)
		defer s.close()
		a.service.Set("north", "old-1", true, false)
		s.until("hub-2 shows it", func() bool { return b.busy(t, "north").State == area.Held })
		a.kill()
		b.kill()
		s.ledger.Flush()
		b = s.join("hub-2", 1, b.disk)
		d := b.quick(t, "gate-2", "2", 1)
		d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		s.pass(30*time.Second, d)
		if d.turn.Phase() != turn.Waiting {
			t.Fatalf("gate-2 is %s while old-1 sounds", d.turn.Phase())
		}
	})
}

// Nobody connects anew because nobody has the area: each word is answered.
func TestDevicesStayWhileNobodyHasTheArea(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := pair(t)
		defer s.close()
		waits, fresh := b.quick(t, "gate-2", "2", 1), (*device)(nil)
		s.pass(time.Second, waits)
		s.ledger.Away(true)
		a.kill()
		s.until("hub-2 shows it", func() bool { return b.busy(t, "north").State == area.Settling }, waits)
		fresh = b.quick(t, "gate-3", "1", 1)
		waits.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		s.pass(time.Minute, waits, fresh)
		for _, d := range []*device{waits, fresh} {
			for _, did := range d.did {
				if _, deaf := did.(turn.Deaf); deaf {
					t.Errorf("%s takes its connection for dead", d.id)
				}
			}
		}
		s.ledger.Away(false)
		s.until("gate-2 plays", func() bool { return waits.turn.Phase() == turn.Playing }, waits, fresh)
		waits.step(turn.Over{Result: area.Played})
		fresh.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		s.until("gate-3 plays", func() bool { return fresh.turn.Phase() == turn.Playing }, waits, fresh)
	})
}

// What an outpost says of holds is heard once in a reign: one that has ended meanwhile is
// not there again by a word that was said before, or to an earlier reign.
func TestHoldsAreInheritedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, _ := pair(t)
		defer s.close()
		joins := func(life string, term uint64, want area.BusyState) {
			t.Helper()
			a.service.Hear("hub-9", fmt.Appendf(nil, `{"v":1,"area":"north","life":%q,"term":%d,"join":{"term":%d,"rev":0,"holds":[{"kind":"dumb","device":"old-1","left_ms":90000}]}}`, life, term, term))
			s.pass(500 * time.Millisecond)
			if got := a.busy(t, "north"); (len(got.Intruders) > 0) != (want == area.Held) {
				t.Errorf("after a join of %s, term %d: %s", life, term, got.Encode())
			}
		}
		reign := a.service.Reign("north")
		joins("l1", reign-1, area.Idle)
		joins("l1", reign, area.Held)
		a.hears("hub-2", area.Trunk{Op: area.TrunkSet, Term: reign, Device: "old-1"})
		joins("l1", reign, area.Idle)
		joins("l2", reign, area.Held) // it has started anew, with what its disk has
	})
}
