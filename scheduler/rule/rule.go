package rule

import (
	"fmt"
	"strings"
	"time"
)

// Rule says when something comes due. Every Rule is an immutable value, safe
// for concurrent use.
type Rule interface {
	// Next is the first instant after the given one; the zero time where there is
	// none.
	Next(after time.Time) time.Time
}

// The range of a beat.
const (
	MinEvery = time.Second
	MaxEvery = 366 * 24 * time.Hour
)

// maxZone is longer than every name of a zone.
const maxZone = 64

// Zone is the time zone of an IANA name, such as Europe/London. Empty is UTC. The
// zones are those of the machine, unless the program has its own (package
// time/tzdata, 0.5 MB, which a small one leaves out).
// "Local" is refused: it would be another zone on another machine.
func Zone(name string) (*time.Location, error) {
	switch {
	case name == "":
		return time.UTC, nil
	case name == "Local" || len(name) > maxZone || strings.ContainsAny(name, "\x00\\"):
		return nil, fmt.Errorf("%q is not a time zone such as Europe/London", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time zone such as Europe/London", name)
	}
	return zone, nil
}

// Every comes due at each whole multiple of d since 1 January 1970 UTC, so that
// a restart does not shift it and two programs agree on it. d is [MinEvery] to
// [MaxEvery] and whole milliseconds.
func Every(d time.Duration) (Rule, error) {
	if d < MinEvery || d > MaxEvery || d%time.Millisecond != 0 {
		return nil, fmt.Errorf("%s is not whole milliseconds from %s to %s", d, MinEvery, MaxEvery)
	}
	return every(d.Milliseconds()), nil
}

// every is a beat in milliseconds.
type every int64

func (e every) Next(after time.Time) time.Time {
	ms := after.UnixMilli()
	past := ms % int64(e)
	if past < 0 {
		past += int64(e)
	}
	return time.UnixMilli(ms - past + int64(e)).UTC()
}

// Once comes due at t alone.
func Once(t time.Time) Rule { return once{t} }

type once struct{ at time.Time }

func (o once) Next(after time.Time) time.Time {
	if o.at.After(after) {
		return o.at
	}
	return time.Time{}
}

// NextN is the first n instants of r after the given one; fewer where r ends.
func NextN(r Rule, after time.Time, n int) []time.Time {
	var out []time.Time
	for len(out) < n {
		after = r.Next(after)
		if after.IsZero() {
			break
		}
		out = append(out, after)
	}
	return out
}
