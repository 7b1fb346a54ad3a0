package peers

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// book is what is kept of one area. It is a value: a change is made on a copy,
// which takes the place of the old one once it is durable.
type book struct {
	V       int             `json:"v"`
	Key     []byte          `json:"key"`
	Rev     uint64          `json:"rev"`
	Sum     string          `json:"sum"`           // of the document of that revision
	Doc     json.RawMessage `json:"doc,omitempty"` // that document; older records have none
	Entries []entry         `json:"members"`

	raw []byte // as the table has it; nil: it is in none
}

// entry is a device that is a member, or was: then it keeps its index.
type entry struct {
	Device   area.DeviceID `json:"device"`
	MID      string        `json:"mid"`
	Index    uint64        `json:"index"`
	Priority int           `json:"priority"`
	Addr     string        `json:"addr"`
	Net      string        `json:"net"`
	Clips    string        `json:"clips,omitempty"`
	Left     bool          `json:"left,omitempty"`
}

var errFull = errors.New("all indices are given")

func readBook(b []byte) (book, error) {
	var k book
	if err := json.Unmarshal(b, &k); err != nil {
		return book{}, err
	}
	if k.V != 1 || len(k.Key) != area.AreaKeySize || k.Rev > area.MaxCounter {
		return book{}, errors.New("version, key or revision is out of range")
	}
	seen := map[uint64]bool{}
	for _, e := range k.Entries {
		if !area.IsID(string(e.Device)) || e.Index < area.FirstMember || e.Index >= area.FirstMember+area.MostMembers || seen[e.Index] {
			return book{}, fmt.Errorf("index %d of %s is out of range, or stands twice", e.Index, e.Device)
		}
		seen[e.Index] = true
	}
	k.raw = b
	return k, nil
}

func (k book) encode() []byte {
	k.V = 1
	b, err := json.Marshal(k)
	if err != nil {
		panic("peers: " + err.Error()) // numbers and texts always have JSON
	}
	return b
}

// join makes a device a member, as it says of itself, or changes what is known
// of it.
func (k *book) join(d area.DeviceID, mid string, p area.Peer) error {
	now := entry{Device: d, MID: mid, Priority: p.Priority, Addr: p.Addr, Net: p.Net, Clips: p.Clips}
	if i := k.find(d); i >= 0 {
		now.Index = k.Entries[i].Index
		k.Entries = slices.Clone(k.Entries)
		k.Entries[i] = now
		return nil
	}
	index, ok := k.free()
	if !ok {
		return errFull
	}
	now.Index = index
	k.Entries = append(slices.Clone(k.Entries), now)
	return nil
}

// has tells whether join would change nothing.
func (k *book) has(d area.DeviceID, mid string, p area.Peer) bool {
	e, is := k.member(d)
	return is && e == entry{Device: d, MID: mid, Index: e.Index, Priority: p.Priority, Addr: p.Addr, Net: p.Net, Clips: p.Clips}
}

// leave ends a device's membership.
func (k *book) leave(d area.DeviceID) {
	if i := k.find(d); i >= 0 {
		k.Entries = slices.Clone(k.Entries)
		k.Entries[i].Left = true
	}
}

func (k *book) find(d area.DeviceID) int {
	return slices.IndexFunc(k.Entries, func(e entry) bool { return e.Device == d })
}

// member is the entry of a device that is one.
func (k *book) member(d area.DeviceID) (entry, bool) {
	i := k.find(d)
	if i < 0 || k.Entries[i].Left {
		return entry{}, false
	}
	return k.Entries[i], true
}

// inhabited tells whether there is a member.
func (k *book) inhabited() bool {
	return slices.ContainsFunc(k.Entries, func(e entry) bool { return !e.Left })
}

// free is the lowest index that nobody ever had.
func (k *book) free() (uint64, bool) {
	for n := uint64(area.FirstMember); n < area.FirstMember+area.MostMembers; n++ {
		if !slices.ContainsFunc(k.Entries, func(e entry) bool { return e.Index == n }) {
			return n, true
		}
	}
	return 0, false
}

// together tells whether two members on different machines are on one network,
// which is not the loopback one.
func (k *book) together() bool {
	first := map[netip.Prefix]string{} // machine that told the network
	for _, e := range k.Entries {
		n, err := netip.ParsePrefix(e.Net)
		if err != nil || e.Left || e.MID == "" || n.Addr().IsLoopback() {
			continue
		}
		n = n.Masked()
		if mid, told := first[n]; told && mid != e.MID {
			return true
		}
		first[n] = e.MID
	}
	return false
}

// topology is what the setting of an area comes to.
func (k *book) topology(setting string) string {
	switch {
	case setting == area.TopologyLocal, setting != area.TopologyDirect && k.together():
		return area.TopologyLocal
	}
	return area.TopologyDirect
}

// document is the roster document: of is what the area is like.
func (k *book) document(of Area) area.Peers {
	p := of.Peers
	p.Rev, p.Key, p.Topology = k.Rev, k.Key, k.topology(of.Topology)
	for _, e := range k.Entries {
		if !e.Left {
			p.Members = append(p.Members, area.Member{Device: e.Device, MID: e.MID, Index: e.Index, Priority: e.Priority, Addr: e.Addr, Clips: e.Clips})
		}
	}
	slices.SortFunc(p.Members, func(x, y area.Member) int { return cmp.Compare(x.Index, y.Index) })
	if len(p.Credentials) > area.MostCredentials {
		p.Credentials = p.Credentials[:area.MostCredentials]
	}
	if len(p.People) > area.MostPeople { // those who may do least
		p.People = p.People[:area.MostPeople]
	}
	return p
}

// revise gives the document a new revision where it is another one than that of
// the last, and tells whether it did. A revision is never below now, in seconds
// since 1970: a hub that has lost its data is not behind what its devices have.
func (k *book) revise(of Area, now int64) bool {
	p := k.document(of)
	p.Rev = 0
	sum := sha256.Sum256(p.Encode())
	text := hex.EncodeToString(sum[:])
	revised := text != k.Sum
	if revised {
		k.Sum, k.Rev = text, max(k.Rev+1, uint64(max(0, now)))
	}
	if revised || len(k.Doc) == 0 {
		p.Rev = k.Rev
		k.Doc = p.Encode()
	}
	return revised
}
