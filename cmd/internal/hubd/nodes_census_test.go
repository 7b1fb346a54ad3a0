package hubd

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/census"
)

// nodesAt waits until a node shows the nodes as they are to be.
func nodesAt(t *testing.T, r Ready, fits func(all map[string]census.Node) bool) {
	t.Helper()
	until(t, r.HTTP+"/api/v1/nodes", func(b string) bool {
		var page struct{ Items []census.Node }
		if err := json.Unmarshal([]byte(b), &page); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		all := map[string]census.Node{}
		for _, n := range page.Items {
			all[n.Node] = n
		}
		return fits(all)
	})
}

// A hub of one process lists itself.
func TestNodesOfOne(t *testing.T) {
	_, r, _ := started(t, nil)
	nodesAt(t, r, func(all map[string]census.Node) bool {
		n := all[r.Node]
		return len(all) == 1 && n.Self && n.State == census.Ready && n.Kind == census.KindHub && *n.HTTP == r.HTTP && *n.MQTT == r.MQTT && len(n.Areas) > 0 && n.Backplane.Mode == "memory" && n.MemoryBytes > 0
	})
	if code, body := get(t, r.HTTP+"/api/v1/nodes/"+r.Node); code != 200 || !strings.Contains(body, `"self":true`) {
		t.Errorf("%d %s", code, body)
	}
}

// Every node sees what each does, who ended in order, and that nobody can be reached
// while the server is away.
func TestNodesOfSeveral(t *testing.T) {
	s := startServer(t)
	s.timeout = 2 * time.Second
	_, r1, stop1 := started(t, s.node("hub-1", t.TempDir()))
	idleAt(t, r1)
	_, r2, _ := started(t, s.node("hub-2", t.TempDir()))
	idleAt(t, r2)
	player(t, r2.MQTT, "gate-2")
	for _, r := range []Ready{r1, r2} {
		nodesAt(t, r, func(all map[string]census.Node) bool {
			one, two := all["hub-1"], all["hub-2"]
			return len(all) == 2 && one.Self == (r.Node == "hub-1") && two.Self == (r.Node == "hub-2") &&
				one.State == census.Ready && two.State == census.Ready && len(one.Areas) == 1 && one.Areas[0] == "north" && len(two.Areas) == 0 &&
				two.Connections.MQTT == 1 && *one.HTTP == r1.HTTP && *two.HTTP == r2.HTTP && two.LagMs != nil && one.Backplane.Connected
		})
	}
	s.kill()
	nodesAt(t, r1, func(all map[string]census.Node) bool {
		return all["hub-1"].State == census.Degraded && all["hub-2"].State == census.Silent
	})
	s.start()
	nodesAt(t, r1, func(all map[string]census.Node) bool {
		return all["hub-1"].State == census.Ready && all["hub-2"].State == census.Ready && all["hub-1"].Backplane.Losses > 0
	})
	nodesAt(t, r2, func(all map[string]census.Node) bool { // said after the outage: so words pass again
		return all["hub-1"].State == census.Ready && all["hub-1"].Backplane.Losses > 0
	})
	if err := stop1(); err != nil {
		t.Fatal(err)
	}
	nodesAt(t, r2, func(all map[string]census.Node) bool {
		one := all["hub-1"]
		return one.State == census.Left && one.GoneAt != nil && len(one.Areas) == 0 && len(all["hub-2"].Areas) == 1
	})
	if _, body := get(t, r2.HTTP+"/api/v1/nodes/hub-1"); !strings.Contains(body, `"state":"left"`) {
		t.Errorf("hub-1 is %s", body)
	}
}
