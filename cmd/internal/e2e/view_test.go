package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/census"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/e2e/programs"
	"github.com/tacet-hub/tacet/cmd/internal/hubd"
)

// view starts a process that serves the dashboard alone; to stop it is to kill it.
func (l *ledger) view(name string) (*hub, *program) {
	l.t.Helper()
	p := run(l.t, programs.View(l.t), "--redis", "unix://"+l.socket(), "--http", "127.0.0.1:0", "--node", name)
	line, _ := p.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready http=") })
	h := &hub{t: l.t, ready: hubd.Ready{HTTP: strings.TrimPrefix(line, "ready http=")}, web: &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}}
	h.stop = func() error {
		p.signal(syscall.SIGKILL)
		p.wait()
		return nil
	}
	return h, p
}

// answers waits for an answer that fits, whatever is answered before.
func (h *hub) answers(path string, fits func(status int, body string) bool) {
	h.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var status int
	var body []byte
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		resp, err := h.web.Get(h.ready.HTTP + path)
		if err != nil {
			continue
		}
		body = make([]byte, 1<<16)
		n, _ := resp.Body.Read(body)
		_ = resp.Body.Close()
		if status, body = resp.StatusCode, body[:n]; fits(status, string(body)) {
			return
		}
	}
	h.t.Fatalf("%s answers %d %s", path, status, body)
}

// TestViewHost: a browser at a process that serves the dashboard alone sees what happens
// at the node of the hub, that this is gone, and that it is back.
func TestViewHost(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	data := t.TempDir()
	one := l.node("hub-1", data)
	one.owned()
	v, _ := l.view("view-1")
	v.answers("/readyz", func(_ int, b string) bool { return strings.Contains(b, `"status":"ready"`) })
	p := v.browse("view.mjs")
	if s := p.step("open"); !has(s.Text, "view-1 (this one)", "serves this page alone", "hub-1") || !has(s.Look, "view-1", "ready") {
		t.Errorf("the page shows %q, and of the hub %q", s.Text, s.Look)
	}
	one.publish("home/north/hall/temperature", "21.5")
	p.step("reading")
	one.publish("home/north/hall/temperature", "22.5")
	w := one.connect()
	w.On("ReceiveWork", func([]json.RawMessage) { _, _ = w.invoke("BroadcastWorkStatus", "north", true) }) // held, or the page waits in vain
	w.call("ReceiveDeviceConnected", "gate-1", "north", "1")
	v.announce(`{"to":{"area":"north"},"message":"ordered at the view"}`)
	p.step("held")
	w.call("BroadcastWorkStatus", "north", false)
	one.signal(syscall.SIGKILL)
	one.wait()
	if s := p.step("degraded"); s.Loud != "dot w" {
		t.Errorf("degraded looks like %q", s.Loud)
	}
	one = l.node("hub-1", data)
	one.owned()
	one.publish("home/north/hall/temperature", "23.5")
	p.step("back")
	same(t, "exit code", p.wait(), 0)
}

// hearsAt has a member of a group at the view hear what is sent at a node. The view has
// its clients come anew when something was missed, as while it finds the node: then
// another is tried.
func hearsAt(v *hub, node *serve) *signalrtest.Client {
	v.t.Helper()
	end := time.After(patience)
	for {
		c, err := signalrtest.Dial(v.t.Context(), v.ready.HTTP+"/hubs/devices", signalrtest.Options{})
		if err != nil {
			v.t.Fatal(err)
		}
		v.t.Cleanup(func() { _ = c.Close() })
		heard := make(chan string, 1000)
		c.On("Hello", func(args []json.RawMessage) { heard <- string(args[0]) })
		if _, err := c.Invoke(v.t.Context(), "JoinGroup", "g"); err == nil {
			node.call("POST", "/groups/g/send", map[string]any{"event": "Hello", "args": []any{"from hub-1"}}).want(v.t, http.StatusAccepted, nil)
		}
		select {
		case got := <-heard:
			same(v.t, "heard", got, `"from hub-1"`)
			return c
		case <-c.Closed():
			v.t.Log("the member has to come anew:", c.Err())
		case <-end:
			v.t.Fatal("a member at the view hears nothing")
		}
	}
}

// TestViewIsNotMissed: what is sent to a group at a node reaches a member at the view
// and the other way round; when the view is killed, the nodes go on as before. One
// that ends in order is told from one that died.
func TestViewIsNotMissed(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	one := l.node("hub-1", t.TempDir())
	one.owned()
	v, _ := l.view("view-1")
	v.answers("/readyz", func(_ int, b string) bool { return strings.Contains(b, `"status":"ready"`) })
	c := hearsAt(v, one)
	for _, refused := range []string{"area:north", "a b"} {
		if _, err := c.Invoke(t.Context(), "JoinGroup", refused); err == nil {
			t.Errorf("group %q can be joined by name", refused)
		}
	}
	for _, path := range []string{"/orders", "/devices", "/areas", "/presence"} { // each node is asked: one that knows nothing says so at once
		var list struct{ Items []json.RawMessage }
		one.get(path, &list)
		v.get(path, &list)
	}
	one.sees("view-1", "a view", func(n census.Node) bool {
		return n.Kind == census.KindView && n.State == census.Ready && n.Connections.Web == 1
	})
	_ = v.stop()
	one.sees("view-1", "gone", func(n census.Node) bool { return n.State == census.Gone })
	_, again := l.view("view-1")
	one.sees("view-1", "back", func(n census.Node) bool { return n.State == census.Ready && n.Starts == 2 })
	again.signal(syscall.SIGTERM)
	same(t, "exit code of the view", again.wait(), 0)
	one.sees("view-1", "ended in order", func(n census.Node) bool { return n.State == census.Left })
	one.answers("/readyz", func(_ int, b string) bool { return strings.Contains(b, `"status":"ready"`) })
	hold := make(chan struct{})
	close(hold)
	one.classic("gate-1", "north", "1", func() { <-hold })
	id := one.announce(`{"to":{"area":"north"},"message":"hello"}`)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); one.order(id).State != area.OrderPlayed; <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("the order is %s", one.order(id).State)
		}
	}
}
