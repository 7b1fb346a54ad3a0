package api

import (
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
)

// Check implements Proofs: an area with one overlap.
func (s *site) Check(a area.Name, since time.Time) (proof.Verdict, error) {
	from, to := area.At(since.Add(time.Minute)), area.At(noon)
	play := proof.Play{Device: "gate-1", Token: 64_000_001, Work: "o-1", From: from, To: to}
	return proof.Verdict{
		Area: a, Since: area.At(since), From: &from, To: &to, Counts: proof.Counts{Records: 9, Plays: 2, Measured: 2, Overlaps: 1, Gaps: 1, GapMs: 40},
		Chain: strings.Repeat("ab", 32), Broken: "0000000000000001.jsonl, line 2: no record",
		Nodes:    []proof.Strand{{Node: "hub-1", Own: true, Records: 5, From: &from, To: &to}, {Node: "hub-2", Records: 4, Known: &to, Incomplete: true, Behind: 2, Broken: "x", ClockMs: -3, ClockErrorMs: 1}},
		Findings: []proof.Finding{{Is: proof.Overlap, Declared: proof.Barge, At: to, Device: "gate-2", Ms: 400, Plays: []proof.Play{play, play}}, {Is: proof.Intruder, At: to, Device: "gate-9"}},
		Declared: []proof.Declaration{{Is: proof.Barge, At: to, Device: "gate-2", Over: "gate-1", Token: 64_000_001, Work: "o-1"}, {Is: proof.Split, At: to, To: &to, Device: "gate-1", Term: 80, Own: 128}, {Is: proof.PerNode, At: to, Node: "hub-2", Own: 129}},
	}, nil
}

func TestProof(t *testing.T) {
	w := newWorld(t)
	_, out := w.want(200, "GET", "/areas/north/proof", "")
	if !strings.Contains(out, `"since":"`+area.At(noon.Add(-24*time.Hour)).String()) || !strings.Contains(out, `"one_voice":false`) || !strings.Contains(out, `"owed":2`) {
		t.Error(out)
	}
	_, out = w.want(200, "GET", "/areas/north/proof?since=90m", "")
	if !strings.Contains(out, `"since":"`+area.At(noon.Add(-90*time.Minute)).String()) {
		t.Error(out)
	}
}

func TestAreaKey(t *testing.T) {
	w := newWorld(t)
	if _, out := w.want(200, "GET", "/areas/north/key", ""); !strings.Contains(out, `{"area":"north","key":"AQEB`) {
		t.Error(out)
	}
	if _, out := w.want(200, "POST", "/areas/north/key", ""); !strings.Contains(out, `"key":"AgIC`) {
		t.Error(out)
	}
	w.want(area.CodeNotFound, "GET", "/areas/west/key", "")
}
