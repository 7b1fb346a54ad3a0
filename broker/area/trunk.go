package area

import (
	"encoding/json"
	"errors"
	"fmt"
)

// TrunkOp is the verb of a [Trunk] message.
type TrunkOp string

// What the leader of an area says to the hub, on [TrunkUpTopic]; in brackets
// the fields that stand beside those of every message.
const (
	// TrunkLead [settle_ms, alive_ms, addr, web, serves, holds, owes]: I arbitrate the area. Said
	// each second, and at once on a change.
	TrunkLead TrunkOp = "lead"
	// TrunkResign []: I no longer do.
	TrunkResign TrunkOp = "resign"
	// TrunkAsk []: is somebody else leading? A member asks it that has lost its
	// leader (COORDINATION.md §8.9).
	TrunkAsk TrunkOp = "ask"
	// TrunkBusy [busy]: the state of the area has changed.
	TrunkBusy TrunkOp = "busy"
	// TrunkSay [device, answer]: the arbiter's answer to a device of the hub.
	TrunkSay TrunkOp = "say"
	// TrunkOffer [device, offer]: a work is held out to a device of the hub; no
	// device: to all of them.
	TrunkOffer TrunkOp = "offer"
	// TrunkStatus [device, status]: a device of the leader's.
	TrunkStatus TrunkOp = "status"
	// TrunkGone [device, reason]: a device is not connected to the leader any more;
	// the reason is one of those of [Device].
	TrunkGone TrunkOp = "gone"
	// TrunkPoll [poll]: the arbiter of a strict area asks the members that are
	// connected to the hub for their votes.
	TrunkPoll TrunkOp = "poll"
	// TrunkDone [device, claim]: a device is done with a work that the leader does
	// not know.
	TrunkDone TrunkOp = "done"
	// TrunkReport [n, report, order]: what became of a work. Repeated each second
	// until got. The order is whole where the hub cannot know it: it was handed in
	// at the leader.
	TrunkReport TrunkOp = "report"
	// TrunkOrder [n, report, order, handed]: an order that was handed in at the leader,
	// and that it goes on with, as it stands. Repeated each second until got: by then
	// the hub has it durably, and it is in the leader's hands like any of the hub's.
	TrunkOrder TrunkOp = "order"
	// TrunkRecord [n, ago_ms, record]: a record of who had the area, or of what
	// sounded. Repeated each second until got.
	TrunkRecord TrunkOp = "record"
	// TrunkSubmitted [n, work]: the work that was handed over is durable here.
	TrunkSubmitted TrunkOp = "submitted"
	// TrunkTele [topic, payload]: a reading, an event or a log line of a device of
	// the leader's.
	TrunkTele TrunkOp = "tele"
)

// What the hub says to the leader of an area, on [TrunkDownTopic].
const (
	// TrunkLed [since_ms, settle_ms, holds]: lead is accepted, since then. A lease
	// that the hub granted may live for settle_ms still, and the holds sound.
	TrunkLed TrunkOp = "led"
	// TrunkRefused [reason]: lead is not. Term is the highest heard.
	TrunkRefused TrunkOp = "refused"
	// TrunkWitness [live, leader]: the answer to ask. Term is the leader's.
	TrunkWitness TrunkOp = "witness"
	// TrunkHeard [device, claim, hold]: what a device of the hub says.
	TrunkHeard TrunkOp = "heard"
	// TrunkSet [device, on, will]: a dumb device of the hub, or the end of a
	// classic hold.
	TrunkSet TrunkOp = "set"
	// TrunkVote [device, vote]: a member that is connected to the hub votes.
	TrunkVote TrunkOp = "vote"
	// TrunkUp [device, location, via]: a device of the hub is live.
	TrunkUp TrunkOp = "up"
	// TrunkDown [device]: it is no longer.
	TrunkDown TrunkOp = "down"
	// TrunkSubmit [n, handed]: a work is the leader's now. Repeated each second
	// until submitted.
	TrunkSubmit TrunkOp = "submit"
	// TrunkCancel [work, reason]: take a work back.
	TrunkCancel TrunkOp = "cancel"
	// TrunkStopPlay []: stop what sounds.
	TrunkStopPlay TrunkOp = "stop_play"
	// TrunkStored [work]: the end of a work is kept at the hub.
	TrunkStored TrunkOp = "stored"
	// TrunkGot [n]: a report or a record has come, and is durable.
	TrunkGot TrunkOp = "got"
	// TrunkCommand [topic, payload]: a message of the hub for a device of the
	// leader's: a command, or its roster document.
	TrunkCommand TrunkOp = "command"
)

// Reasons for which a lead is refused.
const (
	TrunkTermLow    = "term"       // a higher one was heard: raise yours, settle, lead again
	TrunkNotMember  = "not_member" // the device is not on the roster of the area
	TrunkHubLeads   = "hub_leads"  // the area is direct, and the hub arbitrates it: stop
	TrunkOtherLeads = "other"      // another leader with a higher term is live
)

