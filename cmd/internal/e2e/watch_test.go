package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestNpmWatcher: the npm package's client watches areas and groups, announces
// and cancels.
func TestNpmWatcher(t *testing.T) {
	t.Parallel()
	h := start(t)
	n := h.npm()
	hello, _ := n.event(0, "ConnectionAcknowledged", func(args []json.RawMessage) bool { return len(args) == 2 })
	ready, _ := heard(n.program, 0, "connection", func(l line) bool { return l.State == "connected" })
	same(t, "the acknowledged connection", string(hello[0]), `"`+ready.Connection+`"`)
	same(t, "Echo", string(n.invoke("Echo", map[string]any{"a": []int{1, 2}})), `{"a":[1,2]}`)

	var rest struct{ Items json.RawMessage }
	h.get("/areas", &rest)
	same(t, "GetAreas", string(n.invoke("GetAreas")), string(rest.Items))
	same(t, `JoinArea("*")`, string(n.invoke("JoinArea", "*")), string(rest.Items))
	south := h.call("GET", "/areas/south", nil)
	same(t, "GetArea by its name", string(n.invoke("GetArea", "South Wing")), string(south.body))

	h.publish("home/north/hall/temperature", "21.5")
	n.event(0, "Reading", about(func(r area.Reading) bool { return r.Device == "hall" && r.Value == 21.5 && r.Area == "north" }))

	var made area.Accepted
	if err := json.Unmarshal(n.invoke("Announce", map[string]any{"to": map[string]any{"area": "south"}, "message": "hello"}), &made); err != nil {
		t.Fatal(err)
	}
	n.event(0, "OrderChanged", about(func(o area.Order) bool { return o.ID == made.ID && !o.State.Ended() }))
	var cancelled area.Order
	if err := json.Unmarshal(n.invoke("CancelOrder", made.ID), &cancelled); err != nil || cancelled.State != area.OrderCancelled || cancelled.Reason == nil || *cancelled.Reason != area.EndUser {
		t.Errorf("CancelOrder answers %+v (%v)", cancelled, err)
	}
	n.event(0, "OrderChanged", about(func(o area.Order) bool { return o.ID == made.ID && o.State == area.OrderCancelled }))

	// seq grows by one from the snapshot on.
	last := map[area.Name]uint64{}
	var snapshot []area.Area
	if err := json.Unmarshal(rest.Items, &snapshot); err != nil {
		t.Fatal(err)
	}
	for _, a := range snapshot {
		last[a.ID] = a.Seq
	}
	for _, text := range n.out.since(0) {
		var l line
		var d area.Delta
		if json.Unmarshal([]byte(text), &l) != nil || l.Event != "AreaChanged" || json.Unmarshal(l.Args[0], &d) != nil {
			continue
		}
		if d.Seq != last[*d.Area]+1 {
			t.Errorf("AreaChanged of %s has seq %d after %d", *d.Area, d.Seq, last[*d.Area])
		}
		last[*d.Area] = d.Seq
	}
}

// TestNpmGroups: positions count every event of a group.
func TestNpmGroups(t *testing.T) {
	t.Parallel()
	h := start(t)
	n, other := h.npm(), h.connect()
	type position struct {
		Epoch  string
		Offset uint64
		Gap    bool
	}
	join := func(args ...any) (p position) {
		t.Helper()
		if err := json.Unmarshal(n.invoke("JoinGroup", args...), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := join("alarms")
	if first.Epoch == "" || first.Gap {
		t.Errorf("the first position is %+v", first)
	}
	other.call("SendToGroup", "alarms", "Alarm", "fire", 1)
	n.event(0, "Alarm", hears(t, "fire", 1))
	n.invoke("SendToGroup", "alarms", "Alarm", map[string]bool{"own": true})
	n.event(0, "Alarm", hears(t, map[string]bool{"own": true}))
	second := join("alarms")
	if second.Epoch != first.Epoch || second.Offset != first.Offset+2 {
		t.Errorf("after two events the position is %+v, before %+v", second, first)
	}
	mark := n.out.mark()
	if p := join("alarms", map[string]any{"epoch": first.Epoch, "offset": first.Offset}); p != second {
		t.Errorf("a join since an old position answers %+v, want %+v", p, second)
	}
	_, mark = n.event(mark, "Alarm", hears(t, "fire", 1)) // before the answer
	n.event(mark, "Alarm", hears(t, map[string]bool{"own": true}))
	if p := join("alarms", map[string]any{"epoch": "another life", "offset": 1}); !p.Gap || p.Offset != second.Offset {
		t.Errorf("a join since a position of another epoch answers %+v, want a gap", p)
	}
	n.invoke("LeaveGroup", "alarms")
	other.call("SendToGroup", "alarms", "Alarm", "late")
	n.invoke("Echo", 1)
	if strings.Contains(strings.Join(n.out.since(0), "\n"), `"late"`) {
		t.Error("an event came after LeaveGroup")
	}
}

// TestNpmErrors: each refusal has its code in the text that the vendor's client
// shows.
func TestNpmErrors(t *testing.T) {
	t.Parallel()
	h := start(t)
	n := h.npm()
	h.announce(`{"id":"o-1","to":{"area":"south"},"message":"x"}`)
	n.invoke("CancelOrder", "o-1")
	order := func(to string) any {
		return map[string]any{"to": map[string]any{to: "none"}, "message": "x"}
	}
	for _, c := range []struct {
		method string
		args   []any
		code   area.Code
	}{
		{"JoinArea", []any{"west"}, area.CodeUnknownArea},
		{"GetArea", []any{"West Wing"}, area.CodeUnknownArea},
		{"BroadcastWorkStatus", []any{"west", true}, area.CodeUnknownArea},
		{"BroadcastWorkStatus", []any{"north", true}, area.CodeNotRegistered},
		{"GetWork", nil, area.CodeNotRegistered},
		{"Announce", []any{order("area")}, area.CodeUnknownArea},
		{"Announce", []any{order("location")}, area.CodeUnknownLocation},
		{"Announce", []any{order("device")}, area.CodeUnknownDevice},
		{"Announce", []any{map[string]any{"to": map[string]any{"area": "north"}, "colour": 1}}, area.CodeBadRequest},
		{"Announce", []any{map[string]any{"to": map[string]any{"area": "north"}}}, area.CodeInvalid},
		{"CancelOrder", []any{"o-9"}, area.CodeNotFound},
		{"CancelOrder", []any{"o-1"}, area.CodeEnded},
		{"JoinGroup", []any{"user:ann"}, area.CodeForbidden},
		{"JoinGroup", []any{"no group"}, area.CodeInvalid},
		{"SendToGroup", []any{"role:operator", "Alarm"}, area.CodeForbidden},
		{"ReceiveDeviceConnected", []any{"gate-1", "north", "3"}, area.CodeLocationConflict},
		{"ReceiveDeviceConnected", []any{"no id!", "north", "1"}, area.CodeInvalid},
	} {
		want := "An unexpected error occurred invoking '" + c.method + "' on the server. HubException: " + string(c.code) + ": "
		if got := n.refused(c.method, c.args...); !strings.HasPrefix(got, want) {
			t.Errorf("%s%v fails with %q, want %q…", c.method, c.args, got, want)
		}
	}
	if got := n.refused("NoSuchMethod"); got != "Unknown hub method 'NoSuchMethod'" {
		t.Errorf("an unknown method fails with %q", got)
	}
	same(t, "Echo after all that", string(n.invoke("Echo", "still here")), `"still here"`)
}
