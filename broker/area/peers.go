package area

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"
)

// Indices of those who may arbitrate (COORDINATION.md §8.18): hub nodes have 0
// to 15, the members of an area [FirstMember] to 63.
const (
	FirstMember = 16
	MostMembers = 64 - FirstMember
	AreaKeySize = 32 // bytes of the key of an area
)

// MaxPeers is the most bytes that a roster document may have.
const MaxPeers = 96 << 10

// MostCredentials bounds who can sign in at a leader.
const MostCredentials = 256

// Topologies of an area.
const (
	TopologyAuto   = "auto"   // the hub finds out which of the others it is
	TopologyDirect = "direct" // devices speak to the hub; they lead themselves while it cannot be reached
	TopologyLocal  = "local"  // one of the devices always leads; the others speak to it
)

// Modes of an area, and what happens to what sounds when a lease cannot be
// renewed.
const (
	ModeAvailable = "available" // each connected part takes turns by itself
	ModeStrict    = "strict"    // only a part with a majority sounds
	PolicyStop    = "stop"      // silent at the end of the lease
	PolicyFinish  = "finish"    // the lease covers the announcement
)

// Peer is what a device that can lead its area says of that, in its [Status].
type Peer struct {
	Rev      uint64 `json:"rev"`                // of the roster document that it has; 0: none
	Addr     string `json:"addr"`               // where its membership listens, address and port
	Net      string `json:"net"`                // its network, as a prefix: devices of one can hear each other
	Priority int    `json:"priority,omitempty"` // -100 to 100; lower ones lead first
	Clips    string `json:"clips,omitempty"`    // where its clips are given to neighbours, address and port; empty: nowhere
}

func (p *Peer) check() error {
	const what = "status: peers"
	if p == nil {
		return nil
	}
	if p.Rev > MaxCounter || p.Priority < -100 || p.Priority > 100 {
		return Errorf(CodeInvalid, "%s: rev or priority is out of range", what)
	}
	if err := addrPort(p.Addr); err != nil {
		return Errorf(CodeInvalid, "%s: addr %s", what, err)
	}
	if err := addrPort(p.Clips); err != nil {
		return Errorf(CodeInvalid, "%s: clips %s", what, err)
	}
	if _, err := netip.ParsePrefix(p.Net); p.Net != "" && err != nil {
		return Errorf(CodeInvalid, "%s: net %s is no prefix", what, quote(p.Net))
	}
	return nil
}

// Peers is the roster document of an area, sent to each of its members on
// [PeersTopic]: all that they need to go on without the hub. It is a secret,
// since it has the key of the area.
type Peers struct {
	V             int          `json:"v"`
	Rev           uint64       `json:"rev"` // grows with each change
	Area          Name         `json:"area"`
	Name          string       `json:"name"` // of the area, for people
	Hub           string       `json:"hub"`  // name of the hub that made it; of one of several nodes "hub"
	HubIndex      uint64       `json:"hub_index"`
	Web           string       `json:"web,omitempty"` // of the hub: scheme and port of its web listener, as in [Leader]; empty: none
	Topology      string       `json:"topology"`      // TopologyLocal or TopologyDirect
	Mode          string       `json:"mode"`
	LeaseMs       int64        `json:"lease_ms"`
	Policy        string       `json:"policy"`
	ClassicHoldMs int64        `json:"classic_hold_ms"`
	DumbHoldMs    int64        `json:"dumb_hold_ms"`
	BargeMs       int64        `json:"emergency_barge_ms,omitempty"` // how long an emergency waits for a revoked holder; 0: as long as it must
	Volume        int          `json:"volume"`                       // 0 to 100
	Locations     []PeerPlace  `json:"locations"`
	Open          bool         `json:"open"` // nobody has to sign in at the hub, and so at no leader
	Key           []byte       `json:"key"`  // AreaKeySize bytes, base64 on the wire
	Members       []Member     `json:"members"`
	Credentials   []Credential `json:"credentials"`
	People        []Person     `json:"people,omitempty"` // who may announce in the area, at most MostPeople
}

// PeerPlace is a location of the area.
type PeerPlace struct {
	ID   LocationID `json:"id"`
	Name string     `json:"name"`
}

// Member is a device that may lead the area. Its index is its own for ever.
type Member struct {
	Device   DeviceID `json:"device"`
	MID      string   `json:"mid"`
	Index    uint64   `json:"index"`    // FirstMember to 63: its terms are congruent to it mod 64
	Priority int      `json:"priority"` // as it told it; lower ones lead first
	Addr     string   `json:"addr"`     // as it told it; empty: not told
	Clips    string   `json:"clips"`    // as it told it; empty: not told
}

// Credential lets somebody sign in at a leader as at the hub.
type Credential struct {
	Name string `json:"name"`
	Hash string `json:"hash"` // of the password, in the PHC form
}

// Person is a user, or a program with an API token, that may sign in at a leader as
// at the hub. Nothing of it is a secret but to who guesses: a password that a person
// chose has to stand that.
type Person struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"`                 // PersonUser or PersonToken
	Hash       string `json:"hash"`                 // of a user's password, in the PHC form; of a token, SHA-256 in hex
	Role       string `json:"role"`                 // what it may do at the leader: "announcer" or "operator"
	Everywhere bool   `json:"everywhere,omitempty"` // the role counts in all areas
	ExpiresMs  int64  `json:"expires_ms,omitempty"` // when a token runs out, since 1970; 0: never
}