// SteadyN is the least number of a sender whose numbers grow over all its starts:
// what has no higher number than the newest that was heard was heard already, also
// from another start.
const SteadyN = 1 << 32

// MaxTrunk is the most bytes that a trunk message may have: a roster document fits
// into one.
const MaxTrunk = 192 << 10

// Trunk is one message between the hub and the local leader of an area. Op says
// which fields stand beside the first four; a message of an unknown op is to be
// ignored.
type Trunk struct {
	Op   TrunkOp `json:"op"`
	Area Name    `json:"area"`
	Term uint64  `json:"term"` // the sender's highest
	Life string  `json:"life"` // random, new at each start of the sender

	SettleMs int64      `json:"settle_ms,omitempty"` // nothing is, or may be, granted for so long
	AliveMs  int64      `json:"alive_ms,omitempty"`  // longest life of a lease that may be alive, guard included
	Addr     string     `json:"addr,omitempty"`      // where the leader's broker listens
	Web      string     `json:"web,omitempty"`       // where its device hub listens, as in [Leader]
	Serves   []DeviceID `json:"serves,omitempty"`    // devices that are connected to the leader
	Holds    []Hold     `json:"holds,omitempty"`     // what sounds at the sender without a lease
	Owes     int        `json:"owes,omitempty"`      // so much has the leader yet to tell the hub, by reports and records
	SinceMs  int64      `json:"since_ms,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Live     bool       `json:"live,omitempty"`
	Leader   DeviceID   `json:"leader,omitempty"`

	N      uint64    `json:"n,omitempty"` // number of a message that is repeated; new ones have higher numbers in one life
	AgoMs  int64     `json:"ago_ms,omitempty"`
	Device DeviceID  `json:"device,omitempty"`
	Work   WorkID    `json:"work,omitempty"`
	Claim  *Claim    `json:"claim,omitempty"`
	Hold   bool      `json:"hold,omitempty"` // what the claim is granted is a classic hold
	Answer *Answer   `json:"answer,omitempty"`
	Offer  *Offer    `json:"offer,omitempty"`
	Status *Status   `json:"status,omitempty"`
	Busy   *Busy     `json:"busy,omitempty"`
	Poll   *Poll     `json:"poll,omitempty"`
	Vote   *Vote     `json:"vote,omitempty"`
	Handed *Handed   `json:"handed,omitempty"`
	Report *Reported `json:"report,omitempty"`
	Order  *Order    `json:"order,omitempty"`

	On       bool       `json:"on,omitempty"`
	Will     bool       `json:"will,omitempty"`
	Location LocationID `json:"location,omitempty"`
	Via      Via        `json:"via,omitempty"`

	Topic   string          `json:"topic,omitempty"`
	Payload []byte          `json:"payload,omitempty"` // base64 on the wire
	Record  json.RawMessage `json:"record,omitempty"`  // as package proof writes it, without number and chain
}

// Encode writes t.
func (t Trunk) Encode() []byte {
	type fields Trunk
	return encode(struct {
		V int `json:"v"`
		fields
	}{1, fields(t)})
}

// ParseTrunk reads a message of the trunk. Its error is an [Error]. A message of
// an unknown op is none; what a known op needs is there.
func ParseTrunk(b []byte) (Trunk, error) {
	var t Trunk
	if err := decodeLoose("trunk", b, MaxTrunk, &t); err != nil {
		return Trunk{}, err
	}
	if err := t.check(); err != nil {
		return Trunk{}, Errorf(CodeInvalid, "trunk %s: %s", quote(string(t.Op)), err)
	}
	return t, nil
}

// trunkNeeds says what has to stand in a message of each op.
var trunkNeeds = map[TrunkOp]func(Trunk) bool{
	TrunkLead:      func(t Trunk) bool { return t.Term != 0 },
	TrunkBusy:      func(t Trunk) bool { return t.Busy != nil && t.Busy.Area == t.Area },
	TrunkSay:       func(t Trunk) bool { return t.Device != "" && t.Answer != nil },
	TrunkOffer:     func(t Trunk) bool { return t.Offer != nil },
	TrunkStatus:    func(t Trunk) bool { return t.Device != "" && t.Status != nil },
	TrunkGone:      func(t Trunk) bool { return t.Device != "" },
	TrunkPoll:      func(t Trunk) bool { return t.Poll != nil && t.Poll.Area == t.Area },
	TrunkVote:      func(t Trunk) bool { return t.Device != "" && t.Vote != nil },
	TrunkDone:      func(t Trunk) bool { return t.Device != "" && t.Claim != nil && t.Claim.Op == OpDone },
	TrunkReport:    func(t Trunk) bool { return t.N != 0 && t.Report != nil },
	TrunkOrder:     func(t Trunk) bool { return t.N != 0 && t.Report != nil && t.Order != nil && t.Handed != nil },
	TrunkRecord:    func(t Trunk) bool { return t.N != 0 && len(t.Record) > 0 },
	TrunkSubmitted: func(t Trunk) bool { return t.N != 0 && t.Work != "" },
	TrunkTele:      func(t Trunk) bool { return t.Topic != "" },
	TrunkHeard:     func(t Trunk) bool { return t.Device != "" && t.Claim != nil },
	TrunkSet:       func(t Trunk) bool { return t.Device != "" },
	TrunkUp:        func(t Trunk) bool { return t.Device != "" },
	TrunkDown:      func(t Trunk) bool { return t.Device != "" },
	TrunkSubmit:    func(t Trunk) bool { return t.N != 0 && t.Handed != nil },
	TrunkCancel:    func(t Trunk) bool { return t.Work != "" },
	TrunkStored:    func(t Trunk) bool { return t.Work != "" },
	TrunkGot:       func(t Trunk) bool { return t.N != 0 },
	TrunkCommand:   func(t Trunk) bool { return t.Topic != "" },
}

func (t Trunk) check() error {
	if needs := trunkNeeds[t.Op]; needs != nil && !needs(t) {
		return errors.New("something is missing")
	}
	switch {
	case !IsID(string(t.Area)):
		return fmt.Errorf("area %s is no id", quote(string(t.Area)))
	case t.Life == "" || len(t.Life) > maxSensor:
		return fmt.Errorf("life is empty or has over %d bytes", maxSensor)
	case t.Term > MaxCounter || t.N > MaxCounter:
		return errors.New("term or n is over 2^53-1")
	case t.Device != "" && !IsID(string(t.Device)) || t.Leader != "" && !IsID(string(t.Leader)):
		return errors.New("a device is no id")
	case t.Work != "" && !IsID(string(t.Work)) || t.Location != "" && !IsID(string(t.Location)):
		return errors.New("work or location is no id")
	case t.Owes < 0:
		return errors.New("owes is below 0")
	case len(t.Serves) > 4096 || len(t.Holds) > 4096:
		return errors.New("serves or holds are too many")
	}
	for _, s := range []string{t.Addr, t.Web, t.Reason, string(t.Via)} {
		if err := shortText("a text", "it", s); err != nil {
			return err
		}
	}
	for _, ms := range []int64{t.SettleMs, t.AliveMs, t.SinceMs, t.AgoMs} {
		if _, err := fromMillis("a duration", ms); err != nil {
			return err
		}
	}
	for _, d := range t.Serves {
		if !IsID(string(d)) {
			return fmt.Errorf("serves %s, which is no id", quote(string(d)))
		}
	}
	for _, h := range t.Holds {
		if err := h.check(); err != nil {
			return err
		}
	}
	return t.checkParts()
}

func (t Trunk) checkParts() error {
	for _, part := range []interface{ check() error }{t.Handed, t.Report, t.Status, t.Busy} {
		if err := part.check(); err != nil {
			return err
		}
	}
	return nil
}

// MarshalJSON writes c as [Claim.Encode].
func (c Claim) MarshalJSON() ([]byte, error) { return c.Encode(), nil }

// UnmarshalJSON reads c as [ParseClaim].
func (c *Claim) UnmarshalJSON(b []byte) (err error) { *c, err = ParseClaim(b); return err }

// MarshalJSON writes a as [Answer.Encode].
func (a Answer) MarshalJSON() ([]byte, error) { return a.Encode(), nil }

// UnmarshalJSON reads a as [ParseAnswer].
func (a *Answer) UnmarshalJSON(b []byte) (err error) { *a, err = ParseAnswer(b); return err }

// MarshalJSON writes p as [Poll.Encode].
func (p Poll) MarshalJSON() ([]byte, error) { return p.Encode(), nil }

// UnmarshalJSON reads p as [ParsePoll].
func (p *Poll) UnmarshalJSON(b []byte) (err error) { *p, err = ParsePoll(b); return err }

// MarshalJSON writes v as [Vote.Encode].
func (v Vote) MarshalJSON() ([]byte, error) { return v.Encode(), nil }

// UnmarshalJSON reads v as [ParseVote].
func (v *Vote) UnmarshalJSON(b []byte) (err error) { *v, err = ParseVote(b); return err }

// MarshalJSON writes o as [Offer.Encode].
func (o Offer) MarshalJSON() ([]byte, error) { return o.Encode(), nil }

// UnmarshalJSON reads o as [ParseOffer].
func (o *Offer) UnmarshalJSON(b []byte) (err error) { *o, err = ParseOffer(b); return err }
