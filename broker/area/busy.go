package area

import "time"

// BusyState is what an area is doing.
type BusyState string

// The states of an area.
const (
	Idle     BusyState = "idle"
	Held     BusyState = "held"
	Settling BusyState = "settling" // a new arbiter waits until no lease of the old one can live
)

// Busy is the public state of an area, retained on [BusyTopic]. Only the
// arbiter writes it, always before the grant that it tells of. A consumer drops
// one whose (Term, Rev) is lower than what it has.
type Busy struct {
	V         int        `json:"v"`
	Area      Name       `json:"area"`
	Term      uint64     `json:"term"`
	Rev       uint64     `json:"rev"`
	State     BusyState  `json:"state"`
	Holder    *DeviceID  `json:"holder"`
	Claim     *uint64    `json:"claim"`
	Token     *Token     `json:"token"`
	Prio      *int       `json:"prio"`
	Work      *WorkID    `json:"work"`
	LeaseMs   int64      `json:"lease_ms"`
	Queue     []DeviceID `json:"queue"`
	Queued    int        `json:"queued"`
	Intruders []DeviceID `json:"intruders"`
	Preempt   bool       `json:"preempt,omitempty"` // the holder is an emergency that did not wait for one who does not answer: two may sound
}

// IdleBusy is the state of an area in which nothing happens.
func IdleBusy(a Name, term, rev uint64, lease time.Duration) Busy {
	return Busy{V: 1, Area: a, Term: term, Rev: rev, State: Idle, LeaseMs: lease.Milliseconds(), Queue: []DeviceID{}, Intruders: []DeviceID{}}
}

// Newer tells whether b replaces c: a higher term, or the same and a higher
// rev.
func (b Busy) Newer(c Busy) bool { return b.Term > c.Term || b.Term == c.Term && b.Rev > c.Rev }

// Flag is the payload of [FlagTopic]: "1" while held or settling, else "0".
func (b Busy) Flag() string {
	if b.State == Idle && len(b.Intruders) == 0 {
		return "0"
	}
	return "1"
}

// Lease is the area's configured lease.
func (b Busy) Lease() time.Duration { return time.Duration(b.LeaseMs) * time.Millisecond }

// Encode writes b; empty lists are [], not null.
func (b Busy) Encode() []byte {
	b.V = 1
	if b.Queue == nil {
		b.Queue = []DeviceID{}
	}
	if b.Intruders == nil {
		b.Intruders = []DeviceID{}
	}
	return encode(b)
}

// ParseBusy reads the retained state of an area. Its error is an [Error].
func ParseBusy(p []byte) (Busy, error) {
	var b Busy
	if err := decodeLoose("busy", p, MaxSubmit, &b); err != nil {
		return Busy{}, err
	}
	return b, b.check()
}

func (b *Busy) check() error {
	switch {
	case b == nil:
		return nil
	case !IsID(string(b.Area)) || b.LeaseMs < 0 || b.LeaseMs > int64(time.Hour/time.Millisecond) || b.Term > MaxCounter || b.Rev > MaxCounter:
		return Errorf(CodeInvalid, "busy: a value is out of range")
	case b.State != Idle && b.State != Held && b.State != Settling:
		return Errorf(CodeInvalid, "busy: state %s is not known", quote(string(b.State)))
	}
	return nil
}

// What arbitrates an area.
const (
	LeaderHub   = "hub"
	LeaderLocal = "local" // one of the area's devices
)

// Leader says who arbitrates an area, retained on [LeaderTopic].
type Leader struct {
	Term     uint64 `json:"term"`
	Host     string `json:"host"`
	Addr     string `json:"addr"`
	Web      string `json:"web"`  // scheme and port of the web listener, such as "http://:8080"; its host is the one that the device reached; empty: none
	Mode     string `json:"mode"` // LeaderHub or LeaderLocal
	SettleMs int64  `json:"settle_ms"`
}

// Encode writes l.
func (l Leader) Encode() []byte { return encode(l) }

// AudioNone is what a status says where the device has nothing to sound by.
const AudioNone = "none"

// Status is what a device says of itself, retained on [StatusTopic]; its Will
// is the same with Online false.
type Status struct {
	V        int    `json:"v"`
	Online   bool   `json:"online"`
	Boot     uint64 `json:"boot"`
	Conn     uint64 `json:"conn"` // connections of this boot so far; a Will of an older one is ignored
	MID      string `json:"mid"`
	Area     string `json:"area"`
	Location string `json:"location"`
	Name     string `json:"name"`
	State    string `json:"state"`
	Volume   *int   `json:"volume"`
	Muted    bool   `json:"muted"`
	Audio    string `json:"audio"`
	Version  string `json:"version"`

	Health *Health `json:"health,omitempty"` // nil: it does not tell, as its Will
	Update *Update `json:"update,omitempty"` // nil: it takes none, or does not tell
	Peers  *Peer   `json:"peers,omitempty"`  // nil: it cannot lead its area
}

// Encode writes s.
func (s Status) Encode() []byte { s.V = 1; return encode(s) }

// ParseStatus reads a device's status. Its error is an [Error]. Area and
// Location are text as the device gave it; the roster decides what they name.
func ParseStatus(b []byte) (Status, error) {
	var s Status
	if err := decodeLoose("status", b, MaxControl, &s); err != nil {
		return Status{}, err
	}
	return s, s.check()
}

func (s *Status) check() error {
	if s == nil {
		return nil
	}
	if s.Boot > MaxCounter || s.Conn > MaxCounter {
		return Errorf(CodeInvalid, "status: boot or conn is over 2^53-1")
	}
	for _, t := range []string{s.MID, s.Area, s.Location, s.Name, s.State, s.Audio, s.Version} {
		if err := shortText("status", "a text", t); err != nil {
			return err
		}
	}
	return s.Peers.check()
}
