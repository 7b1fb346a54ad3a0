package leader

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader/election"
)

// meta is what a member tells of itself in the membership, in at most 512 bytes.
type meta struct {
	Index    uint64 `json:"i"`
	Rev      uint64 `json:"r,omitempty"` // of its roster
	Priority int    `json:"p,omitempty"`
	Uplink   bool   `json:"u,omitempty"`
	Term     uint64 `json:"t,omitempty"` // it leads by this one
	Highest  uint64 `json:"h,omitempty"`
	Served   bool   `json:"s,omitempty"`
	Unfit    bool   `json:"n,omitempty"`
	Broker   string `json:"b,omitempty"` // address and port, while it leads
	Web      string `json:"w,omitempty"`
	Relay    uint16 `json:"y,omitempty"` // port at which it carries connections to the hub
}

// mostMeta is what the membership takes.
const mostMeta = 512

func (m meta) encode() []byte {
	b, err := json.Marshal(m)
	if err != nil || len(b) > mostMeta {
		panic("what a member tells of itself does not fit") // checked when its parts came
	}
	return b
}

// mostAddr bounds the texts of a meta, so that it fits.
const mostAddr = 80

func parseMeta(b []byte) (meta, error) {
	var m meta
	if len(b) > mostMeta {
		return m, fmt.Errorf("%d bytes are over %d", len(b), mostMeta)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, err
	}
	if err := checkPlace(m.Broker, m.Web); err != nil {
		return m, err
	}
	if m.Term > area.MaxCounter || m.Highest > area.MaxCounter || m.Rev > area.MaxCounter {
		return m, fmt.Errorf("a number is over 2^53-1")
	}
	return m, nil
}

// checkPlace checks where a leader says that it can be reached.
func checkPlace(broker, web string) error {
	if _, err := netip.ParseAddrPort(broker); broker != "" && err != nil {
		return fmt.Errorf("broker %q is no address and port", broker)
	}
	if len(broker) > mostAddr || len(web) > mostAddr {
		return fmt.Errorf("an address is over %d bytes", mostAddr)
	}
	return nil
}

// peer is another member that is alive.
type peer struct {
	device area.DeviceID
	at     netip.AddrPort // of its membership
	meta
}

// member is what the election needs of it.
func (p peer) member() election.Member {
	return election.Member{Device: p.device, Priority: p.Priority, Uplink: p.Uplink, Term: p.Term, Highest: p.Highest, Served: p.Served, Unfit: p.Unfit}
}
