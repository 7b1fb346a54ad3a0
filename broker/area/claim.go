package area

import "time"

// Op is the verb of a claim or of an answer.
type Op string

// What a device says ([Claim]).
const (
	OpHello   Op = "hello"   // I am here: asks for boot and term
	OpWant    Op = "want"    // I want the area, or I have it and want it longer
	OpDone    Op = "done"    // I no longer want it
	OpTake    Op = "take"    // I will do the offered work
	OpDecline Op = "decline" // I cannot do the work after all
)

// What the arbiter answers ([Answer]); it also answers OpHello.
const (
	OpGrant    Op = "grant"    // the area is yours for lease_ms, counted from when you sent seq ack
	OpQueued   Op = "queued"   // not yet
	OpRevoke   Op = "revoke"   // stop within stop_ms
	OpReleased Op = "released" // your done was heard
	OpRefused  Op = "refused"  // no, and here is why
	OpAssigned Op = "assigned" // the work is yours
	OpStale    Op = "stale"    // a newer start of you was heard: end, then say hello
)

// Result is what became of the sound of a claim.
type Result string

// The results of a done.
const (
	Played    Result = "played"    // to its last sample
	Stopped   Result = "stopped"   // by the deadline
	Preempted Result = "preempted" // by a revoke, or by an order of a higher class
	Cancelled Result = "cancelled" // nobody wants it any more
	Expired   Result = "expired"   // too late
	Failed    Result = "failed"    // the device could not
)

// Reasons of a revoke and of a refusal.
const (
	ReasonPreempt          = "preempt"
	ReasonStale            = "stale"
	ReasonAdmin            = "admin"
	ReasonTaken            = "taken"
	ReasonExpired          = "expired"
	ReasonNotMember        = "not_member"
	ReasonQueueFull        = "queue_full"
	ReasonLocationConflict = "location_conflict"
	ReasonUnknownArea      = "unknown_area"
	ReasonReplaced         = "replaced"     // another machine answers to this name now
	ReasonSuperseded       = "superseded"   // the attempt is no longer the current one
	ReasonUnknownWork      = "unknown_work" // the arbiter does not know the work: another one may have given it
)

// Token is the number of a grant: term·10⁶ + n. It grows with every grant of an
// area; a lower one is refused.
type Token uint64

const tokensPerTerm = 1_000_000

// MakeToken is grant n of a term; n is at most 999,999.
func MakeToken(term, n uint64) Token { return Token(term*tokensPerTerm + n) }

// Term is the term in which the token was granted.
func (t Token) Term() uint64 { return uint64(t) / tokensPerTerm }

// N counts the grants of the token's term up to it.
func (t Token) N() uint64 { return uint64(t) % tokensPerTerm }

// MaxTokenN is the last n of a term.
const MaxTokenN = tokensPerTerm - 1

// From says which arbiter a device heard last, and how long ago
// (COORDINATION.md §8.2).
type From struct {
	Arbiter string `json:"arbiter"`
	AgoMs   int64  `json:"ago_ms"`
}

// Claim is what a device says to the arbiter of its area, on
// [ClaimTopic]. The topic names the sender. (Boot, Claim, Seq) orders
// everything that a device ever said.
type Claim struct {
	Op      Op
	Boot    uint64 // number of the device's start; 0: the device has no disk and asks for one
	MID     string // machine id; empty: not known
	Nonce   string // of a hello
	Claim   uint64 // number of the wish
	Seq     uint64 // number of the message
	Term    uint64 // highest that the device has seen
	From    *From
	At      int64 // of a want: the device's own monotonic clock at the saying, ms; 0: it does not say. For the record alone
	Prio    Priority
	Dur     time.Duration // how long the sound lasts
	Playing bool
	Token   Token
	Work    WorkID // empty: sound without an order
	Att     int    // attempt of the work, from 1
	Result  Result
	Reason  string // of a decline: why the device cannot do it, as an end's; empty: device_error
	Sound   *Sound // of a done: when it sounded; nil: it does not say
}

// Sound is when a device sounded, in its own monotonic clock, in ms. A report is
// told anew each time it is said: AtMs is the moment of the saying.
type Sound struct {
	AtMs    int64 `json:"at_ms"`
	FirstMs int64 `json:"first_ms"` // the first sample, or just before
	LastMs  int64 `json:"last_ms"`  // the last sample, or just after
}

