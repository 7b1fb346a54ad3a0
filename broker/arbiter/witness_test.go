package arbiter

import (
	"fmt"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
)

// notes are what a witness was told.
type notes struct{ list []string }

func (n *notes) Note(a area.Name, r proof.Record) {
	n.list = append(n.list, fmt.Sprintf("%s %s %s %d", a, r.Is, r.Device, r.Token))
}

// TestWitness: what is recorded of what the area shows, says and hears. A report is
// recorded once, however often it is said.
func TestWitness(t *testing.T) {
	n := &notes{}
	w := watcher{to: n, name: "north"}
	busy := func(d area.DeviceID, token area.Token, intruders ...area.DeviceID) area.Busy {
		b := area.IdleBusy("north", 1, 1, 0)
		if d != "" {
			b.State, b.Holder, b.Token = area.Held, &d, &token
		}
		b.Intruders = intruders
		return b
	}
	sound := Heard{Device: "d1", Claim: area.Claim{Op: area.OpDone, Token: 7, Sound: &area.Sound{AtMs: 3, FirstMs: 1, LastMs: 2}}}
	silent := Heard{Device: "d1", Claim: area.Claim{Op: area.OpDone, Token: 6}}
	stale := Say{Device: "d4", Answer: area.Answer{Op: area.OpRevoke, Reason: area.ReasonStale, Token: 9}}
	steps := []func(){
		func() { w.shown(busy("", 0)) },
		func() { w.shown(busy("d1", 7)) },
		func() { w.shown(busy("d1", 7)) },
		func() { w.heard(silent) },
		func() { w.heard(sound); w.heard(sound) },
		func() { w.shown(busy("d2", 8, "d3")) },
		func() { w.said(stale); w.said(stale) },
		func() { w.said(Say{Device: "d4", Answer: area.Answer{Op: area.OpQueued}}) },
		func() { w.shown(busy("", 0, "d3")) },
		func() { w.shown(busy("", 0)) },
	}
	for _, step := range steps {
		step()
	}
	want := []string{
		"north grant d1 7", "north sound d1 7", "north free d1 7", "north grant d2 8", "north intruder d3 0",
		"north conflict d4 9", "north free d2 8", "north left d3 0",
	}
	if fmt.Sprint(n.list) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", n.list, want)
	}
	none := watcher{name: "north"}
	none.shown(busy("d1", 7))
	none.heard(sound)
	none.said(stale)
}