// Kinds of a [Person].
const (
	PersonUser  = "user"
	PersonToken = "token"
)

// MostPeople bounds the people of a roster document.
const MostPeople = 64

// Lease is the area's configured lease.
func (p Peers) Lease() time.Duration { return time.Duration(p.LeaseMs) * time.Millisecond }

// Member finds a device in the document.
func (p Peers) Member(d DeviceID) (Member, bool) {
	for _, m := range p.Members {
		if m.Device == d {
			return m, true
		}
	}
	return Member{}, false
}

// Encode writes p; empty lists are [], not null.
func (p Peers) Encode() []byte {
	p.V = 1
	p.Locations, p.Members, p.Credentials = list(p.Locations), list(p.Members), list(p.Credentials)
	return encode(p)
}

// ParsePeers reads a roster document, and checks it whole: a device that
// misread it would lead where it must not. Its error is an [Error].
func ParsePeers(b []byte) (Peers, error) {
	var p Peers
	if err := decodeLoose("peers", b, MaxPeers, &p); err != nil {
		return Peers{}, err
	}
	if err := p.check(); err != nil {
		return Peers{}, Errorf(CodeInvalid, "peers: %s", err)
	}
	return p, nil
}

func (p Peers) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	oneOf := func(field, got string, known ...string) {
		for _, k := range known {
			if got == k {
				return
			}
		}
		bad("%s %s is not known", field, quote(got))
	}
	within := func(field string, n, least, most int64) {
		if n < least || n > most {
			bad("%s %d is not %d to %d", field, n, least, most)
		}
	}
	oneOf("topology", p.Topology, TopologyLocal, TopologyDirect)
	oneOf("mode", p.Mode, ModeAvailable, ModeStrict)
	oneOf("policy", p.Policy, PolicyStop, PolicyFinish)
	within("v", int64(p.V), 1, 1)
	within("rev", int64(min(p.Rev, MaxCounter+1)), 1, MaxCounter)
	within("hub_index", int64(min(p.HubIndex, 64)), 0, FirstMember-1)
	within("lease_ms", p.LeaseMs, 1000, time.Hour.Milliseconds())
	within("classic_hold_ms", p.ClassicHoldMs, 0, 24*time.Hour.Milliseconds())
	within("dumb_hold_ms", p.DumbHoldMs, 0, 24*time.Hour.Milliseconds())
	within("emergency_barge_ms", p.BargeMs, 0, 24*time.Hour.Milliseconds())
	within("volume", int64(p.Volume), 0, 100)
	within("key", int64(len(p.Key)), AreaKeySize, AreaKeySize)
	within("members", int64(len(p.Members)), 0, MostMembers)
	within("people", int64(len(p.People)), 0, MostPeople)
	for _, who := range p.People {
		oneOf("kind", who.Kind, PersonUser, PersonToken)
		within("expires_ms", who.ExpiresMs, 0, MaxCounter)
		if who.Name == "" || len(who.Name) > maxSensor || who.Hash == "" || len(who.Hash) > 512 || who.Role == "" || len(who.Role) > maxSensor {
			bad("%s is out of range", quote(who.Name))
		}
	}
	within("credentials", int64(len(p.Credentials)), 0, MostCredentials)
	if u, err := url.Parse(p.Web); len(p.Web) > maxSensor || err != nil || p.Web != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Port() == "") {
		bad("web %s is no scheme and port", quote(p.Web))
	}
	if !IsID(string(p.Area)) || p.Hub == "" || len(p.Hub) > maxSensor || len(p.Name) > maxSensor {
		bad("area %s, hub %s or name is out of range", quote(string(p.Area)), quote(p.Hub))
	}
	for _, l := range p.Locations {
		if !IsID(string(l.ID)) || len(l.Name) > maxSensor {
			bad("location %s is out of range", quote(string(l.ID)))
		}
	}
	for _, c := range p.Credentials {
		if c.Name == "" || len(c.Name) > maxSensor || c.Hash == "" || len(c.Hash) > 512 {
			bad("the credential of %s is out of range", quote(c.Name))
		}
	}
	return errors.Join(append(errs, p.checkMembers()...)...)
}

func (p Peers) checkMembers() (errs []error) {
	devices, indices := map[DeviceID]bool{}, map[uint64]bool{}
	for _, m := range p.Members {
		switch {
		case !IsID(string(m.Device)) || len(m.MID) > maxSensor || m.Index < FirstMember || m.Index >= FirstMember+MostMembers:
			errs = append(errs, fmt.Errorf("member %s is out of range", quote(string(m.Device))))
		case devices[m.Device] || indices[m.Index]:
			errs = append(errs, fmt.Errorf("member %s, or its index %d, stands twice", quote(string(m.Device)), m.Index))
		case addrPort(m.Addr) != nil:
			errs = append(errs, fmt.Errorf("member %s: addr %w", quote(string(m.Device)), addrPort(m.Addr)))
		case addrPort(m.Clips) != nil:
			errs = append(errs, fmt.Errorf("member %s: clips %w", quote(string(m.Device)), addrPort(m.Clips)))
		}
		devices[m.Device], indices[m.Index] = true, true
	}
	return errs
}

// addrPort checks where somebody listens; empty: not told.
func addrPort(s string) error {
	if s == "" {
		return nil
	}
	if _, err := netip.ParseAddrPort(s); err != nil {
		return fmt.Errorf("%s is no address and port", quote(s))
	}
	return nil
}

// list is l, not nil.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
