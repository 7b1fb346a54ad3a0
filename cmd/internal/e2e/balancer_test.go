package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// balancer is Debian's nginx before several hub processes.
type balancer struct {
	*program
	url string
}

// startBalancer runs nginx; stick is a line of its upstream that says how it chooses,
// empty is by turns.
func startBalancer(t *testing.T, stick string, nodes ...*serve) *balancer {
	t.Helper()
	dir := t.TempDir()
	var servers strings.Builder
	for _, n := range nodes {
		u, err := url.Parse(n.ready.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&servers, "server %s max_fails=0; ", u.Host)
	}
	_, addr := seat(t)
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr info; user root;
events { worker_connections 512; }
http {
  access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream hub { %[2]s %[3]s }
  server {
    listen %[4]s;
    location / {
      proxy_pass http://hub; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 300s; proxy_next_upstream error timeout non_idempotent;
      proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    }
  }
}
`, dir, stick, servers.String(), addr)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &balancer{program: run(t, "/usr/sbin/nginx", "-p", dir, "-c", file, "-e", "stderr"), url: "http://" + addr}
	b.answers()
	return b
}

// answers waits until a hub is reached.
func (b *balancer) answers() {
	b.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if resp, err := http.Get(b.url + "/healthz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-b.ended:
			b.t.Fatalf("nginx has ended: %s", brief(b.errs.since(0)))
		case <-tick.C:
		}
	}
	b.t.Fatal("nginx does not reach a hub")
}

// roamer is what roam.mjs prints.
type roamer struct {
	State, Connection string
	Heard             *int
	Gap               *bool
}

// roam starts a member of group g.
func roam(t *testing.T, args ...string) (p *program, node string) {
	t.Helper()
	p = script(t, "roam.mjs", args...)
	r, _ := heard(p, 0, "connection", func(r roamer) bool { return r.State == "connected" })
	_, node, _ = strings.Cut(r.Connection, ".")
	return p, node
}

// hearsPush waits until a member has heard Push n.
func hearsPush(p *program, n int) {
	p.t.Helper()
	heard(p, 0, fmt.Sprintf("Push %d", n), func(r roamer) bool { return r.Heard != nil && *r.Heard == n })
}

// push sends a Push to group g.
func (s *serve) push(v any) { s.say("Push", v) }

func (s *serve) say(event string, v any) {
	s.hub.t.Helper()
	s.call("POST", "/groups/g/send", map[string]any{"event": event, "args": []any{v}}).want(s.hub.t, http.StatusAccepted, nil)
}

// warm waits until members hear what a node sends to group g: the others listen to a
// group a moment after its first member has joined there.
func (s *serve) warm(members ...*program) {
	s.hub.t.Helper()
	marks := make([]int, len(members))
	for i, p := range members {
		marks[i] = len(p.out.since(0))
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		s.say("Warm", 1)
		if !slices.ContainsFunc(members, func(p *program) bool {
			return !strings.Contains(strings.Join(p.out.since(marks[slices.Index(members, p)]), " "), "warm")
		}) {
			return
		}
		if time.Now().After(end) {
			s.hub.t.Fatal("not all members hear of group g")
		}
	}
}

// composed is how the balancer of configs/compose chooses.
func composed(t *testing.T) string {
	t.Helper()
	conf, err := os.ReadFile(filepath.Join("..", "..", "..", "configs", "compose", "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(conf)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "hash ") {
			return line
		}
	}
	t.Fatalf("it does not say how: %s", conf)
	return ""
}

// resumed counts the connections that were gone on with.
func (s *serve) resumed() float64 { return s.metric("tacet_hub_resumed") }

// TestBalancer: behind a balancer that knows nothing of connections, and behind one that
// keeps an id at one node, which need not be the node that has it, each transport works:
// what reaches another node is served by the connection's own. So it is behind the one of
// configs/compose, and a connection whose way to the balancer is cut is resumed behind each.
func TestBalancer(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	a, b := l.node("hub-1", t.TempDir()), l.node("hub-2", t.TempDir())
	for name, stick := range map[string]string{"by turns": "", "by id": "hash $arg_id;", "as in configs/compose": composed(t)} {
		t.Run(name, func(t *testing.T) {
			door := startBalancer(t, stick, a, b)
			way := newProxy(t, strings.TrimPrefix(door.url, "http://"))
			cut, _ := roam(t, way.url+"/hubs/devices", "WebSockets", "stateful")
			cuts, resumed := 0, a.resumed()+b.resumed()
			members := []*program{cut}
			homes := map[string]int{}
			for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
				for range 2 {
					p, node := roam(t, door.url+"/hubs/devices", transport)
					members = append(members, p)
					if homes[node]++; homes[node] > len(members)/2 {
						door.answers() // the next is the other's turn
					}
				}
			}
			if name == "by turns" && len(homes) != 2 {
				t.Errorf("all are at one node: %v", homes)
			}
			a.warm(members...)
			b.warm(members...)
			for n := range 20 {
				if n%5 == 4 { // each node sends while nobody is there
					way.cut(cuts%2 == 1)
					cuts++
				}
				[]*serve{a, b}[n/5%2].push(n)
				for _, p := range members {
					hearsPush(p, n)
				}
			}
			a.push("end")
			for _, p := range members {
				if code := p.wait(); code != 0 {
					t.Errorf("ended with code %d", code)
				}
			}
			if got := a.resumed() + b.resumed() - resumed; got != float64(cuts) || strings.Contains(strings.Join(cut.out.since(0), " "), "back") {
				t.Errorf("cut %d times, resumed %v times", cuts, got)
			}
		})
	}
	var forwarded float64
	for _, s := range []*serve{a, b} {
		forwarded += s.metric("tacet_forward_forwarded")
	}
	if forwarded < 10 {
		t.Errorf("%v requests were handed on: nothing was tried", forwarded)
	}
}

// TestKilledNodeOfMembers: who was on a node that is killed goes on at the other by the
// position that he has counted himself, and hears everything once, also what was sent
// while he was nowhere.
func TestKilledNodeOfMembers(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	nodes := map[string]*serve{"hub-1": l.node("hub-1", t.TempDir()), "hub-2": l.node("hub-2", t.TempDir())}
	a, b := nodes["hub-1"], nodes["hub-2"]
	door := startBalancer(t, "", a, b)
	var members, lost []*program
	for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
		for at := ""; at != "hub-1"; {
			var p *program
			p, at = roam(t, door.url+"/hubs/devices", transport)
			members = append(members, p)
			if at == "hub-1" {
				lost = append(lost, p)
			} else {
				door.answers() // the next is the other's turn
			}
		}
	}
	b.warm(members...)
	const events = 60
	for n := range events {
		if n == 20 {
			for _, p := range members { // the answer to a poll that goes through the node would be lost with it, and nobody could know
				hearsPush(p, n-1)
			}
			a.signal(syscall.SIGKILL)
			a.wait()
		}
		b.push(n)
	}
	for _, p := range lost {
		r, _ := heard(p, 0, "joining again", func(r roamer) bool { return r.State == "back" })
		if r.Gap == nil || *r.Gap {
			t.Errorf("back with %+v", r)
		}
	}
	for _, p := range members {
		hearsPush(p, events-1)
	}
	b.push("end")
	for _, p := range members {
		if code := p.wait(); code != 0 {
			t.Errorf("ended with code %d", code)
		}
	}
}

// TestRedirect: where nodes have public addresses, negotiation sends a client to that of
// the node which took it, and nothing has to be handed on.
func TestRedirect(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	var nodes []*serve
	for _, name := range []string{"hub-1", "hub-2"} {
		_, addr := seat(t)
		nodes = append(nodes, l.nodeAt(name, t.TempDir(), addr, "hub: {public_url: \"http://"+addr+"\"}\nhttp: {admin_addr: \"127.0.0.1:0\"}"))
	}
	door := startBalancer(t, "", nodes...)
	var members []*program
	for range 3 {
		p, _ := roam(t, door.url+"/hubs/devices?attr.K=V", "LongPolling")
		members = append(members, p)
	}
	nodes[0].warm(members...)
	nodes[0].push("end")
	for _, p := range members {
		if code := p.wait(); code != 0 {
			t.Errorf("ended with code %d", code)
		}
	}
	for _, s := range nodes {
		if n := s.metric("tacet_forward_forwarded"); n != 0 {
			t.Errorf("%v requests handed on", n)
		}
	}
}
