package rollout

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// two are the services of two nodes, of which one or the other is in office.
type two struct {
	*site
	a, b       *Service
	endA, endB func()
	office     atomic.Value // name of the node
}

func newTwo(t *testing.T) *two {
	x := &two{site: newSite()}
	x.office.Store("a")
	x.a, x.endA = x.runAs(t, "a", func() bool { return x.office.Load() == "a" })
	x.b, x.endB = x.runAs(t, "b", func() bool { return x.office.Load() == "b" })
	return x
}

// same looks that both show a rollout so.
func (x *two) same(t *testing.T, when, id, want string) {
	t.Helper()
	synctest.Wait()
	for name, s := range map[string]*Service{"a": x.a, "b": x.b} {
		if got := shown(t, s, id); got != want {
			t.Errorf("%s: at %s it is %q, want %q", when, name, got, want)
		}
	}
}

// TestRolloutsOfTwoNodes: what is made at any node is the same at both, and one of them
// orders; the other goes on when it is that one's turn, with what devices said meanwhile.
func TestRolloutsOfTwoNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTwo(t)
		id := start(t, x.b, To{Area: ptr[area.Name]("south")})
		if got := x.ordered(); got != "gate-3" {
			t.Errorf("ordered is %q", got)
		}
		x.same(t, "begun", id, "running gate-3:ordered gate-4:waiting gate-5:waiting")
		x.says("gate-3", id, area.UpdateConfirmed, "")
		if got := x.ordered(); got != "gate-4" {
			t.Errorf("then ordered is %q", got)
		}
		x.says("gate-4", id, area.UpdateTrial, "")
		x.endA()
		x.says("gate-4", id, area.UpdateConfirmed, "") // nobody in office hears it
		x.setDown("gate-5", true)                      // it was connected to that node
		x.office.Store("b")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got, want := shown(t, x.b, id), "running gate-3:confirmed gate-4:confirmed gate-5:waiting"; got != want {
			t.Errorf("taken over it is %q, want %q", got, want)
		}
		x.setDown("gate-5", false)
		time.Sleep(2 * look)
		if got := x.ordered(); got != "gate-5" {
			t.Errorf("once it is there ordered is %q", got)
		}
		x.a, x.endA = x.runAs(t, "a", func() bool { return x.office.Load() == "a" })
		x.same(t, "the first is back", id, "running gate-3:confirmed gate-4:confirmed gate-5:ordered")
		if _, err := x.a.Cancel(id, "ann"); err != nil {
			t.Error(err)
		}
		x.says("gate-5", id, area.UpdateConfirmed, "")
		x.same(t, "cancelled at the other", id, "cancelled gate-3:confirmed gate-4:confirmed gate-5:confirmed")
		if a, b := x.a.Stats(), x.b.Stats(); a.Confirmed+b.Confirmed != 2 || b.Orders != 1 || x.ordered() != "" {
			t.Errorf("counted is %+v and %+v", a, b)
		}
	})
}

// TestTwoInOffice: also where both nodes take themselves for the one, none orders in an
// area where the other has.
func TestTwoInOffice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		both := func() bool { return true }
		a, _ := s.runAs(t, "a", both)
		b, _ := s.runAs(t, "b", both)
		one := start(t, a, To{Area: ptr[area.Name]("south")})
		time.Sleep(time.Millisecond)
		start(t, b, To{Area: ptr[area.Name]("south")})
		for range 5 {
			time.Sleep(look)
			if got := s.ordered(); got != "gate-3" && got != "" {
				t.Fatalf("ordered is %q", got)
			}
		}
		s.says("gate-3", one, area.UpdateConfirmed, "")
		time.Sleep(look)
		if got := s.ordered(); got != "gate-4" && got != "gate-3" { // of the first or of the second
			t.Errorf("then ordered is %q", got)
		}
	})
}

// TestRolloutWaitsForTheNodes: while the nodes cannot be reached nobody is ordered and
// nobody has failed; afterwards it goes on.
func TestRolloutWaitsForTheNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTwo(t)
		id := start(t, x.a, To{Area: ptr[area.Name]("north")})
		x.ordered()
		x.table.setFail(area.Errorf(area.CodeDegraded, "away"))
		x.says("gate-1", id, area.UpdateConfirmed, "")
		time.Sleep(time.Hour)
		if got := x.ordered(); got != "" {
			t.Errorf("meanwhile ordered is %q", got)
		}
		x.same(t, "meanwhile", id, "running gate-1:ordered gate-2:waiting")
		if _, err := x.b.Cancel(id, "ann"); area.CodeOf(err) != area.CodeDegraded {
			t.Errorf("it was cancelled: %v", err)
		}
		x.table.setFail(nil)
		time.Sleep(2 * look)
		if got := x.ordered(); got != "gate-2" {
			t.Errorf("afterwards ordered is %q", got)
		}
		x.same(t, "afterwards", id, "running gate-1:confirmed gate-2:ordered")
	})
}
