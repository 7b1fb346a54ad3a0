package area

import "time"

// Answer is what the arbiter says to one device, on [GrantTopic]. Boot and MID
// repeat those of the message that it answers; an answer to another machine is
// ignored.
type Answer struct {
	Op     Op
	Boot   uint64
	MID    string
	Nonce  string // of the hello that it answers
	Claim  uint64
	Ack    uint64 // newest seq heard
	Term   uint64
	Token  Token
	Lease  time.Duration // of a grant: counted from when the device sent seq Ack; 0 with Hold
	Hold   bool          // of a grant: a classic hold, which has no lease
	Pos    int           // of queued: place in the queue, from 1; 0 while the arbiter settles
	Stop   time.Duration // of a revoke
	Reason string        // of a revoke or a refusal
	Area   Name          // of a refusal as not_member: the area that the device is a member of; empty: not told
	Work   WorkID
	Att    int
	Dur    time.Duration
	Prio   Priority
	From   string // arbiter that answers
}

type answerWire struct {
	Op      Op     `json:"op"`
	Boot    int64  `json:"boot"`
	MID     string `json:"mid,omitempty"`
	Nonce   string `json:"nonce,omitempty"`
	Claim   *int64 `json:"claim,omitempty"`
	Ack     *int64 `json:"ack,omitempty"`
	Term    *int64 `json:"term,omitempty"`
	Token   *int64 `json:"token,omitempty"`
	LeaseMs *int64 `json:"lease_ms,omitempty"`
	Hold    bool   `json:"hold,omitempty"`
	Pos     *int64 `json:"pos,omitempty"`
	StopMs  *int64 `json:"stop_ms,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Area    string `json:"area,omitempty"`
	Work    string `json:"work,omitempty"`
	Att     *int64 `json:"att,omitempty"`
	DurMs   *int64 `json:"dur_ms,omitempty"`
	Prio    *int64 `json:"prio,omitempty"`
	From    string `json:"from,omitempty"`
}

// Encode writes the answer with the fields that its op has.
func (a Answer) Encode() []byte {
	w := answerWire{Op: a.Op, Boot: int64(a.Boot), MID: a.MID, Work: string(a.Work), From: a.From}
	n := func(v uint64) *int64 { return ptr(int64(v)) }
	switch a.Op {
	case OpHello:
		w.Nonce, w.Term = a.Nonce, n(a.Term)
	case OpGrant:
		w.Claim, w.Ack, w.Token, w.LeaseMs, w.Hold = n(a.Claim), n(a.Ack), n(uint64(a.Token)), ptr(milliseconds(a.Lease)), a.Hold
	case OpQueued:
		w.Claim, w.Ack, w.Pos = n(a.Claim), n(a.Ack), n(uint64(a.Pos))
	case OpRevoke:
		w.Claim, w.Token, w.StopMs, w.Reason = n(a.Claim), n(uint64(a.Token)), ptr(milliseconds(a.Stop)), a.Reason
	case OpReleased:
		w.Claim, w.Ack = n(a.Claim), n(a.Ack)
	case OpAssigned:
		w.Att, w.DurMs, w.Prio = ptr(int64(a.Att)), ptr(milliseconds(a.Dur)), ptr(int64(a.Prio))
	case OpRefused:
		w.Claim, w.Ack, w.Reason, w.Area = n(a.Claim), n(a.Ack), a.Reason, string(a.Area)
	case OpStale:
		w.Ack = n(a.Ack)
	}
	if a.Term != 0 {
		w.Term = n(a.Term)
	}
	return encode(w)
}

// ParseAnswer reads an answer. Its error is an [Error], as [ParseClaim]'s.
func ParseAnswer(b []byte) (Answer, error) {
	const what = "answer"
	var w answerWire
	if err := decodeLoose(what, b, MaxControl, &w); err != nil {
		return Answer{}, err
	}
	a := Answer{Op: w.Op, MID: w.MID, Nonce: w.Nonce, Hold: w.Hold, Reason: w.Reason, From: w.From}
	var err error
	number := func(field string, p *int64) (n uint64) {
		if p != nil && err == nil {
			n, err = counter(what, field, *p)
		}
		return n
	}
	span := func(field string, p *int64) (d time.Duration) {
		if p != nil && err == nil {
			d, err = duration(what, field, *p)
		}
		return d
	}
	a.Boot, a.Claim, a.Ack, a.Term = number("boot", &w.Boot), number("claim", w.Claim), number("ack", w.Ack), number("term", w.Term)
	a.Token, a.Pos, a.Att = Token(number("token", w.Token)), int(number("pos", w.Pos)), int(number("att", w.Att))
	a.Lease, a.Stop, a.Dur = span("lease_ms", w.LeaseMs), span("stop_ms", w.StopMs), span("dur_ms", w.DurMs)
	a.Prio = Priority(number("prio", w.Prio))
	if err == nil && w.Work != "" {
		a.Work, err = ParseWorkID(w.Work)
	}
	if err == nil && w.Area != "" {
		a.Area, err = ParseName(w.Area)
	}
	if err != nil {
		return Answer{}, err
	}
	switch a.Op {
	case OpHello, OpGrant, OpQueued, OpRevoke, OpReleased, OpRefused, OpAssigned, OpStale:
		return a, nil
	}
	return Answer{}, Errorf(CodeInvalid, "%s: op %s is not known", what, quote(string(a.Op)))
}
