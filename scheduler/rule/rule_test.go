package rule

import (
	"testing"
	"time"
)

func TestEvery(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		d           time.Duration
		after, want string
	}{
		{30 * time.Second, "2026-11-21T10:00:00Z", "2026-11-21T10:00:30Z"},
		{30 * time.Second, "2026-11-21T10:00:29.999999Z", "2026-11-21T10:00:30Z"},
		{1500 * time.Millisecond, "1970-01-01T00:00:01Z", "1970-01-01T00:00:01.5Z"},
		{time.Minute, "1969-12-31T23:59:30Z", "1970-01-01T00:00:00Z"},
		{24 * time.Hour, "0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"},
	} {
		r, err := Every(c.d)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Next(at(c.after)); !got.Equal(at(c.want)) {
			t.Errorf("every %s after %s: got %s, want %s", c.d, c.after, got, c.want)
		}
	}
	for _, d := range []time.Duration{0, -time.Second, 999 * time.Millisecond, time.Second + 1, MaxEvery + time.Second} {
		if _, err := Every(d); err == nil {
			t.Errorf("every %s is not refused", d)
		}
	}
}

func TestOnce(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	r := Once(at)
	if got := NextN(r, at.Add(-time.Hour), 5); len(got) != 1 || !got[0].Equal(at) {
		t.Errorf("before: got %v", got)
	}
	if got := r.Next(at); !got.IsZero() {
		t.Errorf("at the instant: got %s", got)
	}
}

func TestZone(t *testing.T) {
	for _, name := range []string{"", "UTC", "Europe/London", "America/Argentina/Buenos_Aires"} {
		if _, err := Zone(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"Local", "Europe", "Europe/Nowhere", "../etc/passwd", "/etc/passwd", "a\x00b", `..\x`, " "} {
		if z, err := Zone(name); err == nil {
			t.Errorf("%q: got %v", name, z)
		}
	}
}
