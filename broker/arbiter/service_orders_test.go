package arbiter_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/order"
)

// clerk is an order service behind the arbiter, as a hub has it.
type clerk struct {
	*order.Service
	arbiter *arbiter.Service
	ends    []string // each end that an order came to
}

func (c *clerk) Report(r area.Report) {
	if o, err := c.Get(r.Work); err != nil || o.State.Ended() {
		if r.State.Ended() {
			c.arbiter.Stored(r.Area, r.Work)
		}
		return
	}
	c.Service.Report(r)
}

// second renders everything into a second.
type second struct{}

func (second) Duration(area.OrderRequest) (time.Duration, error) { return time.Second, nil }

// clerk puts an order service behind the town's arbiter: it is to be called before
// anything is reported.
func (h *town) clerk(t *testing.T) *clerk {
	t.Helper()
	orders, err := order.New(order.Config{}, order.NewMemory(0), h.roster, h.service, second{}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := &clerk{Service: orders, arbiter: h.service}
	c.Watch(func(o area.Order) {
		if o.State.Ended() {
			c.ends = append(c.ends, strings.TrimSuffix(string(o.State)+" "+text(o.Reason), " "))
			h.service.Stored(o.Area, o.ID)
		}
	})
	h.reporter.Store(c)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := orders.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return c
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (c *clerk) state(t *testing.T, id area.WorkID) string {
	t.Helper()
	synctest.Wait()
	o, err := c.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(o.State)+" "+text(o.Reason), " ")
}

// A leader that never comes back with a work in its hands: the work stays assigned
// past its expiry for 24 h, since it may have been done, and then it is lost. Nobody
// gets it after that.
func TestWorkOfALeaderThatNeverComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		led := &leaders{by: map[string][]byte{}}
		h := newTown(t, newLedger(), led)
		c := h.clerk(t)
		s := h.leader(t, "gate-1", 80)
		s.lead()
		north := "north"
		o, err := c.Accept(t.Context(), area.OrderRequest{To: area.To{Area: &north}, Message: &north}, order.By{Who: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		got := s.heard()[area.TrunkSubmit]
		if len(got) != 1 {
			t.Fatalf("handed over: %+v", got)
		}
		s.say(area.Trunk{Op: area.TrunkSubmitted, N: got[0].N, Work: o.ID})
		s.report(area.Report{Work: o.ID, State: area.OrderAssigned, Device: "gate-2", MID: "m-gate-2", Boot: 4, Att: 1}, nil)
		s.c.Disconnect(0)
		left := time.Until(o.ExpiresAt.Time) + 24*time.Hour
		for _, d := range []time.Duration{4 * time.Second, 40 * time.Second, left - 2*time.Minute} { // silent, taken over, nearly given up
			time.Sleep(d)
			if is := c.state(t, o.ID); is != "assigned" {
				t.Fatalf("after %v it is %s", d, is)
			}
		}
		time.Sleep(2 * time.Minute)
		if is := c.state(t, o.ID); is != "failed lost_contact" {
			t.Errorf("after 24 h it is %s", is)
		}
		late := h.leader(t, "gate-1", 800)
		late.lead()
		late.report(area.Report{Work: o.ID, State: area.OrderPlayed, Device: "gate-2", Att: 1, Ago: 24 * time.Hour}, nil)
		down := late.heard()
		if n := len(down[area.TrunkSubmit]); n != 0 || len(down[area.TrunkGot]) != 1 || len(c.ends) != 1 {
			t.Errorf("handed over %d times after its end, %d reports got; ends %v", n, len(down[area.TrunkGot]), c.ends)
		}
	})
}
