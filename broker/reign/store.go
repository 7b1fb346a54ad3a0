package reign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Head says whose an area is. The zero value is that of an area that nobody ever
// had.
type Head struct {
	Owner   string `json:"owner,omitempty"` // node; empty: nobody has it
	Life    string `json:"life,omitempty"`  // of the owner's process
	Counter uint64 `json:"counter"`         // grows by one with each write: no two heads are equal
	Term    uint64 `json:"term"`            // highest term of the area's arbiters
	Mark    string `json:"mark,omitempty"`  // in place of owner and life: of the process that found no head, and made this one
	TTLMs   int64  `json:"ttl_ms"`          // for how long the owner may reign after it has sent this
}

func (h Head) encode() string {
	b, err := json.Marshal(h)
	if err != nil {
		panic("reign: a head does not encode: " + err.Error())
	}
	return string(b)
}

// parseHead reads a head; no text is that of an area that nobody ever had.
func parseHead(text string) (h Head, err error) {
	if text == "" {
		return Head{}, nil
	}
	if err = json.Unmarshal([]byte(text), &h); err != nil {
		return Head{}, fmt.Errorf("reign: read a head: %w", err)
	}
	if h.TTLMs < 0 || h.TTLMs > (24*time.Hour).Milliseconds() || h.Term > area.MaxCounter || h.Counter > area.MaxCounter {
		return Head{}, errors.New("reign: a number of a head is out of range")
	}
	return h, nil
}

// ErrAway is what a store answers that cannot be reached: whether a write was done
// is not known.
var ErrAway = errors.New("reign: the ledger is away")

// Store is the ledger that the nodes share. Its methods may block for as long as
// the ledger takes to answer, and are called one at a time.
//
// Each answers the number of the connection that it went over, above 0: it is
// another one whenever the connection was broken since the call before.
type Store interface {
	// Heads reads the heads of the areas, empty where there is none. A ledger that
	// cannot be written answers an error here too.
	Heads(ctx context.Context, areas []area.Name) (heads []string, link uint64, err error)
	// Swap does each of the changes whose area has the head that it names, and
	// answers for each what became of it. After an error nobody knows.
	Swap(ctx context.Context, list []Change) (out []Result, link uint64, err error)
}

// Change is a write to the entry of an area, if it is as it was.
type Change struct {
	Area area.Name
	Was  string // the head that it must have; empty: none
	Head string
	Core []byte // the arbiter's record; nil: stays
	Led  []byte // the record of a leader; nil: stays

	// Link is the connection over which Was has been seen all the time: over another
	// one nothing is written. 0: over any.
	Link uint64
	Read bool // the result is to have the records
}

// Result is what became of a change.
type Result struct {
	Done  bool
	Found string // the head that was there
	Core  []byte // the records that were there, where they were asked for; nil: none
	Led   []byte
}
