package devicehub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/absence"
	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// say sends numbers to a group.
func (s *site) say(t *testing.T, group string, first, last int) {
	t.Helper()
	for n := first; n <= last; n++ {
		if _, err := s.Send(persons["operator"], devicehub.Receiver{Group: group}, "Alarm", []any{n}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // of the bubble
	}
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestRejoinedByTheServer: a user whose connection was lost is a member of its groups again
// as soon as he comes back, at whichever node, and is sent what they had meanwhile, once; a
// further connection of his is not.
func TestRejoinedByTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		c, heard := a.comes(t, "viewer")
		at, _ := joins(t, c, "g")
		joins(t, c, "left")
		if _, err := c.Invoke(t.Context(), "LeaveGroup", "left"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Invoke(t.Context(), "JoinArea", "north"); err != nil {
			t.Fatal(err)
		}
		b.say(t, "g", 1, 2)
		same(t, "there", heard(), " 1 2")
		goes(t, c)
		b.say(t, "g", 3, 4)
		b.say(t, "left", 5, 5)

		back, heard := b.comes(t, "viewer")
		same(t, "back", heard(), " 3 4")
		a.say(t, "g", 6, 6)
		same(t, "then", heard(), " 6")
		if got := b.Server.Conn(back.ID()).Groups(); fmt.Sprint(got) != "[g role:viewer tenant:default user:viewer]" {
			t.Errorf("it is in %v", got)
		}
		_, got := joins(t, back, "g")
		same(t, "an old client joins", got+heard(), "5 false")
		_, got = joins(t, back, "g", "resume")
		same(t, "one that resumes", got+heard(), "5 false")
		_, got = joins(t, back, "g", json.RawMessage(strings.Replace(at, `"offset":0`, `"offset":2`, 1)))
		same(t, "one that counts", got+heard(), "5 false")
		_, got = joins(t, back, "g", json.RawMessage(at))
		same(t, "one that lacks more", got+heard(), "5 false 1 2 3 4 6")

		second, also := a.comes(t, "viewer")
		a.say(t, "g", 7, 7)
		same(t, "a second client", also(), "")
		same(t, "the first one", heard(), " 7")
		_ = second.Close()
		_ = back.Close()
		time.Sleep(time.Second)
		b.say(t, "g", 8, 8)
		_, heard = a.comes(t, "viewer")
		b.say(t, "g", 9, 9)
		same(t, "after a goodbye", heard(), "")
		if s := a.book.Stats(); s.Failed+b.book.Stats().Failed != 0 || s.Kept != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestClientRejoinsItself: one that joins its groups at once, by what it has counted or by
// "resume", hears what it would if the hub did nothing; what it leaves it is not in again.
// A connection that is lost before it is in them leaves them in its turn.
func TestClientRejoinsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		c, heard := a.comes(t, "viewer")
		at, _ := joins(t, c, "g")
		for _, g := range []string{"h", "left", "more"} {
			joins(t, c, g)
		}
		b.say(t, "g", 1, 2)
		b.say(t, "h", 3, 4)
		same(t, "there", heard(), " 1 2 3 4")
		c.Cut() // as far as the hub knows it may not have heard the last ones
		time.Sleep(time.Second)
		b.say(t, "g", 5, 5)
		b.say(t, "left", 6, 6)

		short, _ := b.comes(t, "viewer")
		short.Cut()
		time.Sleep(time.Second)
		back, heard := b.comes(t, "viewer")
		joins(t, back, "g", json.RawMessage(strings.Replace(at, `"offset":0`, `"offset":2`, 1)))
		if _, err := back.Invoke(t.Context(), "LeaveGroup", "left"); err != nil {
			t.Fatal(err)
		}
		if _, got := joins(t, back, "h", "resume"); got != "2 false" {
			t.Errorf("resume: %s", got)
		}
		same(t, "back", heard(), " 5 3 4") // of h: where the hub knows that it stood
		b.say(t, "more", 7, 7)
		b.say(t, "left", 8, 8)
		same(t, "then", heard(), " 7")
	})
}

// TestTwoThatWereLost: each of two that come back takes over what one has left.
func TestTwoThatWereLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		one, _ := a.comes(t, "viewer")
		joins(t, one, "g1")
		two, _ := b.comes(t, "viewer")
		joins(t, two, "g2")
		time.Sleep(10 * time.Second)
		one.Cut()
		two.Cut()
		time.Sleep(time.Second)
		a.say(t, "g1", 1, 1)
		a.say(t, "g2", 2, 2)
		_, first := b.comes(t, "viewer")
		_, second := a.comes(t, "viewer")
		_, third := a.comes(t, "viewer")
		got := first() + second()
		if got != " 1 2" && got != " 2 1" {
			t.Errorf("heard %q", got)
		}
		same(t, "a third", third(), "")
	})
}

