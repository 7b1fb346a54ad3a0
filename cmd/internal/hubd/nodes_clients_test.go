package hubd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// device is a client that has registered, and the numbers that it has heard.
func device(t *testing.T, r Ready, id string) (*signalrtest.Client, chan string) {
	t.Helper()
	c, err := signalrtest.Dial(t.Context(), r.HTTP+hubPath, signalrtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	heard := make(chan string, 1000)
	c.On("Number", func(args []json.RawMessage) { heard <- string(args[0]) })
	if _, err := c.Invoke(t.Context(), "Register", map[string]any{"device": id, "area": "north", "location": "1", "boot": 1, "mid": "m"}); err != nil {
		t.Fatal(err)
	}
	return c, heard
}

func resumes(t *testing.T, c *signalrtest.Client, since any) (gap bool) {
	t.Helper()
	raw, err := c.Invoke(t.Context(), "JoinGroup", "g", since)
	var a struct{ Gap bool }
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a.Gap
}

// A device that resumes at another node is sent what it has missed: from where it left,
// and, where its node has not noticed that it is gone, also what that may have sent in vain.
// One that counts is told when its node counts alone.
func TestResumeAtAnotherNode(t *testing.T) {
	s := startServer(t)
	_, r1, _ := started(t, s.node("hub-1", t.TempDir()))
	h2, r2, _ := started(t, s.node("hub-2", t.TempDir()))
	say := func(r Ready, first, last int) {
		for n := first; n <= last; n++ {
			write(t, "POST", r.HTTP+"/api/v1/groups/g/send", fmt.Sprintf(`{"event":"Number","args":[%d]}`, n))
		}
	}
	hears := func(heard chan string, first, last int) {
		t.Helper()
		for n := first; n <= last; n++ {
			if got := <-heard; got != fmt.Sprint(n) {
				t.Fatalf("heard %s, want %d", got, n)
			}
		}
	}
	c, heard := device(t, r1, "gate-9")
	resumes(t, c, nil)
	say(r2, 1, 3)
	hears(heard, 1, 3)
	_ = c.Close()
	until(t, r2.HTTP+"/api/v1/presence", func(b string) bool {
		return !json.Valid([]byte(b)) || len(h2.nodes.directory.ConnectionsOfGroup("g")) == 0
	})
	say(r2, 4, 6)
	back, heard := device(t, r2, "gate-9")
	if resumes(t, back, "resume") {
		t.Error("a gap, after it had left")
	}
	hears(heard, 4, 6)

	other, heard := device(t, r1, "gate-9") // hub-2 still has the one before
	until(t, r1.HTTP+"/api/v1/presence?scope=group:g", func(b string) bool { return len(b) > len(`{"items":[],"next":null}`)+10 })
	if resumes(t, other, "resume") {
		t.Error("a gap, while it seems to be at the other node")
	}
	hears(heard, 4, 6) // 1 to 3 it had when it left

	moved := make(chan string, 10)
	other.On("PositionChanged", func(args []json.RawMessage) {
		moved <- string(args[0])
		heard <- "moved"
	})
	s.kill() // from here on hub-1 counts alone, and says so before it does
	say(r1, 7, 7)
	for _, want := range []string{"moved", "7"} {
		if got := <-heard; got != want {
			t.Fatalf("heard %s, want %s", got, want)
		}
	}
	if got := <-moved; !strings.HasPrefix(got, `{"group":"g","epoch":"`) || !strings.HasSuffix(got, `","offset":0,"gap":false}`) {
		t.Errorf("without the server: %s", got)
	}
}
