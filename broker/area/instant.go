package area

import (
	"fmt"
	"strings"
	"time"
)

// Instant is a point on one process' monotonic clock, in nanoseconds. Instants
// of two processes cannot be compared. Leases are counted in instants, never in
// wall time, so that a step of the wall clock cannot end or stretch one.
type Instant int64

// Add is the instant d later.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Sub is the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// Never is later than every instant that a clock shows.
const Never Instant = 1<<63 - 1

// Time is wall time as it is written in every answer: RFC 3339, UTC, three
// digits of milliseconds.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// At is t in the form of the wire, cut to milliseconds.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// String is the form of the wire.
func (t Time) String() string { return t.UTC().Format(timeLayout) }

// MarshalJSON writes t as text, the zero time as null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + t.String() + `"`), nil
}

// UnmarshalJSON reads RFC 3339 text with any number of digits and any zone.
func (t *Time) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s == "null" {
		*t = Time{}
		return nil
	}
	u, err := time.Parse(time.RFC3339, strings.Trim(s, `"`))
	if err != nil {
		return Errorf(CodeInvalid, "%s is not an RFC 3339 instant such as %q", quote(s), timeLayout)
	}
	*t = At(u)
	return nil
}

// Duration is a length of time as people write it: "60s", "5m", "1h30m".
type Duration time.Duration

// String is the shortest text that reads back as d.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalJSON writes d as text.
func (d Duration) MarshalJSON() ([]byte, error) { return []byte(`"` + d.String() + `"`), nil }

// UnmarshalJSON reads text such as "60s"; a bare number is refused, since its
// unit is not known.
func (d *Duration) UnmarshalJSON(b []byte) error {
	s := string(b)
	if len(s) < 2 || s[0] != '"' {
		return Errorf(CodeInvalid, "duration %s is not text such as \"60s\"", quote(s))
	}
	return d.UnmarshalText([]byte(s[1 : len(s)-1]))
}

// UnmarshalText reads "60s" and the like, for configuration files and flags.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return Errorf(CodeInvalid, "duration %s is not a number with a unit, such as \"60s\"", quote(string(b)))
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes d as text.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Milliseconds is d on the wire.
func milliseconds(d time.Duration) int64 { return d.Milliseconds() }

// fromMillis reads a duration of the wire and refuses what no clock can hold.
func fromMillis(what string, ms int64) (time.Duration, error) {
	const most = int64(366 * 24 * time.Hour / time.Millisecond)
	if ms < 0 || ms > most {
		return 0, fmt.Errorf("%s %d is not 0 to %d ms", what, ms, most)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
