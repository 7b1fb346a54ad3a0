package area

import (
	"cmp"
	"encoding/json"
	"time"
)

// Body is what an offer says of the sound itself.
type Body struct {
	Kind      string   `json:"kind"`
	Message   *string  `json:"message"`
	Clip      *string  `json:"clip"`
	URL       *string  `json:"url"`
	Chime     string   `json:"chime"`
	Volume    *int     `json:"volume"`
	Repeat    int      `json:"repeat"`
	Languages []string `json:"languages"`
}

// Redo says what happens to a work whose player was lost.
type Redo string

// The values of Redo.
const (
	RedoRetry Redo = "retry" // offered again, at most once more
	RedoOnce  Redo = "once"  // never again once its player was granted the area
)

// IfBusy says what an order does about an area that sounds.
type IfBusy string

// The values of IfBusy.
const (
	BusyQueue     IfBusy = "queue"
	BusySkip      IfBusy = "skip"
	BusyInterrupt IfBusy = "interrupt"
)

// Work is an instruction to sound once in an area, as the order service hands
// it to the dispatcher.
type Work struct {
	ID       WorkID
	Area     Name
	Location LocationID // empty: any device of the area
	Device   DeviceID   // not empty: that device alone
	Prio     Priority
	Dur      time.Duration // known or estimated length
	Expires  time.Time     // wall time; judged once, at the grant
	Redo     Redo
	IfBusy   IfBusy
	Body     Body
}

// Offer holds out a work to a device or to an area, on [WorkTopic] or
// [AreaWorkTopic]. It is repeated until taken or expired.
type Offer struct {
	Work WorkID
	Att  int
	Dur  time.Duration
	Prio Priority
	TTL  time.Duration // what is left of the order's time
	Body Body
}

type offerWire struct {
	Op    string `json:"op"`
	Work  WorkID `json:"work"`
	Att   int    `json:"att"`
	DurMs int64  `json:"dur_ms"`
	Prio  int    `json:"prio"`
	TTLMs int64  `json:"ttl_ms"`
	Body  Body   `json:"body"`
}

// Encode writes the offer.
func (o Offer) Encode() []byte {
	return encode(offerWire{Op: "offer", Work: o.Work, Att: o.Att, DurMs: milliseconds(o.Dur), Prio: int(o.Prio), TTLMs: milliseconds(o.TTL), Body: o.Body})
}

// ParseOffer reads an offer. Its error is an [Error].
func ParseOffer(b []byte) (Offer, error) {
	const what = "offer"
	var w offerWire
	if err := decodeLoose(what, b, MaxSubmit, &w); err != nil {
		return Offer{}, err
	}
	if w.Op != "offer" || !IsID(string(w.Work)) || w.Att < 1 || w.Prio < 0 || w.Prio > int(MaxPriority) {
		return Offer{}, Errorf(CodeInvalid, "%s: op, work, att or prio is out of range", what)
	}
	o := Offer{Work: w.Work, Att: w.Att, Prio: Priority(w.Prio), Body: w.Body}
	var err error
	if o.Dur, err = duration(what, "dur_ms", w.DurMs); err != nil {
		return Offer{}, err
	}
	if o.TTL, err = duration(what, "ttl_ms", w.TTLMs); err != nil {
		return Offer{}, err
	}
	return o, nil
}

// Submit is work handed in over MQTT, on [SubmitTopic]. Body has an order's
// other keys.
type Submit struct {
	Work     WorkID          `json:"work"`
	Location *LocationID     `json:"location"`
	Device   *DeviceID       `json:"device"`
	DurMs    *int64          `json:"dur_ms"`
	Prio     *int            `json:"prio"`
	TTLMs    *int64          `json:"ttl_ms"`
	Redo     Redo            `json:"redo"`
	Body     json.RawMessage `json:"body"`
}

// ParseSubmit reads a submit and checks its own keys; the keys of the body are
// the order's to check. Its error is an [Error]; where the work's id could be
// read, the submit that is returned beside the error has it, so that the
// refusal can be answered.
func ParseSubmit(b []byte) (Submit, error) {
	const what = "submit"
	var s Submit
	err := decodeLoose(what, b, MaxSubmit, &s)
	if _, e := ParseWorkID(string(s.Work)); e != nil {
		return Submit{}, cmp.Or(err, e)
	}
	if err != nil {
		return Submit{Work: s.Work}, err
	}
	if s.Location != nil && s.Device != nil {
		return s, InvalidField("device", "a work has a location or a device, not both")
	}
	if s.Prio != nil && (*s.Prio < 0 || *s.Prio > int(MaxPriority)) {
		return s, InvalidField("prio", "%d is not 0 to %d", *s.Prio, MaxPriority)
	}
	for field, ms := range map[string]*int64{"dur_ms": s.DurMs, "ttl_ms": s.TTLMs} {
		if ms == nil {
			continue
		}
		if _, err := duration(what, field, *ms); err != nil {
			return s, err
		}
	}
	switch s.Redo {
	case "", RedoRetry, RedoOnce:
		return s, nil
	}
	return s, InvalidField("redo", "%s is neither retry nor once", quote(string(s.Redo)))
}

// Report says what became of a work; the dispatcher hands each change to the
// order service, in order per work.
type Report struct {
	Work   WorkID
	Area   Name
	State  OrderState
	Device DeviceID // who has it; empty: nobody
	MID    string   // of an assignment: its machine, and which start of it
	Boot   uint64
	Att    int
	Reason string        // of an end, or of being waiting again
	Dur    time.Duration // length that the device measured; 0: not known
	Ago    time.Duration // it happened so long ago: a leader tells it late; 0: now
}
