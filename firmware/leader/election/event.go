package election

import "github.com/tacet-hub/tacet/broker/area"

// Member is what an alive member of the area tells of itself.
type Member struct {
	Device   area.DeviceID
	Priority int    // lower ones lead first
	Uplink   bool   // it reaches the hub
	Term     uint64 // it leads by this term; 0: it does not lead
	Highest  uint64 // term that it has heard of
	Served   bool   // the leader of the area is alive in another part, and it reaches him through the hub
	Unfit    bool   // it cannot lead for now
}

// leads tells whether m does.
func (m Member) leads() bool { return m.Term != 0 }

// before tells whether m is to lead rather than o.
func (m Member) before(o Member) bool {
	switch {
	case m.Uplink != o.Uplink:
		return m.Uplink
	case m.Priority != o.Priority:
		return m.Priority < o.Priority
	}
	return m.Device < o.Device
}

// Event is something that the member sees.
type Event interface{ event() }

// Roster is what the roster document says: the topology of the area, and whether
// this device is a member and so may lead.
type Roster struct {
	Topology string // area.TopologyDirect or TopologyLocal
	Member   bool
	Priority int
}

// Seen is every other member that is alive, as it tells of itself last.
type Seen struct{ Others []Member }

// Uplink says whether this member reaches the hub.
type Uplink struct{ Up bool }

// Linked says whether the connection stands that the last [Aim] asked for.
type Linked struct{ Up bool }

// Witness is the hub's answer to [Ask]: whether it hears a leader of the area.
type Witness struct {
	Live   bool
	Leader area.DeviceID
	Term   uint64
}

// Heard is a term that somebody has arbitrated by.
type Heard struct{ Term uint64 }

// Ready says that this member leads, by this term: the others can come. It comes
// again when the term has changed.
type Ready struct{ Term uint64 }

// Ended says that this member's reign has ended without [Stop].
type Ended struct {
	HubLeads bool // since the hub, or another leader that it knows, arbitrates; else: it cannot lead
}

// Able says whether this member can lead at all. Until it is said, it can.
type Able struct{ Can bool }

// Tick says that time has passed: it is due at [Election.Next].
type Tick struct{}

func (Roster) event()  {}
func (Seen) event()    {}
func (Uplink) event()  {}
func (Linked) event()  {}
func (Witness) event() {}
func (Heard) event()   {}
func (Ready) event()   {}
func (Ended) event()   {}
func (Able) event()    {}
func (Tick) event()    {}

// Action is something that is to be done.
type Action interface{ action() }

// Place is what a device turns to.
type Place uint8

// The places.
const (
	Hub    Place = iota // the hub, by the device's own uplink
	Via                 // the hub, carried by another member
	Leader              // a leader of the area, which may be this device
)

// String is the place's name in lower case.
func (p Place) String() string { return [...]string{"hub", "via", "leader"}[p] }

// Aim says where the device turns to from now on. It is only said when it is
// another than before; at first it is the hub.
type Aim struct {
	To     Place
	Member area.DeviceID // who carries, or leads; empty for the hub
}

// Lead says that this member is to begin a reign above this term.
type Lead struct{ Above uint64 }

// Stop ends the reign, at once.
type Stop struct{}

// Ask has the hub asked whether it hears a leader: [Witness].
type Ask struct{}

// Rival says that another leader was seen in this part while this member leads: it
// has to settle. The other one stops.
type Rival struct{ Term uint64 }

func (Aim) action()   {}
func (Lead) action()  {}
func (Stop) action()  {}
func (Ask) action()   {}
func (Rival) action() {}
