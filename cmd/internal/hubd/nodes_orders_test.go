package hubd

import (
	"slices"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// Whose orders are taken over: of a node that was seen, soon after it is gone; of one
// that never was, after the node timeout; of none while nobody can be reached.
func TestWhoIsGone(t *testing.T) {
	a := absent{seen: 5 * time.Second, unseen: 20 * time.Second}
	begin := time.Unix(1000, 0)
	for i, c := range []struct {
		at        time.Duration
		live      string
		connected bool
		want      []string
	}{
		{0, "ab", true, nil},
		{10 * time.Second, "ab", true, nil}, // c is not seen
		{20 * time.Second, "a", true, []string{"c"}},
		{24 * time.Second, "a", true, []string{"c"}},
		{25 * time.Second, "a", true, []string{"b", "c"}},
		{26 * time.Second, "", false, nil},
		{40 * time.Second, "a", true, nil}, // from here on anew
		{45 * time.Second, "a", true, []string{"b"}},
		{46 * time.Second, "ab", true, nil},
		{60 * time.Second, "ab", true, []string{"c"}},
	} {
		var live []backplane.Node
		for _, n := range c.live {
			live = append(live, backplane.Node{Name: string(n)})
		}
		if got := a.over([]string{"b", "c"}, live, c.connected, begin.Add(c.at)); !slices.Equal(got, c.want) {
			t.Errorf("step %d, after %v: %v, want %v", i, c.at, got, c.want)
		}
	}
}
