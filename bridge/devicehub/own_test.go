package devicehub_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// goes has a client be lost once it has heard what came before.
func goes(t *testing.T, c *signalrtest.Client) {
	t.Helper()
	time.Sleep(10 * time.Second)
	if _, err := c.Invoke(t.Context(), "Echo", 1); err != nil {
		t.Fatal(err)
	}
	c.Cut()
	time.Sleep(time.Second)
}

// comes connects as somebody who hears alarms, and of gaps, from the beginning.
func (s *site) comes(t *testing.T, name string) (*signalrtest.Client, func() string) {
	t.Helper()
	heard := make(chan string, 10_000)
	c, err := signalrtest.Dial(t.Context(), "http://hub/hubs/devices", signalrtest.Options{NetDial: s.pipe.Dial, AccessToken: name, On: map[string]func([]json.RawMessage){
		"Alarm": func(args []json.RawMessage) { heard <- string(args[0]) },
		"PositionChanged": func(args []json.RawMessage) {
			var at struct {
				Group string
				Gap   bool
			}
			_ = json.Unmarshal(args[0], &at)
			heard <- fmt.Sprintf("%s gap %v", at.Group, at.Gap)
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	synctest.Wait()
	return c, drained(heard)
}

// drained answers what has been heard since it was asked last.
func drained(heard chan string) func() string {
	return func() (all string) {
		time.Sleep(3 * time.Second)
		synctest.Wait()
		for len(heard) > 0 {
			all += " " + <-heard
		}
		return all
	}
}

func (s *site) notify(t *testing.T, user string, first, last int) {
	t.Helper()
	for n := first; n <= last; n++ {
		if _, err := s.Send(persons["operator"], devicehub.Receiver{User: user}, "Alarm", []any{n}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // of the bubble
	}
}

// TestMissedByUser: a user who was away is sent what was sent to him meanwhile, once and
// in order, at whichever node he comes back; who is there with one client hears with
// another what comes from then on.
func TestMissedByUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		hears := func(what string, heard func() string, want string) {
			t.Helper()
			if got := heard(); got != want {
				t.Errorf("%s: heard %q, want %q", what, got, want)
			}
		}
		a.notify(t, "viewer", 1, 2)
		c, heard := a.comes(t, "viewer")
		hears("for the first time", heard, "")
		b.notify(t, "viewer", 3, 4)
		hears("there", heard, " 3 4")
		_ = c.Close()
		time.Sleep(time.Second)
		b.notify(t, "viewer", 5, 6)
		a.notify(t, "viewer", 7, 7)
		c, heard = b.comes(t, "viewer")
		hears("back at the other node", heard, " 5 6 7")
		if _, got := joins(t, c, "user:viewer", "resume"); got != "7 false" {
			t.Errorf("who resumes by himself: %s", got)
		}
		hears("who resumes by himself", heard, "")
		second, also := a.comes(t, "viewer")
		hears("with one more client", also, "")
		a.notify(t, "viewer", 8, 8)
		hears("the first", heard, " 8")
		hears("the second", also, " 8")
		_ = c.Close()
		a.notify(t, "viewer", 9, 9)
		hears("the second alone", also, " 9")
		_, heard = b.comes(t, "viewer")
		hears("while the second is there", heard, "")
		_ = second.Close()
	})
}

// TestMissedByUserOfANodeThatDied: he comes back before anybody is sure that the node is
// gone, and is sent what it has sent in vain, and nothing that is older.
func TestMissedByUserOfANodeThatDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		_, heard := a.comes(t, "viewer")
		b.notify(t, "viewer", 1, 30)
		heard()
		a.kill()
		b.notify(t, "viewer", 31, 33)
		_, heard = b.comes(t, "viewer")
		got := heard()
		if want := " 31 32 33"; len(got) < len(want) || got[len(got)-len(want):] != want || len(got) > 15*len(" 31") {
			t.Errorf("heard %q", got)
		}
	})
}

// TestGapIsToldToUser: of what is kept no more he is told, though he has not asked.
func TestGapIsToldToUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		c, heard := a.comes(t, "viewer")
		b.notify(t, "viewer", 1, 1)
		heard()
		_ = c.Close()
		time.Sleep(time.Second)
		w.log.Forget()
		b.notify(t, "viewer", 2, 2)
		_, heard = b.comes(t, "viewer")
		if got, want := heard(), " user:viewer gap true"; got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	})
}

// TestMissedByUserOfOneNode: the same where there is one node alone, and the name of the
// user is none that a group can have.
func TestMissedByUserOfOneNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		c, heard := s.comes(t, "ann@example.com")
		s.notify(t, "ann@example.com", 1, 2)
		if got := heard(); got != " 1 2" {
			t.Errorf("there: heard %q", got)
		}
		_ = c.Close()
		synctest.Wait()
		s.notify(t, "ann@example.com", 3, 4)
		if c, heard = s.comes(t, "ann@example.com"); heard() != " 3 4" {
			t.Error("back: not what was missed")
		}
		if _, err := c.Invoke(t.Context(), "JoinGroup", "user:ann@example.com"); err == nil {
			t.Error("a client can name the group")
		}
	})
}
