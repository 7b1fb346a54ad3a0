package hubd

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/turn"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// A strict area of the configuration counts the members that the hub knows: until
// they vote it is nobody's, and then it is free.
func TestMembersVoteInAStrictArea(t *testing.T) {
	_, r, _ := started(t, func(c *conf.Config) {
		a := wing("north", "North Wing")
		a.Mode, a.Topology, a.Lease = area.ModeStrict, area.TopologyDirect, time.Second
		c.Areas = []conf.Area{a}
	})
	one, two := able(t, r, "gate-1", ""), able(t, r, "gate-2", "")
	polls := brokertest.Subscribe(t, one.c, area.PollTopic("north"), 1)
	busy := brokertest.Subscribe(t, one.c, area.BusyTopic("north"), 1)
	one.says("north", 1)
	two.says("north", 2)
	one.until(func(p area.Peers) bool { return len(p.Members) == 2 && p.Mode == area.ModeStrict })

	next := func() area.BusyState {
		t.Helper()
		b, err := area.ParseBusy(busy.Take(t, 1)[0].Payload)
		if err != nil {
			t.Fatal(err)
		}
		return b.State
	}
	for next() != area.Settling { // the hub alone is one of three
	}
	ballot := turn.NewBallot("m1", 0)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		p, err := area.ParsePoll(polls.Take(t, 1)[0].Payload)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := ballot.Poll(p, area.Instant(time.Hour))
		if !ok || p.Arbiter != "hub-1" || p.Area != "north" {
			t.Fatalf("poll %+v, vote %v", p, ok)
		}
		one.c.Publish(area.VoteTopic("north", "gate-1"), 1, false, v.Encode()).Wait()
		for busy.Len() > 0 {
			if next() == area.Idle {
				return
			}
		}
	}
	t.Fatal("north is not free within a minute")
}
