package host

import (
	"slices"
	"testing"
)

// Nothing listens where nobody asked for it.
func TestListens(t *testing.T) {
	for addr, want := range map[string][]string{
		":1883":          {"127.0.0.1:1883", "127.0.0.1:0"},
		"10.0.0.5:1883":  {"10.0.0.5:1883", "10.0.0.5:0"},
		"0.0.0.0:1883":   {"0.0.0.0:1883", "0.0.0.0:0"},
		"[fd00::1]:1883": {"[fd00::1]:1883", "[fd00::1]:0"},
	} {
		if got := listens(addr, "127.0.0.1"); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", addr, got, want)
		}
	}
}
