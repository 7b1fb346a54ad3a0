package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestMQTTOfTwoNodes: what mosquitto_pub says at one hub process mosquitto_sub hears at
// the other, once.
func TestMQTTOfTwoNodes(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	a, b := l.node("hub-1", t.TempDir()), l.node("hub-2", t.TempDir())
	heard := b.hub.subscribe("-v", "-t", "site/#")
	a.met(1)
	b.met(1)
	mark := 0
	for i := range 6 {
		body := fmt.Sprint("m-", i)
		a.hub.publish("site/x", body, "-q", fmt.Sprint(i%3))
		_, mark = heard.message(mark, "site/x", exactly(body))
	}
	b.hub.publish("site/x", "own")
	if line, _ := heard.message(mark, "site/x", anything); line != "own" { // nothing came twice
		t.Errorf("the other node's subscriber hears %q once more", line)
	}
	a.hub.publish("state/x", "on", "-r")
	a.hub.until("the other node retains it", func() bool {
		return strings.Contains(fmt.Sprintf("%s", b.call("GET", "/topics?filter=state/x", nil).body), `"on"`)
	})
	later := b.hub.subscribe("-v", "-t", "state/#")
	later.message(0, "state/x", exactly("on"))
	b.hub.publish("state/x", "", "-r")
	a.hub.until("it is deleted at both", func() bool {
		return !strings.Contains(fmt.Sprintf("%s", a.call("GET", "/topics?filter=state/x", nil).body), `"on"`)
	})
	same(t, "messages lost", a.metric("tacet_relay_lost")+b.metric("tacet_relay_missed"), 0)
}

// met waits until a node knows what so many others want.
func (s *serve) met(others float64) {
	s.hub.t.Helper()
	s.hub.until("the nodes know each other", func() bool { return s.metric("tacet_relay_nodes") == others && s.metric("tacet_relay_untold") == 0 })
}
