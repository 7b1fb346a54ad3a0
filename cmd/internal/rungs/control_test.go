//go:build linux

package rungs

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/scope"
)

// line calls the control as a guest does.
func line(t *testing.T, c *Control, greeting string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", c.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintln(conn, greeting); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestControl(t *testing.T) {
	c, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	line(t, c, "who is there")
	commands, sound := line(t, c, "control gate-1"), line(t, c, "scope gate-1")
	p, err := c.Await(t.Context(), "gate-1")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // a guest; ends with its connection
		in := bufio.NewScanner(commands)
		for in.Scan() {
			answer := "ok did " + in.Text()
			if in.Text() == "jump" {
				answer = "FAIL there is no jump"
			}
			_, _ = fmt.Fprintln(commands, answer)
		}
	}()
	if said, err := p.Do(t.Context(), "start"); err != nil || said != "did start" {
		t.Errorf("start: %q, %v", said, err)
	}
	if _, err := p.Do(t.Context(), "jump"); err == nil || !strings.Contains(err.Error(), "there is no jump") {
		t.Errorf("jump: %v", err)
	}
	for i, pins := range []scope.Pins{0, scope.Amp} {
		if err := scope.Encode(sound, scope.Block{At: time.Duration(i), Pins: pins, Samples: make([]int16, 480)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Until(t.Context(), "amp", func(tr *scope.Trace) bool { return tr.Pins()&scope.Amp != 0 }); err != nil {
		t.Error(err)
	}
	tr, began := p.Trace()
	if tr.Duration() != 20*time.Millisecond || began.IsZero() || began.After(time.Now()) {
		t.Errorf("%v recorded, since %v", tr.Duration(), began)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.Until(short, "lamp", func(tr *scope.Trace) bool { return tr.Pins()&scope.Lamp != 0 }); err == nil {
		t.Error("a lamp was seen")
	}
	if _, err := c.Await(short, "gate-2"); err == nil {
		t.Error("gate-2 has called")
	}
	_ = sound.Close()
	if err := p.Until(t.Context(), "lamp", func(*scope.Trace) bool { return false }); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("after the end: %v", err)
	}
}
