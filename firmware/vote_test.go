package firmware

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// A device votes for the arbiter that asks (COORDINATION.md §8.10), for one at a
// time, and for nobody within the time of a vote of its own start.
func TestDeviceVotes(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		votes := make(chan area.Message, 16)
		cancel, err := r.b.Subscribe(area.VoteTopic("+", "+"), func(m area.Message) { votes <- m })
		if err != nil {
			t.Fatal(err)
		}
		defer cancel()
		n := uint64(0)
		poll := func(arbiter string, want bool) {
			t.Helper()
			n++
			r.do(func() {
				p := area.Poll{Area: north, Arbiter: arbiter, Term: 7, N: n, Vote: 10 * time.Second}
				r.publish(area.Message{Topic: area.PollTopic(north), Payload: p.Encode(), QoS: 1})
			})
			time.Sleep(100 * time.Millisecond)
			select {
			case m := <-votes:
				v, err := area.ParseVote(m.Payload)
				if err != nil || m.Topic != area.VoteTopic(north, "gate-1") || v != (area.Vote{Arbiter: arbiter, Term: 7, N: n, MID: d.Memory.MID()}) {
					t.Errorf("%s %s, %v", m.Topic, m.Payload, err)
				}
				if !want {
					t.Errorf("poll %d: it has voted for %s", n, arbiter)
				}
			default:
				if want {
					t.Errorf("poll %d: no vote for %s", n, arbiter)
				}
			}
		}
		poll("hub-1", false)
		time.Sleep(11 * time.Second)
		poll("hub-1", true)
		poll("gate-2", false)
		time.Sleep(5 * time.Second)
		poll("hub-1", true)
		time.Sleep(9 * time.Second)
		poll("gate-2", false)
		time.Sleep(2 * time.Second)
		poll("gate-2", true)
	})
}
