package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestEnds: each way in which an order may end without a sound, with its reason.
func TestEnds(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	h.classic("gate-1", "north", "1", func() {})
	h.publish("tacet/area/north/busy/set/bell", "1")
	w.busy(0, "north", heldBy("bell"))
	waits := h.announce(`{"to":{"area":"north"},"message":"x"}`)
	for name, c := range map[string]struct {
		order  string
		state  area.OrderState
		reason string
	}{
		"nobody there":  {`{"to":{"area":"south"},"message":"x","expires":"1s"}`, area.OrderFailed, area.EndNoDevice},
		"too late":      {`{"to":{"location":"1"},"message":"x","expires":"1s"}`, area.OrderExpired, ""},
		"not if it has": {`{"to":{"location":"1"},"message":"x","if_busy":"skip"}`, area.OrderCancelled, area.EndBusy},
	} {
		id := h.announce(c.order)
		o := w.ended(id)
		reason := ""
		if o.Reason != nil {
			reason = *o.Reason
		}
		if o.State != c.state || c.reason != "" && reason != c.reason || o.EndedAt == nil || o.StartedAt != nil {
			t.Errorf("%s: ended %s", name, story(o))
		}
		h.call("DELETE", "/orders/"+string(id), nil).refused(t, 409, area.CodeEnded)
	}
	if o := h.order(waits); o.State.Ended() {
		t.Errorf("the order that waits ended %s", story(o))
	}
	h.publish("tacet/area/north/busy/set/bell", "0")
	if o := w.ended(waits); o.State != area.OrderPlayed {
		t.Errorf("the order that waited ended %s", story(o))
	}
}

// TestOrderOfOrders: what is more urgent is said first, the rest as it came, and
// what is for later waits for its time.
func TestOrderOfOrders(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	later := time.Now().Add(4 * time.Second)
	last := h.announce(fmt.Sprintf(`{"to":{"location":"1"},"message":"x","not_before":%q}`, area.At(later)))
	if o := h.order(last); o.State != area.OrderWaiting {
		t.Errorf("the order for later is %s", o.State)
	}
	var ids []area.WorkID
	for _, priority := range []string{"background", "normal", "normal", "high"} {
		ids = append(ids, h.announce(map[string]any{"to": map[string]any{"location": "1"}, "message": "x", "priority": priority}))
	}
	for _, id := range ids { // the area has them all before somebody can do one
		w.order(id, func(o area.Order) bool { return o.State == area.OrderWaiting })
	}
	h.classic("gate-1", "north", "1", func() {})
	var before area.Order
	for _, i := range []int{3, 1, 2, 0} {
		o := w.ended(ids[i])
		if o.State != area.OrderPlayed {
			t.Fatalf("%s order ended %s", o.Priority, story(o))
		}
		if before.StartedAt != nil && o.StartedAt.Before(before.StartedAt.Time) {
			t.Errorf("a %s order was played at %s, before a %s one at %s", o.Priority, o.StartedAt, before.Priority, before.StartedAt)
		}
		before = o
	}
	if o := w.ended(last); o.State != area.OrderPlayed || o.StartedAt.Before(area.At(later).Time) {
		t.Errorf("the order for later ended %s", story(o))
	}
}

// TestEstimate: an order says when it would start and after whom; a trial
// changes nothing.
func TestEstimate(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	spoken := make(chan struct{})
	h.classic("gate-1", "north", "1", func() { <-spoken })
	defer close(spoken)
	h.publish("tacet/area/north/submit", `{"v":1,"work":"w-1","location":"1","dur_ms":30000,"body":{"message":"long"}}`)
	w.order("w-1", func(o area.Order) bool { return o.State == area.OrderPlaying })
	w.busy(0, "north", heldBy("gate-1")) // which is told beside it, and so is this:
	w.device("gate-1", "state", `"playing"`)
	before := h.untouched()
	var trial struct {
		ID             *area.WorkID
		State          area.OrderState
		EstimatedStart *area.Time `json:"estimated_start"`
		After          *area.WorkID
		DurationMs     int64 `json:"duration_ms"`
	}
	h.call("POST", "/orders?dry_run=true", `{"to":{"area":"north"},"message":"hello"}`).want(t, 200, &trial)
	if trial.ID != nil || trial.After == nil || *trial.After != "w-1" || trial.DurationMs <= 0 || trial.EstimatedStart == nil {
		t.Fatalf("the trial is %+v", trial)
	}
	if in := time.Until(trial.EstimatedStart.Time); in < 15*time.Second || in > 35*time.Second {
		t.Errorf("the trial would start in %s, want what is left of 30 s", in)
	}
	same(t, "everything", h.untouched(), before)
	h.call("POST", "/orders?dry_run=true", `{"to":{"area":"south"},"message":"hello"}`).want(t, 200, &trial)
	if trial.EstimatedStart != nil {
		t.Errorf("where nobody is it would start at %s", trial.EstimatedStart)
	}
}
