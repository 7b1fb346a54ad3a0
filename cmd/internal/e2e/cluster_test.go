package e2e

import (
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/census"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/hubd"
)

// clusterNode is a line of what the cluster says of itself.
var clusterNode = regexp.MustCompile(`^  (hub-\d) +(http://\S+) (mqtt://\S+) process (\d+)$`)

// demoCluster is a running demo of several nodes.
type demoCluster struct {
	*program
	front *hub
	nodes []*hub
	pids  []int
}

func startCluster(t *testing.T) *demoCluster {
	t.Helper()
	c := &demoCluster{program: run(t, tacet(t), "demo", "--nodes", "2", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")}
	line, mark := c.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready ") })
	at := func(web, mqtt string) *hub {
		h := &hub{t: t, ready: hubd.Ready{HTTP: web, MQTT: mqtt}, web: &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}}
		t.Cleanup(h.web.CloseIdleConnections)
		return h
	}
	_, rest, _ := strings.Cut(line, "http=")
	front, _, _ := strings.Cut(rest, " ")
	c.front = at(front, "")
	for range 2 {
		line, mark = c.line(mark, "a node", clusterNode.MatchString)
		m := clusterNode.FindStringSubmatch(line)
		pid, err := strconv.Atoi(m[4])
		if err != nil {
			t.Fatal(err)
		}
		c.nodes, c.pids = append(c.nodes, at(m[2], m[3])), append(c.pids, pid)
	}
	return c
}

// sees waits until a node shows another as it is to be.
func (h *hub) sees(node, what string, fits func(census.Node) bool) {
	h.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var list struct{ Items []census.Node }
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		h.get("/nodes", &list)
		for _, n := range list.Items {
			if n.Node == node && fits(n) {
				return
			}
		}
	}
	h.t.Fatalf("%s is not %s: %+v", node, what, list.Items)
}

// speaks has an order of the pier played.
func (h *hub) speaks(what string) {
	h.t.Helper()
	id := h.announce(`{"to":{"area":"pier"},"message":"` + what + `","priority":"emergency"}`)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var o area.Order
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if h.get("/orders/"+string(id), &o); o.State == area.OrderPlayed {
			return
		}
	}
	h.t.Fatalf("%s: the order is %s %v", what, o.State, o.History)
}

// TestDemoCluster: make demo-cluster is two nodes that are one hub, before which nginx
// stands; each of them is killed once, the other speaks on and shows it, and the killed
// one is back.
func TestDemoCluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for i, n := range c.nodes {
		for _, name := range []string{"hub-1", "hub-2"} {
			n.sees(name, "ready", func(n census.Node) bool { return n.State == census.Ready })
		}
		n.speaks("at node " + strconv.Itoa(i+1))
	}
	var list struct{ Items []struct{} }
	if c.front.get("/devices", &list); len(list.Items) < 8 {
		t.Errorf("behind the balancer there are %d devices", len(list.Items))
	}
	for i, name := range []string{"hub-1", "hub-2"} {
		other := c.nodes[1-i]
		mark := c.out.mark()
		if err := syscall.Kill(c.pids[i], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		c.line(mark, "the end of "+name, func(s string) bool { return strings.HasPrefix(s, name+" has ended") })
		other.sees(name, "gone", func(n census.Node) bool { return n.State == census.Gone || n.Starts == 2 }) // a slow machine may look too late
		if page := c.front.page(); !strings.Contains(page, "<title>Tacet</title>") {
			t.Errorf("with %s dead the balancer answers %q", name, page)
		}
		other.speaks("without " + name)
		c.line(mark, "the return of "+name, func(s string) bool { return strings.HasPrefix(s, name+" is process ") })
		other.sees(name, "back", func(n census.Node) bool { return n.State == census.Ready && n.Starts == 2 })
		c.nodes[i].speaks("back at " + name)
	}
	c.signal(syscall.SIGINT)
	same(t, "exit code", c.wait(), 0)
	for _, h := range append(c.nodes, c.front) {
		if conn, err := net.Dial("tcp", strings.TrimPrefix(h.ready.HTTP, "http://")); err == nil {
			_ = conn.Close()
			t.Errorf("%s still listens", h.ready.HTTP)
		}
	}
}

// page is the dashboard.
func (h *hub) page() string {
	h.t.Helper()
	resp, err := h.web.Get(h.ready.HTTP + "/")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b := make([]byte, 4096)
	n, _ := resp.Body.Read(b)
	return string(b[:n])
}
