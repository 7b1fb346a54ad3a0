package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestSessionsSurviveAKill: a session of mosquitto_sub that is away gets what
// was acknowledged meanwhile, in order, from a hub that was killed twice; and
// what is retained is there, and what was cleared is not.
func TestSessionsSurviveAKill(t *testing.T) {
	data := t.TempDir()
	s := startProcess(t, data)
	session := []string{"-c", "-i", "keeper", "-v", "-t", "q/#"}
	sub := s.subscribe(session...)
	sub.signal(syscall.SIGTERM)
	sub.wait()
	s.publish("kept", "old", "-r", "-q", "1")
	s.publish("kept", "new", "-r", "-q", "1")
	s.publish("cleared", "x", "-r", "-q", "1")
	s.publish("cleared", "", "-r", "-q", "1")
	const n = 15
	for i := range n {
		s.publish(fmt.Sprint("q/", i%2), fmt.Sprint(i), "-q", "1")
		if i == n/2 {
			s.signal(syscall.SIGKILL)
			s.wait()
			s = startProcess(t, data)
		}
	}
	s.signal(syscall.SIGKILL)
	s.wait()
	s = startProcess(t, data)
	sub = s.subscribe(session...)
	mark := 0
	for i := range n {
		var line string
		line, mark = sub.line(mark, "a message of the queue", func(line string) bool { return strings.HasPrefix(line, "q/") })
		same(t, "message", line, fmt.Sprintf("q/%d %d", i%2, i))
	}
	reader := s.subscribe("-v", "-t", "kept", "-t", "cleared")
	reader.message(0, "kept", exactly("new"))
	s.publish("cleared", "first")
	got, _ := reader.message(0, "cleared", anything)
	same(t, "first message on a topic that was cleared", got, "first")
}
