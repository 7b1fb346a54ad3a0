package e2e

import (
	"fmt"
	"strings"
	"syscall"
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
	a.carries("site/first", heard)
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
		return strings.Contains(string(b.call("GET", "/topics?filter=state/x", nil).body), `"on"`)
	})
	later := b.hub.subscribe("-v", "-t", "state/#")
	later.message(0, "state/x", exactly("on"))
	b.hub.publish("state/x", "", "-r")
	a.hub.until("it is deleted at both", func() bool {
		return !strings.Contains(string(a.call("GET", "/topics?filter=state/x", nil).body), `"on"`)
	})
	same(t, "messages lost", a.metric("tacet_relay_lost")+b.metric("tacet_relay_missed"), 0)
}

// met waits until a node knows what so many others want.
func (s *serve) met(others float64) {
	s.hub.t.Helper()
	s.hub.until("the nodes know each other", func() bool { return s.metric("tacet_relay_nodes") == others && s.metric("tacet_relay_untold") == 0 })
}

// carries waits until what a node's clients publish on a topic comes to a subscriber at
// another: the nodes learn of a subscription just after its client has been answered.
func (s *serve) carries(topic string, to *program) {
	s.hub.t.Helper()
	s.hub.until("a message on "+topic+" comes", func() bool {
		s.hub.publish(topic, "is it heard")
		_, _, found, _, _ := to.out.look(0, func(line string) bool { return strings.HasPrefix(line, topic+" ") })
		return found
	})
}

// TestSessionsOfTwoNodes: the session of a client goes with it from one hub process to
// the other, with what waits for it; of a shared subscription one member of all gets
// each message; and a client whose node is killed goes on at the other with what that one
// had acknowledged for it.
func TestSessionsOfTwoNodes(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	home := t.TempDir()
	a, b := l.node("hub-1", t.TempDir()), l.node("hub-2", home)
	a.met(1)
	b.met(1)
	live := a.hub.subscribe("-v", "-t", "q/#") // so that the other node knows that it is wanted here
	b.carries("q/first", live)
	keeps := []string{"-v", "-c", "-i", "keeper", "-t", "q/#"}
	for _, p := range []*program{a.hub.subscribe(keeps...), live} {
		p.signal(syscall.SIGTERM)
		p.wait()
	}
	for i := range 5 {
		a.hub.publish("q/x", fmt.Sprint("a-", i))
		b.hub.publish("q/y", fmt.Sprint("b-", i))
	}
	a.hub.until("all wait for it", func() bool { return a.metric("tacet_broker_queued") == 10 })
	second := b.hub.subscribe(keeps...)
	mark := 0
	for i := range 5 {
		_, _ = second.message(0, "q/y", exactly(fmt.Sprint("b-", i)))
		_, mark = second.message(mark, "q/x", exactly(fmt.Sprint("a-", i)))
	}
	same(t, "sessions that moved", b.metric("tacet_broker_moved"), 1)
	a.hub.until("there is no session where it was", func() bool { return a.metric("tacet_broker_sessions") == 0 })

	members := []*program{a.hub.subscribe("-v", "-t", "$share/g/s"), b.hub.subscribe("-v", "-t", "$share/g/s")}
	const shared = 40
	for i := range shared {
		[]*serve{a, b}[i%2].hub.publish("s", fmt.Sprint("m-", i))
	}
	got := func() (n int) {
		for _, m := range members {
			for _, line := range m.out.since(0) {
				if strings.HasPrefix(line, "s m-") {
					n++
				}
			}
		}
		return n
	}
	a.hub.until("each message has come", func() bool { return got() >= shared })
	same(t, "messages of the shared subscription", got(), shared)

	second.signal(syscall.SIGTERM)
	second.wait()
	b.hub.publish("q/x", "acknowledged there", "-q", "1")
	b.signal(syscall.SIGKILL)
	b.wait()
	third := a.hub.subscribe(keeps...)
	_, mark = third.message(0, "q/x", exactly("acknowledged there"))
	a.hub.publish("q/x", "live")
	_, mark = third.message(mark, "q/x", exactly("live"))
	same(t, "sessions that were taken over", a.metric("tacet_broker_inherited"), 1)
	same(t, "sessions that began anew", a.metric("tacet_broker_unmoved"), 0)
	again := l.node("hub-2", home)
	again.hub.until("its session has ended", func() bool { return again.metric("tacet_broker_sessions") == 0 })
	again.met(1)
	again.hub.publish("q/x", "from there again")
	if line, _ := third.message(mark, "q/x", anything); line != "from there again" { // nothing came twice
		t.Errorf("the subscriber hears %q once more", line)
	}
}