// TestRejoinedAtOneNode: the same where there is one node alone.
func TestRejoinedAtOneNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(_ *signalr.Config, _ *devicehub.Config, parts *devicehub.Parts) {
			book, err := absence.New(absence.Config{Node: "hub-1"}, &rows{all: map[string][]byte{}}, time.Now, slog.New(slog.NewTextHandler(t.Output(), nil)))
			if err != nil {
				t.Fatal(err)
			}
			parts.Absences = book
		})
		c, heard := s.comes(t, "viewer")
		joins(t, c, "g")
		s.say(t, "g", 1, 1)
		same(t, "there", heard(), " 1")
		time.Sleep(10 * time.Second)
		if _, err := c.Invoke(t.Context(), "Echo", 1); err != nil {
			t.Fatal(err)
		}
		c.Cut()
		time.Sleep(time.Second)
		s.say(t, "g", 2, 2)
		s.notify(t, "viewer", 3, 3)
		_, heard = s.comes(t, "viewer")
		same(t, "back", heard(), " 3 2") // his own at once, the group's in a moment
		s.say(t, "g", 4, 4)
		same(t, "then", heard(), " 4")
		_, heard = s.comes(t, "viewer")
		s.say(t, "g", 5, 5)
		same(t, "a second", heard(), "")
	})
}

// TestSentAwayIsNotRejoined: an operator has ended the connection.
func TestSentAwayIsNotRejoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		c, _ := a.comes(t, "viewer")
		joins(t, c, "g")
		time.Sleep(2 * time.Second)
		if err := b.Close(t.Context(), persons["operator"], c.ID()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_, heard := b.comes(t, "viewer")
		a.say(t, "g", 1, 1)
		same(t, "after it was sent away", heard(), "")
	})
}

// TestTakenForLost: a connection whose node seemed to be gone, and was not, leaves nothing
// while it is there, nor when it says goodbye.
func TestTakenForLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		for _, seen := range []*resident{a, b} {
			c, _ := a.comes(t, "viewer")
			joins(t, c, "g")
			time.Sleep(2 * time.Second)
			b.book.Keep(t.Context(), "user/default/viewer", absence.Left{Conn: c.ID(), At: time.Now(), Groups: map[string]*signalr.Position{"g": nil}})
			time.Sleep(time.Second)
			_, heard := seen.comes(t, "viewer")
			time.Sleep(3 * time.Second)
			b.say(t, "g", 1, 1)
			same(t, "while it is there", heard(), "")
			_ = c.Close()
			time.Sleep(time.Second)
			_, heard = seen.comes(t, "viewer")
			time.Sleep(3 * time.Second)
			b.say(t, "g", 2, 2)
			same(t, "after its goodbye", heard(), "")
		}
	})
}

// TestDeviceIsRejoined: a registered device, in open mode, at another node.
func TestDeviceIsRejoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		c, _ := a.comes(t, "")
		register := func(c *signalrtest.Client) {
			t.Helper()
			if _, err := c.Invoke(t.Context(), "ReceiveDeviceConnected", "gate-9", "north", "1"); err != nil {
				t.Fatal(err)
			}
		}
		register(c)
		joins(t, c, "g")
		time.Sleep(10 * time.Second)
		c.Cut()
		time.Sleep(time.Second)
		a.say(t, "g", 1, 2)
		other, heard := b.comes(t, "")
		same(t, "who is nobody yet", heard(), "")
		register(other)
		same(t, "the device", heard(), " 1 2")
		again, heard := b.comes(t, "")
		register(again)
		same(t, "once more", heard(), "")
	})
}

// TestRejoinedAfterANodeDied: its clients come back before anybody is sure of it, or after.
func TestRejoinedAfterANodeDied(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
	}{{"at once", time.Second}, {"later", 40 * time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				a, b, third := w.node("hub-1"), w.node("hub-2"), w.node("hub-3")
				one, _ := a.comes(t, "viewer")
				joins(t, one, "g")
				time.Sleep(2 * time.Second)
				a.kill()
				time.Sleep(c.after)
				b.say(t, "g", 1, 2)
				_, heard := b.comes(t, "viewer")
				b.say(t, "g", 3, 3)
				got := heard()
				same(t, "back", got, " 1 2 3")
				time.Sleep(30 * time.Second) // no longer: each second is a tick of each broker, in which the race detector may crash
				_, also := third.comes(t, "viewer")
				b.say(t, "g", 4, 4)
				same(t, "a second", also(), "")
			})
		})
	}
}

// TestFoundLostLater: who changed his network comes back before his node has noticed that
// he was gone. What it sent in vain meanwhile comes when it has.
func TestFoundLostLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		a, b := w.node("hub-1"), w.node("hub-2")
		var cut atomic.Bool
		c, err := signalrtest.Dial(t.Context(), "http://hub/hubs/devices", signalrtest.Options{AccessToken: "viewer", NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			n, err := a.pipe.Dial(ctx, network, addr)
			return muffled{n, &cut}, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cut.Store(false); _ = c.Close() })
		synctest.Wait()
		joins(t, c, "g")
		time.Sleep(31 * time.Second) // it has sent a ping
		cut.Store(true)
		time.Sleep(16 * time.Second)
		b.say(t, "g", 1, 2)
		b.notify(t, "viewer", 3, 3)
		_, heard := b.comes(t, "viewer")
		b.notify(t, "viewer", 4, 4)
		same(t, "before it is known", heard(), " 4")
		time.Sleep(time.Minute)
		b.say(t, "g", 5, 5)
		same(t, "when it is", heard(), " 1 2 3 5")
	})
}

// muffled is a connection over which nothing goes out while it is cut.
type muffled struct {
	net.Conn
	cut *atomic.Bool
}

func (m muffled) Write(p []byte) (int, error) {
	if m.cut.Load() {
		return len(p), nil
	}
	return m.Conn.Write(p)
}
