package arbiter

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Event is something that the core of an area is told: one of the types below.
type Event interface{ event() }

// Begin starts the reign; it is the first event of a core, and comes once.
type Begin struct{}

// Heard: a device said something on the area's claim topic. Retained copies
// must not be handed in.
type Heard struct {
	Device area.DeviceID
	Claim  area.Claim
	Hold   bool // the sender is a classic connection: what it is granted is a hold, without a lease
}

// Set: a dumb device said 1 or 0 on busy/set, or a classic client called
// without an invocation id. 0 also ends the classic hold of the device.
type Set struct {
	Device area.DeviceID
	On     bool
	Will   bool // the broker said it for a client that it lost: a lost connection, not a 0
}

// DeviceUp: a device is live. The newest one at a location has it.
type DeviceUp struct {
	Device   area.DeviceID
	Location area.LocationID // empty: none
	Dumb     bool            // it cannot take work
	Silent   bool            // it has nothing to sound by
	MID      string          // machine that is connected; empty: not known
}

// DeviceDown: a device is no longer live, or has left the area. It ends no
// lease; for a dumb device that sounds it is a lost connection.
type DeviceDown struct{ Device area.DeviceID }

// Submit hands in a work. A work that is known already is ignored; one that
// has ended is reported once more. Expires is when its time is over, on the
// clock of the core; [area.Never] where it has none.
type Submit struct {
	Work    area.Work
	Expires area.Instant

	// Of a work that another arbiter hands over: what it knows of it.
	Att    int              // 0: nobody had it before
	Reason string           // why the attempt before ended
	Given  *area.Assignment // who has it, and may have been granted the area for it; nil: nobody
	Maybe  bool             // the area may have been granted for it, to whomever
}

// Ended: another arbiter has seen the end of a work, which is its end here too.
// One that is not known is ignored.
type Ended struct{ Report area.Report }

// Inherit: the arbiter before this one says what it leaves behind. A device
// whose hold is known already is passed over.
type Inherit struct {
	Holds  []area.Hold
	Settle time.Duration // a lease that it granted may live for so long
}

// Cancel takes a work back. What sounds is stopped. Its end comes as a
// [Report] with this reason ("user", "stop"); a work that is not known is
// ignored.
type Cancel struct {
	Work   area.WorkID
	Reason string
}

// StopPlay stops what sounds, a work or not; a hold of a classic or dumb device
// cannot be stopped.
type StopPlay struct{}

// Stored: the end of the work is in the order service's own store, and the
// arbiter need not remember it.
type Stored struct{ Work area.WorkID }

// HeardTerm: a leader or busy message of another arbiter was seen with this
// term.
type HeardTerm struct{ Term uint64 }

// Configure changes the area's settings. Area, Node and Index must stay.
type Configure struct{ Config CoreConfig }

// Committed: the record of this number, and with it all of lower numbers, is
// durable; or writing it failed.
type Committed struct {
	Seq uint64
	Err error
}

// Close stops granting for good. Where no lease can be alive, the record that
// follows says so, and the next start need not settle.
type Close struct{}

// Electorate: who votes in a strict area. Of two lists that differ by more than
// one voter, each may have a majority: an arbiter that has the older one is to
// be told before another begins with the newer.
type Electorate struct {
	Voters  []Voter
	Unknown bool // they are not known yet: nobody has a majority
}

// Voted: a device answered a poll of this arbiter.
type Voted struct {
	Device area.DeviceID
	Vote   area.Vote
}

// Seconded: the hub follows this leader, since then, and has heard what it said
// at the instant of the core's clock.
type Seconded struct {
	Said  area.Instant
	Since time.Duration // how long it has followed nobody else, and not arbitrated itself
}

// Reign: the ledger of the hub's nodes has confirmed that this one has the area,
// until then.
type Reign struct{ Until area.Instant }

// Tick: time has passed; see [Core.Next].
type Tick struct{}

func (Begin) event()      {}
func (Heard) event()      {}
func (Set) event()        {}
func (DeviceUp) event()   {}
func (DeviceDown) event() {}
func (Submit) event()     {}
func (Cancel) event()     {}
func (Ended) event()      {}
func (Inherit) event()    {}
func (StopPlay) event()   {}
func (Stored) event()     {}
func (HeardTerm) event()  {}
func (Configure) event()  {}
func (Committed) event()  {}
func (Close) event()      {}
func (Electorate) event() {}
func (Voted) event()      {}
func (Seconded) event()   {}
func (Reign) event()      {}
func (Tick) event()       {}

// Action is something that the core's caller has to do: one of the types
// below, in the order given.
type Action interface{ action() }

// ShowBusy: publish the state on the busy topic, retained, and its flag on the
// flag topic, retained. It comes before the grant that it tells of. One
// exception: a device that plays already, under another arbiter's token, is
// adopted even before our own term is durable and may be shown.
type ShowBusy struct{ Busy area.Busy }

// Say: publish the answer on the device's grant topic.
type Say struct {
	Device area.DeviceID
	Answer area.Answer
}

// HoldOut: publish the offer on the device's work topic; where Device is empty,
// on the area's.
type HoldOut struct {
	Device area.DeviceID
	Offer  area.Offer
}

// Commit: write the area's record, and answer by [Committed]. Records are to be
// written in order; only the newest need be.
type Commit struct {
	Seq    uint64
	Record []byte
}

// Disconnect: close the device's connection; it seems to hear nothing.
type Disconnect struct{ Device area.DeviceID }

// Poll: ask the voters of the area, on its poll topic.
type Poll struct{ Poll area.Poll }

// Barged: declare that an emergency has the area beside a device that may sound
// still, for which it has waited as long as it must.
type Barged struct {
	Device, Over area.DeviceID
	Token        area.Token
	Work         area.WorkID // empty: sound without an order
}

// Remark: write into the log what an operator has to know of a device.
type Remark struct {
	Device area.DeviceID
	On     Matter
}

// Matter is what a [Remark] is about.
type Matter uint8

// The matters.
const (
	Contested  Matter = iota // two machines answer to its name
	Unentitled               // it sounds, and has no right to
	Overdue                  // its hold without a lease is past its time: whether it sounds, nobody can tell
	Unheard                  // its lease has ended without a word of it
)

// Report: tell the order service what became of a work.
type Report struct {
	Report area.Report

	// Of an order that waits again, about the attempt before:
	Begun bool          // it may have sounded
	By    area.DeviceID // who had it
}

func (ShowBusy) action()   {}
func (Say) action()        {}
func (HoldOut) action()    {}
func (Commit) action()     {}
func (Disconnect) action() {}
func (Poll) action()       {}
func (Barged) action()     {}
func (Remark) action()     {}
func (Report) action()     {}
