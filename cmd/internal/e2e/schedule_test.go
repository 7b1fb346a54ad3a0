package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestRound: a rule fires for each location in turn, and skips where its last
// order has not ended.
func TestRound(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	var made area.Schedule
	h.call("POST", "/schedules", `{"id":"round","every":"1s","work":{"to":{"each":"locations"},"message":"Please keep your belongings with you"}}`).want(t, http.StatusCreated, &made)
	if made.Next == nil || made.Last != nil || !made.Enabled || made.Source != area.SourceAPI {
		t.Errorf("the new schedule is %+v", made)
	}
	seen := map[area.WorkID]bool{}
	next := func(at string) area.Order {
		t.Helper()
		var o area.Order
		w.await("an order for location "+at, func(e told) bool {
			o = area.Order{}
			return e.event == "OrderChanged" && e.read(&o) && !seen[o.ID] && o.To.Location != nil && *o.To.Location == at
		})
		seen[o.ID] = true
		if o.Schedule == nil || *o.Schedule != "round" {
			t.Errorf("the order is of schedule %v", o.Schedule)
		}
		return o
	}
	var first []area.Order
	for i := range 4 {
		first = append(first, next(fmt.Sprint(1+i)))
	}
	h.call("DELETE", "/orders/"+string(first[1].ID), nil).want(t, http.StatusOK, nil)
	again := next("2")
	if !again.CreatedAt.After(first[1].CreatedAt.Time) {
		t.Errorf("%+v came after %+v", again, first[1])
	}
	var all struct{ Items []area.Order }
	h.get("/orders", &all)
	same(t, "orders after two firings", len(all.Items), 5)

	// Stopping an area takes back what waits there, and nothing else.
	h.call("PUT", "/schedules/round", `{"every":"1s","enabled":false,"work":{"to":{"each":"locations"},"message":"x"}}`).want(t, http.StatusOK, nil)
	var stopped struct{ Stopped, Cancelled []area.WorkID }
	h.call("POST", "/areas/south/stop", nil).want(t, http.StatusOK, &stopped)
	if len(stopped.Stopped) != 0 || len(stopped.Cancelled) != 2 {
		t.Errorf("stop answers %+v, want two cancelled", stopped)
	}
	for _, id := range stopped.Cancelled {
		if o := w.ended(id); o.State != area.OrderCancelled || *o.Reason != area.EndStop || o.Area != "south" {
			t.Errorf("%s ended %s", id, story(o))
		}
	}
	if o := h.order(first[0].ID); o.State.Ended() {
		t.Errorf("the order of north ended %s", story(o))
	}

	var shown area.Schedule
	h.get("/schedules/round", &shown)
	if shown.Last == nil || shown.Enabled || shown.Next != nil {
		t.Errorf("the schedule that was switched off is %+v", shown)
	}
	var instants struct{ Items []area.Time }
	h.get("/schedules/round/next?n=3", &instants)
	for i, at := range instants.Items {
		if at.UnixMilli()%1000 != 0 || i > 0 && at.Sub(instants.Items[i-1].Time) != time.Second {
			t.Errorf("the next instants are %v", instants.Items)
		}
	}
	h.call("DELETE", "/schedules/round", nil).want(t, http.StatusNoContent, nil)
	h.call("GET", "/schedules/round", nil).refused(t, http.StatusNotFound, area.CodeNotFound)
}

// TestScheduleSpeaks: a rule that is due once, in the configuration, is heard
// once.
func TestScheduleSpeaks(t *testing.T) {
	t.Parallel()
	second := area.Duration(time.Second)
	in, text := "north", "Boarding"
	h := start(t, func(c *conf.Config) {
		c.Schedules = []conf.Schedule{{ID: "beat", Every: &second, Enabled: true, Work: area.OrderRequest{To: area.To{Area: &in}, Message: &text}}}
	})
	w := h.watch()
	h.classic("gate-1", "north", "1", func() {})
	var o area.Order
	w.await("an order of the rule that was played", func(e told) bool {
		o = area.Order{}
		return e.event == "OrderChanged" && e.read(&o) && o.State == area.OrderPlayed && o.Schedule != nil && *o.Schedule == "beat"
	})
	h.call("DELETE", "/schedules/beat", nil).refused(t, http.StatusConflict, area.CodeConfigured)
	if shown := h.fired("beat"); shown.Source != area.SourceConfig || shown.Last.Order == nil {
		t.Errorf("the schedule is %+v", shown)
	}

	at := area.At(time.Now().Add(5 * time.Second)).String()
	h.call("POST", "/schedules", fmt.Sprintf(`{"id":"late","once":%q,"work":{"to":{"area":"south"},"message":"x"}}`, at)).want(t, http.StatusCreated, nil)
	w.await("the order of the rule that is due once", func(e told) bool {
		o = area.Order{}
		return e.event == "OrderChanged" && e.read(&o) && o.Schedule != nil && *o.Schedule == "late"
	})
	if shown := h.fired("late"); shown.Next != nil || !strings.HasPrefix(shown.Last.At.String(), at[:19]) {
		t.Errorf("the rule that was due once is %+v", shown)
	}
}

// fired waits until a schedule says when it fired last: it does so once its orders are
// made, which are told of before.
func (h *hub) fired(id string) (shown area.Schedule) {
	h.t.Helper()
	h.until("schedule "+id+" has fired", func() bool {
		shown = area.Schedule{}
		h.get("/schedules/"+id, &shown)
		return shown.Last != nil
	})
	return shown
}

// TestCancel: what plays is stopped at once, what waits takes its turn.
func TestCancel(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	g := h.gate("gate-1", "north", "1")
	long := h.announce(`{"to":{"location":"1"},"message":"This is a longer announcement, which somebody takes back."}`)
	after := h.announce(`{"to":{"location":"1"},"message":"Go"}`)
	w.order(long, func(o area.Order) bool { return o.State == area.OrderPlaying })
	var shown area.Order
	h.call("DELETE", "/orders/"+string(long), nil).want(t, http.StatusOK, &shown)
	if shown.State != area.OrderPlaying && shown.State != area.OrderCancelled {
		t.Errorf("the order that is taken back is %s", shown.State)
	}
	if o := w.ended(long); o.State != area.OrderCancelled || *o.Reason != area.EndUser {
		t.Errorf("the order that was taken back ended %s", story(o))
	}
	if o := w.ended(after); o.State != area.OrderPlayed {
		t.Errorf("the order after it ended %s", story(o))
	}
	for name, stop := range map[string]func() []byte{
		"REST": func() []byte {
			a := h.call("POST", "/areas/north/stop", nil)
			a.want(t, http.StatusOK, nil)
			return a.body
		},
		"the hub": func() []byte { return w.call("StopArea", "North Wing") },
	} {
		id := h.announce(`{"to":{"location":"1"},"message":"This is a longer announcement, which somebody stops."}`)
		w.order(id, func(o area.Order) bool { return o.State == area.OrderPlaying })
		same(t, name+"'s answer", string(stop()), fmt.Sprintf(`{"stopped":[%q],"cancelled":[]}`, id))
		if o := w.ended(id); o.State != area.OrderCancelled || *o.Reason != area.EndStop || o.Attempt != 1 {
			t.Errorf("what %s has stopped ended %s", name, story(o))
		}
	}
	oneVoice(t, nil, g)
}
