package arbiter

import (
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// What a member told last is shown; but a leader that was killed leads no longer.
func TestWhoIsOfflineDoesNotLead(t *testing.T) {
	r := testRoster(t)
	register(t, r, "gate-1", "north", "", "mqtt/1")
	said := area.PeerMember{Device: "gate-1", Index: 16, Addr: "10.0.0.5:7946", Told: true, Leads: true, Hub: true}
	r.ShowPeers("north", area.Peering{Rev: 3, Members: []area.PeerMember{said}})
	shown := func() area.PeerMember {
		a, _ := r.Area("north")
		return a.Peers.Members[0]
	}
	if got := shown(); got != said {
		t.Errorf("live it is %+v", got)
	}
	r.Lost("mqtt/1", area.PresentWill)
	said.Leads = false
	if got := shown(); got != said {
		t.Errorf("gone it is %+v", got)
	}
}
