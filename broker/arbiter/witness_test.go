package arbiter

import (
	"fmt"
	"slices"
	"testing"
	"time"

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
		func() { w.heard(silent, 0) },
		func() { w.heard(sound, 0); w.heard(sound, 0) },
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
	none.heard(sound, 0)
	none.said(stale)
}

// lates are by how much the reports that a witness was told of were late.
type lates struct{ list []int64 }

func (l *lates) Note(_ area.Name, r proof.Record) { l.list = append(l.list, r.Late) }

// TestALateReportIsKnownToBeLate: it is compared with the quickest message of the
// same start of the device, which may be a want.
func TestALateReportIsKnownToBeLate(t *testing.T) {
	l := &lates{}
	w := watcher{to: l, name: "north"}
	at := func(ms int64) area.Instant { return area.Instant(ms * int64(time.Millisecond)) }
	want := func(boot uint64, at int64) Heard {
		return Heard{Device: "d1", Claim: area.Claim{Op: area.OpWant, Boot: boot, At: at}}
	}
	done := func(boot uint64, token area.Token, at int64) Heard {
		return Heard{Device: "d1", Claim: area.Claim{Op: area.OpDone, Boot: boot, Token: token, Sound: &area.Sound{AtMs: at, FirstMs: 1, LastMs: 2}}}
	}
	w.heard(want(1, 100), at(5100))
	w.heard(want(1, 200), at(5190)) // the quickest: 10 ms less underway
	w.heard(want(1, 300), at(5310))
	w.heard(Heard{Device: "d1", Claim: area.Claim{Op: area.OpWant, Boot: 1}}, at(5311)) // it does not say
	w.heard(done(1, 7, 1000), at(11_000))                                               // 5,010 ms later than it could have been
	w.heard(done(2, 8, 100), at(12_000))                                                // another start: nothing to compare with
	w.heard(done(2, 9, 200), at(12_095))                                                // and the quickest of it
	if want := []int64{5010, 0, 0}; !slices.Equal(l.list, want) {
		t.Errorf("got %d, want %d", l.list, want)
	}
	for i := range 3 * mostClocks {
		w.heard(Heard{Device: area.DeviceID(fmt.Sprint("d", i)), Claim: area.Claim{Op: area.OpWant, At: 1}}, at(1))
	}
	if n := len(w.clocks); n > mostClocks {
		t.Errorf("%d clocks are kept", n)
	}
}