type claimWire struct {
	Op      Op      `json:"op"`
	Boot    int64   `json:"boot"`
	MID     string  `json:"mid,omitempty"`
	Nonce   string  `json:"nonce,omitempty"`
	Claim   *int64  `json:"claim,omitempty"`
	Seq     *int64  `json:"seq,omitempty"`
	Term    *int64  `json:"term,omitempty"`
	From    *From   `json:"from,omitempty"`
	AtMs    *int64  `json:"at_ms,omitempty"`
	Prio    *int64  `json:"prio,omitempty"`
	DurMs   *int64  `json:"dur_ms,omitempty"`
	Playing *bool   `json:"playing,omitempty"`
	Token   *int64  `json:"token,omitempty"`
	Work    *string `json:"work,omitempty"`
	Att     *int64  `json:"att,omitempty"`
	Result  *Result `json:"result,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	Sound   *Sound  `json:"sound,omitempty"`
}

// Encode writes the claim with the fields that its op has.
func (c Claim) Encode() []byte {
	w := claimWire{Op: c.Op, Boot: int64(c.Boot), MID: c.MID, Seq: ptr(int64(c.Seq))}
	work := func() {
		if c.Work != "" {
			w.Work = ptr(string(c.Work))
			w.Att = ptr(int64(c.Att))
		}
	}
	switch c.Op {
	case OpHello:
		w.Nonce, w.Claim, w.Term, w.From = c.Nonce, ptr(int64(c.Claim)), ptr(int64(c.Term)), c.From
	case OpWant:
		w.Claim, w.Term, w.From = ptr(int64(c.Claim)), ptr(int64(c.Term)), c.From
		if c.At != 0 {
			w.AtMs = &c.At
		}
		w.Prio, w.DurMs, w.Playing, w.Token = ptr(int64(c.Prio)), ptr(milliseconds(c.Dur)), ptr(c.Playing), ptr(int64(c.Token))
		work()
	case OpDone:
		w.Claim, w.Token, w.Result, w.Sound = ptr(int64(c.Claim)), ptr(int64(c.Token)), ptr(c.Result), c.Sound
		work()
	case OpTake:
		work()
	case OpDecline:
		work()
		w.Reason = c.Reason
	}
	return encode(w)
}

// ParseClaim reads a claim. Its error is an [Error]: [CodeTooLarge],
// [CodeBadRequest] for what is no JSON or of a wrong type, [CodeInvalid] for a
// value out of its range.
func ParseClaim(b []byte) (Claim, error) {
	const what = "claim"
	var w claimWire
	if err := decodeLoose(what, b, MaxControl, &w); err != nil {
		return Claim{}, err
	}
	c := Claim{Op: w.Op, MID: w.MID, Nonce: w.Nonce, From: w.From, Sound: w.Sound}
	var err error
	number := func(field string, p *int64) (n uint64) {
		if p != nil && err == nil {
			n, err = counter(what, field, *p)
		}
		return n
	}
	c.Boot = number("boot", &w.Boot)
	c.Claim, c.Seq, c.Term, c.Token = number("claim", w.Claim), number("seq", w.Seq), number("term", w.Term), Token(number("token", w.Token))
	c.Att, c.At = int(number("att", w.Att)), int64(number("at_ms", w.AtMs))
	if err != nil {
		return Claim{}, err
	}
	if w.DurMs != nil {
		if c.Dur, err = duration(what, "dur_ms", *w.DurMs); err != nil {
			return Claim{}, err
		}
	}
	c.Playing = w.Playing != nil && *w.Playing
	if w.Work != nil && *w.Work != "" {
		if c.Work, err = ParseWorkID(*w.Work); err != nil {
			return Claim{}, err
		}
	}
	if w.Result != nil {
		c.Result = *w.Result
	}
	if c.Op == OpDecline {
		c.Reason = w.Reason
	}
	c.Prio = Normal
	if w.Prio != nil {
		c.Prio = Priority(*w.Prio)
	}
	return c, c.check()
}

func (c Claim) check() error {
	const what = "claim"
	if c.Prio < 0 || c.Prio > MaxPriority {
		return Errorf(CodeInvalid, "%s: prio %d is not 0 to %d", what, c.Prio, MaxPriority)
	}
	if c.From != nil {
		if c.From.AgoMs < 0 || len(c.From.Arbiter) > maxSensor {
			return Errorf(CodeInvalid, "%s: from is out of range", what)
		}
	}
	if s := c.Sound; s != nil && (s.FirstMs < 0 || s.LastMs < s.FirstMs || s.AtMs < s.LastMs || s.AtMs > MaxCounter) {
		return Errorf(CodeInvalid, "%s: sound is out of range: first_ms to last_ms to at_ms is not in order", what)
	}
	if err := shortText(what, "mid", c.MID); err != nil {
		return err
	}
	if err := shortText(what, "nonce", c.Nonce); err != nil {
		return err
	}
	if err := shortText(what, "reason", c.Reason); err != nil {
		return err
	}
	switch c.Op {
	case OpHello, OpWant:
		return nil
	case OpDone:
		switch c.Result {
		case Played, Stopped, Preempted, Cancelled, Expired, Failed:
			return nil
		}
		return Errorf(CodeInvalid, "%s: result %s is not known", what, quote(string(c.Result)))
	case OpTake, OpDecline:
		if c.Work == "" {
			return Errorf(CodeInvalid, "%s: %s names no work", what, c.Op)
		}
		return nil
	}
	return Errorf(CodeInvalid, "%s: op %s is not known", what, quote(string(c.Op)))
}
