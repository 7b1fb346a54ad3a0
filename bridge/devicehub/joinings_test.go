package devicehub_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRejoinedByBoth: who resumes while the hub has him rejoin, or is about to, is sent what
// he has missed once, whoever was first; and who leaves meanwhile stays out.
func TestRejoinedByBoth(t *testing.T) {
	const reads = time.Second // the hub does, from rejoinAfter on, and the client as long
	for name, c := range map[string]struct {
		after time.Duration // when the client acts
		call  string
		hears string
	}{
		"the hub first":    {2500 * time.Millisecond, "JoinGroup", " 3 4 5"},
		"the client first": {1500 * time.Millisecond, "JoinGroup", " 3 4 5"},
		"it leaves":        {2500 * time.Millisecond, "LeaveGroup", " 3 4"},
		"it has left":      {1500 * time.Millisecond, "LeaveGroup", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				a, b := w.node("hub-1"), w.node("hub-2")
				lost, heard := a.comes(t, "viewer")
				joins(t, lost, "g")
				a.say(t, "g", 1, 2)
				same(t, "there", heard(), " 1 2")
				goes(t, lost)
				a.say(t, "g", 3, 4)

				w.log.reads.Store(int64(reads))
				back, heard := b.comes(t, "viewer")
				time.Sleep(c.after)
				args := []any{"g", "resume"}
				if c.call == "LeaveGroup" {
					args = args[:1]
				}
				if _, err := back.Invoke(t.Context(), c.call, args...); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				a.say(t, "g", 5, 5)
				same(t, "back", heard(), c.hears)
			})
		})
	}
}

// TestFoundLeftWhileHeEnters: what a user has left may be found between his coming back and
// his joining his own group; what he has missed he is sent once all the same.
func TestFoundLeftWhileHeEnters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		lost, heard := a.comes(t, "viewer")
		a.notify(t, "viewer", 1, 1)
		same(t, "there", heard(), " 1")
		goes(t, lost)
		a.notify(t, "viewer", 2, 3)
		w.looks.Store(int64(time.Second)) // before he takes over what was left
		_, heard = b.comes(t, "viewer")
		b.Left("user/viewer")
		same(t, "back", heard()+heard(), " 2 3")
		if s := b.book.Stats(); s.Taken != 1 {
			t.Errorf("%+v", s)
		}
	})
}
