package cli

import (
	"strings"
	"testing"

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
