package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// read reads an answer's body.
func (h *hub) read(a answer, into any) bool { return json.Unmarshal(a.body, into) == nil }

// live waits until a device is shown as live at a hub.
func (h *hub) live(id string) {
	h.t.Helper()
	eventually(h.t, id+" is live at "+h.ready.Node, func() bool {
		a := h.call("GET", "/devices/"+id, nil)
		var d area.Device
		return a.status == http.StatusOK && h.read(a, &d) && d.Presence == area.Online
	})
}

// shows waits until a hub shows an order as somebody wants it.
func (h *hub) shows(id area.WorkID, what string, so func(area.Order) bool) (o area.Order) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("%s shows %s %s", h.ready.Node, id, what), func() bool {
		a := h.call("GET", "/orders/"+string(id), nil)
		return a.status == http.StatusOK && h.read(a, &o) && so(o)
	})
	return o
}

// arbiter waits until every node shows the same live node as who has north, and that
// one has it, and answers it.
func arbiter(nodes ...*serve) (by area.Lead) {
	t := nodes[0].hub.t
	t.Helper()
	eventually(t, "every node shows who has north", func() bool {
		for i, n := range nodes {
			var a area.Area
			n.get("/areas/north", &a)
			if l := a.Leader; l == nil || !l.Live || l.Since == nil || n.owns() != (l.Host == n.ready.Node) || i > 0 && !l.Same(by) {
				return false
			}
			by = *a.Leader
		}
		return true
	})
	return by
}

func ended(s area.OrderState) func(area.Order) bool {
	return func(o area.Order) bool { return o.State == s }
}

// TestOrdersOfTwoNodes: an order that one node has accepted is listed, watched, in the
// queue and cancelled at the other; an idempotency key counts at both. When its node is
// killed after it has answered, an order that waits is played all the same, once, and
// that node shows so when it is back. Every node shows which one has the area.
func TestOrdersOfTwoNodes(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	l.north = "lease: 3s" // plays are counted: none is cut off where the machine stands still for a second
	datas := []string{t.TempDir(), t.TempDir()}
	one, two := l.node("hub-1", datas[0], "speech: {engine: tone}"), l.node("hub-2", datas[1], "speech: {engine: tone}")
	g := two.gateWith("gate-2", "north", "")
	one.live("gate-2")
	two.live("gate-2")
	w := two.watch()
	before := arbiter(one, two)

	later := area.At(time.Now().Add(time.Hour)).String()
	id := one.announce(`{"to":{"area":"north"},"message":"later","not_before":"` + later + `"}`)
	w.order(id, func(o area.Order) bool { return o.State == area.OrderWaiting })
	two.shows(id, "waiting", ended(area.OrderWaiting))
	for _, n := range []*serve{one, two} {
		var list struct{ Items []map[string]any }
		n.get("/orders", &list)
		if len(list.Items) != 1 {
			t.Errorf("%s lists %d orders", n.ready.Node, len(list.Items))
		}
		eventually(t, "the order is in the queue at "+n.ready.Node, func() bool {
			var a area.Area
			n.get("/areas/north", &a)
			return len(a.Queue) == 1 && a.Queue[0].Order == id
		})
	}
	var o area.Order
	two.call("DELETE", "/orders/"+string(id), nil).want(t, http.StatusOK, &o)
	same(t, "the cancelled order at the other node", o.State, area.OrderCancelled)
	one.shows(id, "cancelled", ended(area.OrderCancelled))
	if o := w.ended(id); o.State != area.OrderCancelled {
		t.Errorf("the other node's watcher is told %s", story(o))
	}

	var first, again area.Accepted
	body := `{"to":{"device":"gate-2"},"message":"once"}`
	one.call("POST", "/orders", body, "Idempotency-Key", "k").want(t, http.StatusAccepted, &first)
	if a := two.call("POST", "/orders", body, "Idempotency-Key", "k"); a.status >= 300 || !two.read(a, &again) || again.ID != first.ID {
		t.Errorf("the key at the other node is answered %d %s, want %s", a.status, a.body, first.ID)
	}
	two.shows(first.ID, "played", ended(area.OrderPlayed))

	long := one.announce(`{"to":{"device":"gate-2"},"message":"This is a long announcement, so that others have to wait for it, and its node is killed meanwhile."}`)
	two.shows(long, "playing", ended(area.OrderPlaying))
	waits := one.announce(`{"to":{"device":"gate-2"},"message":"This one waits."}`)
	soon := area.At(time.Now().Add(2 * time.Second)).String()
	timed := one.announce(`{"to":{"device":"gate-2"},"message":"This one has its time.","not_before":"` + soon + `"}`)
	one.signal(syscall.SIGKILL)
	one.wait()
	begin := time.Now()
	for _, id := range []area.WorkID{long, waits, timed} {
		o := two.shows(id, "ended", func(o area.Order) bool { return o.State.Ended() })
		if o.State != area.OrderPlayed {
			t.Errorf("after its node was killed: %s", story(o))
		}
	}
	t.Logf("all three have their end %v after the kill", time.Since(begin).Round(100*time.Millisecond))
	if n := two.metric("tacet_orders_inherited"); n < 2 || n > 3 {
		t.Errorf("the other node has taken over %v orders", n)
	}
	if after := arbiter(two); after.Host != "hub-2" || after.Term < before.Term {
		t.Errorf("%+v has north after the kill, %+v before it", after, before)
	}
	back := l.node("hub-1", datas[0], "speech: {engine: tone}")
	arbiter(two, back)
	for _, id := range []area.WorkID{long, waits, timed} {
		back.shows(id, "played", ended(area.OrderPlayed))
	}
	same(t, "orders without an end at the node that is back", back.metric("tacet_orders_live"), 0)
	plays := map[string]int{}
	for _, p := range g.plays() {
		plays[p.work]++
	}
	for work, n := range plays {
		if n != 1 && work != string(long) { // which was cut short by the death of who had granted it, perhaps
			t.Errorf("%s was played %d times", work, n)
		}
	}
	same(t, "works played", len(plays), 4)
	oneVoice(t, nil, g)
}
