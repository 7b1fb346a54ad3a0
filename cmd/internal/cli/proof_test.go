package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
)

// TestVerdictPromisesNoMoreThanWasMeasured: the first line says what is proved.
func TestVerdictPromisesNoMoreThanWasMeasured(t *testing.T) {
	for want, v := range map[string]proof.Verdict{
		"north: one voice\n": {OneVoice: true, Counts: proof.Counts{Records: 9, Plays: 3, Measured: 3}},
		"north: one voice in the 2 plays that were measured\n":   {OneVoice: true, Counts: proof.Counts{Records: 9, Plays: 3, Measured: 2, Unmeasured: 1}},
		"north: no overlap is known, and no play was measured\n": {OneVoice: true, Counts: proof.Counts{Records: 9, Plays: 3, Unmeasured: 3}},
		"north: nothing was recorded\n":                          {OneVoice: true},
		"north: NOT ONE VOICE\n":                                 {Counts: proof.Counts{Records: 9, Plays: 3, Measured: 3, Overlaps: 1}},
		"north: NOT ONE VOICE, but one per node: the ledger of the nodes was away, and the area is set to that\n": {
			Counts: proof.Counts{Records: 9, Plays: 3, Measured: 3, Overlaps: 1, PerNode: 2}, Findings: []proof.Finding{{Is: proof.Overlap, Declared: proof.PerNode}}},
		"north: NOT PROVED: the record was changed or damaged\n": {Broken: "1.jsonl, line 2: no record", Counts: proof.Counts{Records: 9, Overlaps: 1}},
	} {
		var out strings.Builder
		v.Area = "north"
		if err := printVerdict(&out, v); err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%q, %v; want %q", out.String(), err, want)
		}
	}
}

// An area that a node grants by itself says so, and so does what is declared of that.
func TestAnAreaThatIsGrantedPerNode(t *testing.T) {
	at := area.At(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC))
	var out strings.Builder
	if err := shownArea(area.Area{Leader: &area.Lead{Mode: area.LeaderHub, Host: "hub-1", Live: true, Alone: &at}}, "").print(&out); err != nil {
		t.Fatal(err)
	}
	if want := "since 2026-11-21T10:00:00.000Z: other nodes cannot be reached, and may grant to theirs"; !strings.Contains(out.String(), want) {
		t.Errorf("got %s, want %s", out.String(), want)
	}
	for want, d := range map[string]proof.Declaration{
		"node hub-1 by term 65, not over yet":                {Is: proof.PerNode, Node: "hub-1", Own: 65},
		"node hub-1 by term 65, to 2026-11-21T10:00:00.000Z": {Is: proof.PerNode, Node: "hub-1", Own: 65, To: &at},
	} {
		if got := declared(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
