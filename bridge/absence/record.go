package absence

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// record is what is known of an owner.
type record struct {
	Left  []Left  `json:"left,omitempty"`  // in the order in which it was kept
	Taken []taken `json:"taken,omitempty"` // the oldest first
}

// taken is a lost connection of which another one has what it has left.
type taken struct {
	Conn string    `json:"conn"`
	At   time.Time `json:"at"`
}

// Bounds of what is known to be taken: for so long may another node still find out that
// the connection is lost.
const (
	takenTime = time.Hour
	mostTaken = 32
)

func parse(value []byte) (r record, err error) {
	if value == nil {
		return r, nil
	}
	if err := json.Unmarshal(value, &r); err != nil {
		return r, fmt.Errorf("record of an owner: %w", err)
	}
	return r, nil
}

// encode is the inverse of parse.
func (r *record) encode() []byte {
	if len(r.Left)+len(r.Taken) == 0 {
		return nil
	}
	b, _ := json.Marshal(r) // plain fields
	return b
}

// has tells whether what a connection has left was taken.
func (r *record) has(conn string) bool {
	return slices.ContainsFunc(r.Taken, func(t taken) bool { return t.Conn == conn })
}

// newer tells whether something newer is known of a connection.
func (r *record) newer(than Left) bool {
	return slices.ContainsFunc(r.Left, func(l Left) bool { return l.Conn == than.Conn && !l.At.Before(than.At) })
}

// first is what may be taken.
func (r *record) first(fits func(Left) bool, more []Left, since time.Time) (Left, bool) {
	for _, l := range r.Left {
		if l.At.After(since) && fits(l) {
			return l, true
		}
	}
	for _, l := range more {
		if !r.has(l.Conn) {
			return l, true
		}
	}
	return Left{}, false
}

func (r *record) take(conn string, now time.Time) {
	r.Left = slices.DeleteFunc(r.Left, func(l Left) bool { return l.Conn == conn })
	r.Taken = append(r.Taken, taken{conn, now})
	r.Taken = r.Taken[max(0, len(r.Taken)-mostTaken):]
}

// forget forgets what is too old; n is how much of it was left and not taken.
func (r *record) forget(now time.Time, keep time.Duration) (n int, changed bool) {
	was, done := len(r.Left), len(r.Taken)
	r.Left = slices.DeleteFunc(r.Left, func(l Left) bool { return now.Sub(l.At) > keep })
	r.Taken = slices.DeleteFunc(r.Taken, func(t taken) bool { return now.Sub(t.At) > takenTime })
	n = was - len(r.Left)
	return n, n > 0 || len(r.Taken) < done
}
