package e2e

import (
	"net/http"
	"strings"
	"testing"
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
