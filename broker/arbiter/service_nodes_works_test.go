package arbiter_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/turn"
)

// work is one of a second for anybody in north.
func work(id area.WorkID) area.Work {
	return area.Work{ID: id, Area: "north", Prio: area.Normal, Dur: time.Second, Redo: area.RedoRetry, IfBusy: area.BusyQueue, Body: area.Body{Kind: "announce"}}
}

// A work is accepted at one node, played at another, and ends at the first, whoever
// has the area meanwhile.
func TestAWorkOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := pair(t)
		defer s.close()
		d := a.quick(t, "gate-1", "1", 1)
		s.pass(time.Second, d)
		works := brokertest.Subscribe(t, d.c, area.WorkTopic("gate-1"), 1)
		rooms := brokertest.Subscribe(t, d.c, area.AreaWorkTopic("north"), 1)
		take := func() {
			for _, box := range []*brokertest.Inbox{works, rooms} {
				for _, m := range box.Take(t, box.Len()) {
					if o, err := area.ParseOffer(m.Payload); err == nil && o.Work == "w-1" {
						d.do(turn.Take{Work: o.Work, Att: o.Att})
					}
				}
			}
		}
		w := work("w-1")
		if err := b.service.Submit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		assigned := func() bool {
			take()
			for _, x := range d.did {
				if _, ok := x.(turn.Assigned); ok {
					return true
				}
			}
			return false
		}
		s.until("w-1 is assigned", assigned, d)
		s.until("hub-2 knows", func() bool { return b.reports.is("w-1", "assigned") }, d)
		if got := a.reports.states("w-1"); len(got) != 0 {
			t.Errorf("hub-1 reports a work that it has not accepted: %v", got)
		}
		d.step(turn.Wish{Work: "w-1", Att: 1, Prio: area.Normal, Dur: time.Second})
		s.until("it plays", func() bool { return d.turn.Phase() == turn.Playing }, d)
		d.step(turn.Over{Result: area.Played})
		s.until("hub-2 has the end", func() bool { return b.reports.is("w-1", "played") }, d)
		b.service.Stored("north", "w-1")
		before := len(b.reports.states("w-1"))
		s.pass(5*time.Second, d)
		if got := b.reports.states("w-1"); len(got) > before+1 {
			t.Errorf("the end is reported again and again: %v", got)
		}

		w.ID = "w-2" // nobody takes it; hub-1 goes, and it is still there
		if err := b.service.Submit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		s.pass(2*time.Second, d)
		a.kill()
		s.until("hub-2 has north", func() bool { return owner(b) && b.busy(t, "north").State == area.Idle })
		if err := b.service.Cancel(t.Context(), "w-2", area.EndUser); err != nil {
			t.Fatal(err)
		}
		s.until("w-2 is cancelled", func() bool { return b.reports.is("w-2", "cancelled user") })
	})
}

// A work that the owner of the area goes on with for a node that is gone is reported to
// itself from then on.
func TestAWorkThatTheOwnerTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := pair(t)
		defer s.close()
		w := work("w-1")
		if err := b.service.Submit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		s.pass(2 * time.Second)
		b.kill()
		for _, do := range []func() error{
			func() error { return a.service.Submit(t.Context(), w) },
			func() error { return a.service.Cancel(t.Context(), "w-1", area.EndUser) },
		} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		s.until("hub-1 has the end", func() bool { return a.reports.is("w-1", "cancelled user") })
	})
}

// A work that has ended is handed in once more by a node that has not heard so: it is
// told again, and nothing is held out.
func TestAWorkThatIsHandedInAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := pair(t)
		defer s.close()
		d := a.quick(t, "gate-1", "1", 1)
		s.pass(time.Second, d)
		offers := brokertest.Subscribe(t, d.c, area.AreaWorkTopic("north"), 1)
		says := func(say area.Trunk) {
			a.hears("hub-2", say)
			s.pass(100*time.Millisecond, d)
		}
		in := area.Trunk{Op: area.TrunkSubmit, N: 1, Term: a.service.Reign("north"), Handed: &area.Handed{Work: "w-1", Att: 1, TTLMs: 60_000, DurMs: 1000, Prio: 100, Redo: area.RedoRetry, IfBusy: area.BusyQueue}}
		says(in)
		if offers.Len() != 1 {
			t.Fatalf("%d offers, want 1", offers.Len())
		}
		says(area.Trunk{Op: area.TrunkCancel, N: 2, Work: "w-1", Reason: area.EndUser})
		says(in)
		s.pass(5*time.Second, d)
		if offers.Len() != 1 {
			t.Errorf("%d offers of a work that was taken back", offers.Len()-1)
		}
		if got := b.reports.states("w-1"); len(got) < 2 || got[len(got)-1] != "cancelled user" {
			t.Errorf("hub-2 has heard %v", got)
		}
	})
}

// hears hands the owner a word of an outpost.
func (n *siteNode) hears(from string, say area.Trunk) {
	say.Area, say.Life = "north", from+"-1"
	n.service.Hear(from, fmt.Appendf(nil, `{"v":1,"area":"north","life":"%s-1","term":%d,"say":%s}`, from, say.Term, say.Encode()))
}

// A work that was handed to an earlier reign comes late: it may have ended since, and is
// not held out. Nor is one whose end its node has, wherever that was seen.
func TestAWorkOfAnEarlierReign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, _ := pair(t)
		defer s.close()
		d := a.quick(t, "gate-1", "1", 1)
		s.pass(time.Second, d)
		offers := brokertest.Subscribe(t, d.c, area.AreaWorkTopic("north"), 1)
		offered := func(say area.Trunk, want int) {
			t.Helper()
			a.hears("hub-2", say)
			s.pass(2500*time.Millisecond, d)
			if got := offers.Len(); got != want {
				t.Errorf("after %s of term %d: %d offers, want %d", say.Op, say.Term, got, want)
			}
			offers.Take(t, offers.Len())
		}
		reign := a.service.Reign("north")
		in := area.Trunk{Op: area.TrunkSubmit, N: 1, Term: reign - 1, Handed: &area.Handed{Work: "w-1", Att: 1, TTLMs: 60_000, DurMs: 1000, Prio: 100, Redo: area.RedoRetry, IfBusy: area.BusyQueue}}
		offered(in, 0)
		in.Term = reign
		offered(in, 3)
		offered(area.Trunk{Op: area.TrunkStored, Term: reign, Work: "w-1"}, 0)
	})
}

// What a device has played is known to the next reigns too, whether or not the ledger
// remembers it: it is not held out once the node that accepted it is back.
func TestWhatWasPlayedOutlivesTheReign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := pair(t)
		defer s.close()
		d := b.quick(t, "gate-2", "2", 1)
		s.pass(time.Second, d)
		offers := brokertest.Subscribe(t, d.c, area.AreaWorkTopic("north"), 1)
		d.step(turn.Known{Work: "w-1", Att: 1})
		s.pass(time.Second, d)
		s.ledger.Flush()
		s.until("hub-1 has lost north", func() bool { return !owner(a) })
		s.until("somebody has north", func() bool { return owner(a) || owner(b) }, d)
		s.pass(2*time.Second, d)
		c := s.join("hub-3", 2, newLedger())
		w := work("w-1")
		if err := c.service.Submit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		s.until("hub-3 has the end", func() bool { return c.reports.is("w-1", "played") }, d)
		if offers.Len() > 0 {
			t.Errorf("%d offers of what was played", offers.Len())
		}
	})
}
