package broker_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestSharedSubscription is row 25: one member gets each message, one that is
// connected and keeps up if there is one; else it waits for one with a session.
func TestSharedSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		join := func(id string, change ...func(*packets.Packet)) *raw {
			r := dial(t, b, 5, id, change...)
			r.send(subscribePacket(1, 1, "$share/g/in"))
			r.expect(packets.Suback)
			return r
		}
		one, two, away := join("one"), join("two"), join("away", keeping)
		_ = join("gone").Close()
		_ = away.Close()
		synctest.Wait()
		numbered(t, b, "in", 1, 0, 100)
		a, c := one.burst(), two.burst()
		if len(a)+len(c) != 100 || len(a) == 0 || len(c) == 0 {
			t.Errorf("%d and %d came, want 100 in all", len(a), len(c))
		}
		for _, pk := range a {
			one.ack(packets.Puback, pk.PacketID)
		}
		_ = two.Close()
		synctest.Wait()
		numbered(t, b, "in", 1, 0, 50)
		if got := one.burst(); len(got) != 50 {
			t.Errorf("%d came for the only one there, want 50", len(got))
		}
		_ = one.Close()
		synctest.Wait()
		numbered(t, b, "in", 1, 0, 10)
		numbered(t, b, "in", 0, 10, 20)
		resume(t, b, 5, "away").consume(0, 10, 10, 0)
	})
}

// TestSharedSubscriptionSparesTheSlow: who has not acknowledged what it was
// given gets no more while somebody else has.
func TestSharedSubscriptionSparesTheSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		slow, fast := dial(t, b, 5, "slow", allowing(2)), dial(t, b, 5, "fast")
		for _, r := range []*raw{slow, fast} {
			r.send(subscribePacket(1, 1, "$share/g/in"))
			r.expect(packets.Suback)
		}
		given, n := 0, 0
		for i := range 200 {
			numbered(t, b, "in", 1, i, i+1)
			given += len(slow.burst())
			for _, pk := range fast.burst() {
				fast.ack(packets.Puback, pk.PacketID)
				n++
			}
			slow.alive()
			fast.alive()
		}
		if given != 2 || n != 198 {
			t.Errorf("%d went to the slow one and %d to the fast one, want 2 and 198", given, n)
		}
	})
}

// TestSharedSubscriptionIsFair: of those who keep up each gets as much, also where
// most of the group are away.
func TestSharedSubscriptionIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, here = 3000, 3
		b := brokertest.New(t)
		var crew []*raw
		for i := range 2 * here {
			r := dial(t, b, 5, fmt.Sprint("crew-", i), keeping)
			r.send(subscribePacket(1, 0, "$share/g/in"))
			r.expect(packets.Suback)
			if i%2 == 0 {
				crew = append(crew, r)
			} else {
				_ = r.Close()
			}
		}
		synctest.Wait()
		numbered(t, b, "in", 0, 0, n)
		for i, r := range crew {
			if got := len(r.burst()); got < n/here*4/5 || got > n/here*6/5 { // eight standard deviations
				t.Errorf("%d of %d went to member %d of %d", got, n, i, here)
			}
		}
	})
}
