package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tacet-hub/tacet/broker/area"
)

// Kind is what a record says.
type Kind string

// The kinds of records.
const (
	Started  Kind = "start"    // the hub begins to write
	Ended    Kind = "end"      // it stops, in order
	Segment  Kind = "segment"  // the first line of a file: Prev is the sum of the line before it
	Granted  Kind = "grant"    // Device has the area under Token
	Freed    Kind = "free"     // it has not any more
	Sounded  Kind = "sound"    // Device tells when it sounded under Token
	Intruder Kind = "intruder" // Device sounds while the area is another's
	Left     Kind = "left"     // the intruder is silent
	Conflict Kind = "conflict" // Device says that it plays under a token that gives no right
	Told     Kind = "told"     // the leader told that Device has played Work; what it has recorded of that may be to come
	Missing  Kind = "missing"  // Count records could not be written

	// What is declared: it may make two devices sound at once, and is meant to.
	Barge Kind = "barge" // Device, an emergency, has the area under Token, and did not wait for Over, which did not answer
	Split Kind = "split" // the hub arbitrates by the term Own, and the silent leader Device may by Term
	Whole Kind = "whole" // Device arbitrates by Term, and the hub does not: the split is over

	PerNode Kind = "per_node" // Node grants to its own devices by the term Own, since the ledger of the nodes is away; others may
	Joined  Kind = "joined"   // Node does not any more, and nothing that it granted is left
)

// Record is one line. Zero fields are left out of it.
type Record struct {
	N      uint64        `json:"n"` // from 1, without holes
	T      int64         `json:"t"` // ms since 1970, the hub's clock
	Is     Kind          `json:"is"`
	Node   string        `json:"node,omitempty"`
	Device area.DeviceID `json:"device,omitempty"`
	Token  area.Token    `json:"token,omitempty"`
	Work   area.WorkID   `json:"work,omitempty"`
	Over   area.DeviceID `json:"over,omitempty"`   // of a barge
	Term   uint64        `json:"term,omitempty"`   // of a split, and of its end
	Own    uint64        `json:"own,omitempty"`    // of a split, and of a node by itself
	Boot   uint64        `json:"boot,omitempty"`   // of a sound: the start whose clock it is
	At     int64         `json:"at,omitempty"`     // of a sound: when it was told, ms of the device's clock
	Late   int64         `json:"late,omitempty"`   // same: by how many ms its message was slower than the quickest of that start
	First  int64         `json:"first,omitempty"`  // same: the first sample
	Last   int64         `json:"last,omitempty"`   // same: the last sample
	Result area.Result   `json:"result,omitempty"` // of a sound
	Count  uint64        `json:"count,omitempty"`
	Prev   string        `json:"prev,omitempty"`
}

// sum is a link of the chain.
type sum [sha256.Size]byte

func (s sum) String() string { return hex.EncodeToString(s[:]) }

const chainKey = `,"chain":"`

// line is r as it stands in the file, and its sum, which follows that of the line
// before.
func line(r Record, before sum) ([]byte, sum) {
	body, err := json.Marshal(r)
	if err != nil {
		panic("proof: " + err.Error()) // numbers and texts always have JSON
	}
	s := follow(before, body)
	out := append(body[:len(body)-1], chainKey...)
	out = hex.AppendEncode(out, s[:])
	return append(out, '"', '}', '\n'), s
}

func follow(before sum, body []byte) sum {
	h := sha256.New()
	h.Write(before[:])
	h.Write(body)
	return sum(h.Sum(nil))
}

var errLine = errors.New("no record")

// parse reads a line without its end, and gives its own sum and the one that it
// should have behind before.
func parse(b []byte, before sum) (r Record, has, want sum, err error) {
	i := bytes.LastIndex(b, []byte(chainKey))
	if i < 0 || len(b) != i+len(chainKey)+2*sha256.Size+2 {
		return r, has, want, errLine
	}
	body := append(bytes.Clone(b[:i]), '}')
	if _, err := hex.Decode(has[:], b[i+len(chainKey):len(b)-2]); err != nil {
		return r, has, want, errLine
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, has, want, fmt.Errorf("%w: %w", errLine, err)
	}
	return r, has, follow(before, body), nil
}
