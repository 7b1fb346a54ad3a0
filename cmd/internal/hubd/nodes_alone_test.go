package hubd

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestTheServerOfTheNodesIsAwayPerNode: while the server stands still, and then is
// away, each node of an area that is set to per_node plays its orders with its own
// device; when it is back one node has the area, and the record says what was.
func TestTheServerOfTheNodesIsAwayPerNode(t *testing.T) {
	s := startServer(t)
	node := func(name string) func(*conf.Config) {
		base := s.node(name, t.TempDir())
		return func(c *conf.Config) {
			base(c)
			c.Areas[0].OnLedgerLoss = conf.PerNode
		}
	}
	s.timeout = 2 * time.Second
	_, r1, _ := started(t, node("hub-1"))
	idleAt(t, r1)
	_, r2, _ := started(t, node("hub-2"))
	idleAt(t, r2)
	player(t, r1.MQTT, "gate-1")
	player(t, r2.MQTT, "gate-2")
	nodes := map[string]Ready{"1": r1, "2": r2}
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, r := range nodes {
		until(t, r.HTTP+"/readyz", func(b string) bool {
			return strings.Contains(b, `"status":"degraded"`) && strings.Contains(b, `"areas":{"ok":false,"mode":"per_node"}`)
		})
	}
	s.kill()
	for n, r := range nodes {
		write(t, "POST", r.HTTP+"/api/v1/orders", `{"id":"away-`+n+`","to":{"area":"north"},"message":"hello","expires":"300s"}`)
	}
	for n, r := range nodes {
		until(t, r.HTTP+"/api/v1/orders/away-"+n, func(b string) bool {
			return strings.Contains(b, `"state":"played","reason"`) && strings.Contains(b, `"device":"gate-`+n+`"`)
		})
		_, body := get(t, r.HTTP+"/api/v1/areas/north")
		if l := leadOf(body); l.Alone == nil || l.Host != "hub-"+n || !l.Live {
			t.Errorf("hub-%s shows %s", n, body)
		}
	}
	s.start()
	for _, r := range nodes {
		until(t, r.HTTP+"/readyz", func(b string) bool {
			return strings.Contains(b, `"status":"ready"`) && strings.Contains(b, `"areas":{"ok":true}`)
		})
	}
	write(t, "POST", r2.HTTP+"/api/v1/orders", `{"id":"back","to":{"area":"north"},"message":"hello","expires":"300s"}`)
	until(t, r2.HTTP+"/api/v1/orders/back", func(b string) bool { return strings.Contains(b, `"state":"played","reason"`) })
	for _, r := range nodes { // each has what the other one has recorded
		until(t, r.HTTP+"/api/v1/areas/north/proof", func(b string) bool {
			var v proof.Verdict
			_ = json.Unmarshal([]byte(b), &v)
			over := 0
			for _, d := range v.Declared {
				if d.Is == proof.PerNode && d.To != nil {
					over++
				}
			}
			return v.PerNode == 2 && over == 2 && v.Plays >= 3 // more where a grant came too late for its lease
		})
		if _, body := get(t, r.HTTP+"/api/v1/areas/north"); leadOf(body).Term == 0 || leadOf(body).Alone != nil {
			t.Errorf("the area is %s", body)
		}
	}
}
