package turn

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Event is something that happened to the device: one of the types below.
type Event interface{ event() }

// Up: a connection to the arbiter's broker stands, and the device is subscribed
// on it. Each new connection is an Up.
type Up struct{}

// Down: the connection is lost. It ends nothing; the turn is merely quiet until
// the next [Up]. Saying it is optional.
type Down struct{}

// Heard: an answer came on the device's grant topic. Retained copies must not
// be handed in.
type Heard struct{ Answer area.Answer }

// Lease: the retained busy of the area shows this lease (zero: as before) and
// this term.
type Lease struct {
	Lease time.Duration
	Term  uint64
}

// Take: the device would do the offered work. It is said every refresh until
// [Assigned] or [Refused]. To take what is assigned already asks whether it still
// is, and tells the arbiter that the device lives. At most 16 works are taken at a time; more are not
// said at all, and are offered again.
type Take struct {
	Work area.WorkID
	Att  int
}

// Decline: the device cannot do the work after all. It is said once; where it
// is lost the arbiter finds out by hearing no want.
type Decline struct {
	Work   area.WorkID
	Att    int
	Reason string // as an order's end has it; empty: device_error
}

// Known: the offered work was played to its end already, by this start or an
// earlier one, as the journal says. It is said as a done without a claim, once
// per event: offers repeat, and so may this.
type Known struct {
	Work area.WorkID
	Att  int
}

// Wish: the device has something to play. It counts in [Idle] alone; in every
// other phase it is ignored.
type Wish struct {
	Work area.WorkID // empty: sound without an order
	Att  int
	Prio area.Priority
	Dur  time.Duration
}

// Withdraw: the wish is no longer wanted, for example because it was cancelled
// or is too late. What sounds is stopped. In [Idle] and [Done] it is ignored.
type Withdraw struct{ Result area.Result }

// Over: nothing sounds any more. Result is Played where the last sample was
// heard; after a [Stop] any other result is taken for the Stop's own. First and
// Last are when the first and the last sample sounded, as far as the caller can
// tell; both 0: none did.
type Over struct {
	Result      area.Result
	First, Last area.Instant
}

// Tick: time has passed; see [Turn.Next].
type Tick struct{}

func (Up) event()       {}
func (Down) event()     {}
func (Heard) event()    {}
func (Lease) event()    {}
func (Take) event()     {}
func (Decline) event()  {}
func (Known) event()    {}
func (Wish) event()     {}
func (Withdraw) event() {}
func (Over) event()     {}
func (Tick) event()     {}

// Action is something that the caller has to do: one of the types below.
type Action interface{ action() }

// Send: publish the claim on the device's claim topic, QoS 1, not retained.
type Send struct{ Claim area.Claim }

// Start: the area is the device's; play now, and no longer than
// [Turn.Deadline].
type Start struct {
	Claim uint64
	Token area.Token
	Work  area.WorkID
	Att   int
}

// Stop: be silent within this time (0: at once), then say [Over].
type Stop struct {
	Within time.Duration
	Result area.Result
}

// Assigned: the work that was taken is the device's to do; it should become a
// [Wish], or be answered by a [Decline].
type Assigned struct {
	Work area.WorkID
	Att  int
	Dur  time.Duration
	Prio area.Priority
}

// Refused: the work is not, or no longer, the device's. Where it was the
// present wish, a [Free] follows when the arbiter has heard that it ended. By
// [area.ReasonUnknownWork] it may be still: this arbiter does not know of it, the
// Free that follows names no work, and it may be wished for again.
type Refused struct {
	Work   area.WorkID
	Reason string
}

// Free: the wish has ended with this result, and the arbiter knows; the turn is
// [Idle].
type Free struct {
	Claim  uint64
	Work   area.WorkID
	Att    int
	Result area.Result
}

// Booted: the number of this start is now Boot; it must be persisted before the
// actions after it are done.
type Booted struct{ Boot uint64 }

// Replaced: another machine has the device's name; the device is not served,
// and asks again after a while. Until then the caller should not make a lost
// connection again: it would take it from the other.
type Replaced struct{ Again time.Duration }

// Deaf: four refreshes without any answer; close the connection, wait at least
// 200 ms and some jitter, connect again and say [Up].
type Deaf struct{}

func (Send) action()     {}
func (Start) action()    {}
func (Stop) action()     {}
func (Assigned) action() {}
func (Refused) action()  {}
func (Free) action()     {}
func (Booted) action()   {}
func (Replaced) action() {}
func (Deaf) action()     {}
