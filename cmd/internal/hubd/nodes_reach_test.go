package hubd

import (
	"fmt"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/area"
)

func TestWhoReachesTheBroker(t *testing.T) {
	r := reach{short: 5 * time.Second, long: 20 * time.Second}
	for _, step := range []struct {
		at   int // seconds
		up   bool
		want bool
	}{
		{0, false, true}, {1, true, true}, // it starts
		{10, false, true}, {13, false, true}, {14, true, true}, // a short while
		{20, false, true}, {25, false, false}, {30, true, false}, {40, true, false}, // what was kept comes
		{45, false, false}, {46, true, false}, {65, true, false}, {66, true, true},
	} {
		if got := r.see(step.up, time.Unix(int64(step.at), 0)); got != step.want {
			t.Errorf("after %d s it reaches the broker: %t, want %t", step.at, got, step.want)
		}
	}

	var all reaches
	all.note("a", false)
	all.note("b", false)
	all.note("b", true)
	if all.of("a") || !all.of("b") || !all.of("c") {
		t.Errorf("gone are %v", all.gone)
	}
	all.keep([]backplane.Node{{Name: "b"}})
	if !all.of("a") { // another start of it
		t.Errorf("gone are %v", all.gone)
	}
}

// What a node that stands by has heard is handed in when it has the say, unless the one
// before had time to.
func TestWhatStandsBy(t *testing.T) {
	s := standby{long: 10 * time.Second}
	for i := range 2 * submitsMost {
		s.put(area.Message{Topic: "w", Payload: fmt.Append(nil, i)}, time.Unix(int64(i), 0))
	}
	got := s.take(time.Unix(2*submitsMost+4, 0))
	if len(got) != 6 || string(got[0].Payload) != fmt.Sprint(2*submitsMost-6) {
		t.Errorf("%d works are handed in: %v", len(got), got)
	}
	if got := s.take(time.Unix(2*submitsMost, 0)); len(got) != 0 {
		t.Errorf("handed in twice: %v", got)
	}
	for i := range 2 * submitsMost {
		s.put(area.Message{Topic: "w", Payload: fmt.Append(nil, i)}, time.Unix(0, 0))
	}
	if got := s.take(time.Unix(1, 0)); len(got) != submitsMost {
		t.Errorf("%d works of one moment are kept", len(got))
	}
}
