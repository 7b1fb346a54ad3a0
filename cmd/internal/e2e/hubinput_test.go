package e2e

import (
	"strings"
	"testing"
)

// TestBadInputOverHub: a call that is wrong is refused in the vendor's words and
// its connection stays; what is no call, or too large, ends that connection
// alone.
func TestBadInputOverHub(t *testing.T) {
	t.Parallel()
	h := start(t)
	n, other := h.npm(), h.watch()
	before := h.untouched()
	for _, c := range []struct {
		method string
		args   []any
		want   string
	}{
		{"JoinArea", nil, "Failed to invoke 'JoinArea' due to an error on the server."},                                         // an argument too few
		{"ReceiveDeviceConnected", []any{"gate-1"}, "Failed to invoke 'ReceiveDeviceConnected' due to an error on the server."}, // two too few
		{"BroadcastWorkStatus", []any{"north", "yes"}, "Failed to invoke 'BroadcastWorkStatus' due to an error on the server."}, // of a wrong type
		{"NoSuchMethod", []any{1}, "Unknown hub method 'NoSuchMethod'"},
	} {
		same(t, c.method+"'s error", n.refused(c.method, c.args...), c.want)
	}
	same(t, "Echo after that", string(n.invoke("Echo", 1)), "1")
	faults := h.metric("tacet_hub_protocol_errors")
	n.begin("invoke", "Echo", strings.Repeat("x", 40_000))
	l, _ := heard(n.program, 0, "the end of the connection", func(l line) bool { return l.State == "closed" })
	if l.Error == nil || !strings.Contains(*l.Error, "The maximum message size of 32768B was exceeded.") {
		t.Errorf("the connection closed without saying why: %+v", l)
	}
	same(t, "protocol errors", h.metric("tacet_hub_protocol_errors"), faults+1)
	other.call("Echo", "still here")
	same(t, "everything", h.untouched(), before)
}
