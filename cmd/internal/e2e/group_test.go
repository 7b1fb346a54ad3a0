package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// alarms is what a watcher was told of the event Alarm.
func (w *watcher) alarms() (list []string) {
	for _, e := range w.told.since(0) {
		if e.event == "Alarm" {
			list = append(list, e.String())
		}
	}
	return list
}

// TestGroupMirror: a group and its topic are one, both ways, and nothing comes
// twice.
func TestGroupMirror(t *testing.T) {
	t.Parallel()
	h := start(t)
	const topic = "tacet/group/alarms/Alarm"
	sub := h.subscribe("-v", "-t", "tacet/group/#")
	first, second, outside, s := h.watch(), h.watch(), h.watch(), h.sender()
	first.call("JoinGroup", "alarms")
	second.call("JoinGroup", "alarms")

	want := []string{`Alarm("fire", 3)`, `Alarm({"at":"gate 1"})`, `Alarm("smoke")`, `Alarm("//4=")`, `Alarm("hub", [1,2])`, `Alarm("rest")`}
	for i, payload := range []string{`["fire",3]`, `{"at":"gate 1"}`, "smoke", "\xff\xfe"} {
		h.publish(topic, payload)
		first.await("the event of "+payload, func(e told) bool { return e.String() == want[i] })
	}
	first.call("SendToGroup", "alarms", "Alarm", "hub", []int{1, 2})
	var sent struct{ Connections int }
	h.call("POST", "/groups/alarms/send", `{"event":"Alarm","args":["rest"]}`).want(t, http.StatusAccepted, &sent)
	same(t, "connections of REST's send", sent.Connections, 2)
	sub.message(0, topic, exactly(`["rest"]`)) // whatever it may cause comes before the barrier

	for name, w := range map[string]*watcher{"first": first, "second": second} {
		w.barrier(s)
		same(t, "alarms of "+name, strings.Join(w.alarms(), "\n"), strings.Join(want, "\n"))
	}
	outside.barrier(s)
	same(t, "alarms outside the group", len(outside.alarms()), 0)
	var shown []string
	for _, line := range sub.out.since(0) {
		if payload, ok := strings.CutPrefix(line, topic+" "); ok {
			shown = append(shown, payload)
		}
	}
	same(t, "messages on the topic", len(shown), len(want))
	same(t, "the hub's send on the topic", shown[4], `["hub",[1,2]]`)

	var members struct {
		Items []struct{ ConnectionID string }
	}
	h.get("/groups/alarms/members", &members)
	same(t, "members", len(members.Items), 2)
	first.call("LeaveGroup", "alarms")
	s.publish(topic, "late")
	first.barrier(s)
	same(t, "alarms after leaving", len(first.alarms()), len(want))
}

// TestMappedGroup: a rule of the operator's makes an event of foreign topics.
func TestMappedGroup(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	h.publish("barrier", "by rule", "-r")
	e := w.await("the rule's event", func(e told) bool { return e.event == "Barrier" })
	same(t, "the rule's event", e.String(), `Barrier({"topic":"barrier","payload":"by rule","retained":false,"captures":{}})`)
}

// TestGroupNpmAndMosquitto: what mosquitto_pub says on a group's topic is an event
// at the vendor's client, what that client says is a message at mosquitto_sub, and
// each comes exactly once.
func TestGroupNpmAndMosquitto(t *testing.T) {
	t.Parallel()
	const n, down, up = 20, "tacet/group/g/Down", "tacet/group/g/Up"
	h := start(t)
	sub, page := h.subscribe("-v", "-t", "tacet/group/#"), h.npm()
	page.invoke("JoinGroup", "g")
	for i := range n {
		h.publish(down, fmt.Sprintf(`[%d,"x"]`, i))
		page.invoke("SendToGroup", "g", "Up", i, map[string]int{"n": i})
	}
	page.event(0, "Down", hears(t, n-1, "x"))
	page.event(0, "Up", hears(t, n-1, map[string]int{"n": n - 1}))
	sub.message(0, up, exactly(fmt.Sprintf(`[%d,{"n":%[1]d}]`, n-1)))
	h.publish("tacet/group/g/End", "1") // whatever comes twice comes before this
	page.event(0, "End", hears(t, 1))
	sub.message(0, "tacet/group/g/End", anything)

	told, shown := map[string]int{}, map[string]int{}
	for _, text := range page.out.since(0) {
		var l line
		if json.Unmarshal([]byte(text), &l) == nil && l.Event != "" {
			told[l.Event]++
		}
	}
	for _, text := range sub.out.since(0) {
		topic, _, _ := strings.Cut(text, " ")
		shown[topic]++
	}
	same(t, "events at the client", fmt.Sprint(told["Down"], told["Up"], told["End"]), fmt.Sprint(n, n, 1))
	same(t, "messages at mosquitto_sub", fmt.Sprint(shown[down], shown[up]), fmt.Sprint(n, n))
}

// TestNpmStreams: a page streams topics, readings and orders: what is there, and
// what comes.
func TestNpmStreams(t *testing.T) {
	t.Parallel()
	h := start(t)
	page := h.npm()
	h.publish("home/north/hall/temperature", "20", "-r")
	h.publish("plant/x", "idle", "-r")
	value := func(want float64) func(json.RawMessage) bool {
		return func(raw json.RawMessage) bool {
			var r area.Reading
			return json.Unmarshal(raw, &r) == nil && r.Device == "hall" && r.Value == want
		}
	}
	payload := func(want string) func(json.RawMessage) bool {
		return func(raw json.RawMessage) bool {
			var v area.TopicValue
			return json.Unmarshal(raw, &v) == nil && v.Topic == "plant/x" && string(v.Payload) == want
		}
	}
	readings := page.begin("stream", "StreamReadings", map[string]string{"area": "north"})
	topics := page.begin("stream", "StreamTopics", "plant/#", 100)
	r, p := page.item(readings, 0, value(20)), page.item(topics, 0, payload(`"idle"`))
	h.publish("home/south/yard/temperature", "5")
	h.publish("home/north/hall/temperature", "21")
	h.publish("plant/x", "busy")
	page.item(readings, r, value(21))
	page.item(topics, p, payload(`"busy"`))
	for what, c := range map[string]struct {
		method, arg string
		code        string
	}{
		"a bad filter": {"StreamTopics", "a/#/b", "invalid"}, "no such area": {"StreamOrders", "nowhere", "unknown_area"}, "audit": {"StreamAuditLog", "default", "not_found"},
	} {
		refused := page.finish(page.begin("stream", c.method, c.arg))
		if refused.Error == nil || !strings.Contains(*refused.Error, "HubException: "+c.code+": ") {
			t.Errorf("%s: %+v", what, refused)
		}
	}
	waits := h.announce(`{"to":{"area":"north"},"message":"Waits"}`)
	h.announce(`{"to":{"area":"south"},"message":"Elsewhere"}`)
	state := func(want area.OrderState) func(json.RawMessage) bool {
		return func(raw json.RawMessage) bool {
			var o area.Order
			if json.Unmarshal(raw, &o) == nil && o.Area != "north" {
				t.Errorf("the orders of north have %s", raw)
			}
			return o.ID == waits && o.State == want
		}
	}
	orders := page.begin("stream", "StreamOrders", "North Wing")
	r = page.item(orders, 0, state(area.OrderWaiting))
	h.call("DELETE", "/orders/"+string(waits), nil).want(t, http.StatusOK, nil)
	page.item(orders, r, state(area.OrderCancelled))
}
