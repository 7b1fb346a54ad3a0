package proof

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// A barge and a split are declared: counted and dated, and no overlaps. Where two did
// sound at once it is one, and says by what it was declared.
func TestWhatIsDeclaredIsNoOverlap(t *testing.T) {
	grant := func(at int64, d area.DeviceID, token area.Token) Record {
		return Record{T: at, Is: Granted, Device: d, Token: token}
	}
	sound := func(d area.DeviceID, token area.Token, first, last int64) Record {
		return Record{T: last, Is: Sounded, Device: d, Token: token, Boot: 1, At: last, First: first, Last: last}
	}
	barge := Record{T: 5000, Is: Barge, Device: "b", Over: "a", Token: 2, Work: "fire"}
	split := Record{T: 5000, Is: Split, Device: "gate-1", Term: 80, Own: 128}
	whole := Record{T: 9000, Is: Whole, Device: "gate-1", Term: 144}
	for name, c := range map[string]struct {
		records          []Record
		barges, splits   uint64
		overlaps         uint64
		declared         Kind // of the overlap
		dated, unlimited int  // declarations, and those that have no end
	}{
		"a barge, and the other was silent": {[]Record{grant(1000, "a", 1), grant(5000, "b", 2), barge, sound("b", 2, 5010, 6000), sound("a", 1, 1010, 4000)}, 1, 0, 0, "", 1, 1},
		"a barge, and the other sounded":    {[]Record{grant(1000, "a", 1), grant(5000, "b", 2), barge, sound("b", 2, 5010, 6000), sound("a", 1, 1010, 5500)}, 1, 0, 1, Barge, 1, 1},
		"the same barge twice":              {[]Record{grant(5000, "b", 2), barge, barge}, 1, 0, 0, "", 1, 1},
		"a barge, and a third one sounded":  {[]Record{grant(1000, "c", 1), grant(5000, "b", 2), barge, sound("b", 2, 5010, 6000), sound("c", 1, 1010, 5500)}, 1, 0, 1, "", 1, 1},
		"a split, and nobody else sounded":  {[]Record{split, grant(6000, "a", 1), sound("a", 1, 6010, 7000), whole}, 0, 1, 0, "", 1, 0},
		"a split, and two sounded":          {[]Record{split, grant(6000, "a", 1), sound("a", 1, 6010, 7000), grant(6000, "b", 2), sound("b", 2, 6010, 7000)}, 0, 1, 1, Split, 1, 1},
		"after it two sounded":              {[]Record{split, whole, grant(9500, "a", 1), sound("a", 1, 9510, 9900), grant(9500, "b", 2), sound("b", 2, 9510, 9900)}, 0, 1, 1, "", 1, 0},
	} {
		var a Audit
		for _, r := range c.records {
			a.Take(r)
		}
		unlimited := 0
		for _, d := range a.declared {
			if d.To == nil {
				unlimited++
			}
		}
		got := a.seen()
		if got.Barges != c.barges || got.Splits != c.splits || got.Overlaps != c.overlaps || len(a.declared) != c.dated || unlimited != c.unlimited {
			t.Errorf("%s: %+v, declared %+v", name, got, a.declared)
		}
		if c.overlaps > 0 && a.findings[0].Declared != c.declared {
			t.Errorf("%s: the overlap is declared by %q, want %q", name, a.findings[0].Declared, c.declared)
		}
	}
	var many Audit
	for n := range area.Token(mostDeclared + 10) {
		many.Take(Record{T: 1, Is: Barge, Device: "b", Over: "a", Token: n + 1})
	}
	if len(many.declared) != mostDeclared || many.counts.Barges != mostDeclared+10 || many.declared[0].Token != 11 {
		t.Errorf("%d are kept of %d, the first is %d", len(many.declared), many.counts.Barges, many.declared[0].Token)
	}
}

// TestPerNode: a node that goes on by itself declares what sounds beside one of its own
// grants, by another arbiter, until it has joined the others; nothing else.
func TestPerNode(t *testing.T) {
	grant := func(at int64, d area.DeviceID, term uint64) Record {
		return Record{T: at, Is: Granted, Device: d, Token: area.MakeToken(term, uint64(at))}
	}
	sound := func(d area.DeviceID, term uint64, first, last int64) Record {
		return Record{T: last, Is: Sounded, Device: d, Token: area.MakeToken(term, uint64(first)), Boot: 1, At: last, First: first, Last: last}
	}
	alone := func(at int64, node string, own uint64) Record {
		return Record{T: at, Is: PerNode, Node: node, Own: own}
	}
	joined := Record{T: 9000, Is: Joined, Node: "hub-1"}
	begun := Record{T: 8000, Is: Started, Node: "hub-1"}
	two := []Record{grant(5000, "a", 128), grant(6000, "b", 65), sound("a", 128, 5000, 8000), sound("b", 65, 6000, 8500)}
	for name, c := range map[string]struct {
		records []Record
		times   uint64
		is      string // of each overlap, what declared it
	}{
		"nobody else sounded":                     {[]Record{alone(1000, "hub-1", 128), grant(5000, "a", 128), sound("a", 128, 5000, 8000), joined}, 1, "[]"},
		"another arbiter's beside one of its own": {append([]Record{alone(1000, "hub-1", 128)}, append(two, joined)...), 1, "[per_node]"},
		"by a further term":                       {append([]Record{alone(1000, "hub-1", 64), alone(2000, "hub-1", 128)}, two...), 1, "[per_node]"},
		"none of them its own":                    {append([]Record{alone(1000, "hub-1", 192)}, two...), 1, "[]!"},
		"both its own":                            {[]Record{alone(1000, "hub-1", 128), grant(5000, "a", 128), grant(6000, "b", 128), sound("a", 128, 5000, 8000), sound("b", 128, 6000, 8500)}, 1, "[]!"},
		"before it":                               {append(slices.Clone(two), alone(8600, "hub-1", 128)), 1, "[]!"},
		"after it":                                {append([]Record{alone(1000, "hub-1", 128), {T: 4000, Is: Joined, Node: "hub-1"}}, two...), 1, "[]!"},
		"it died, and what it granted went on":    {[]Record{alone(1000, "hub-1", 128), grant(7500, "a", 128), begun, grant(8200, "b", 65), sound("a", 128, 7500, 8500), sound("b", 65, 8200, 8600)}, 1, "[per_node]"},
	} {
		var a Audit
		for _, r := range c.records {
			a.Take(r)
		}
		list := []Kind{}
		undeclared := ""
		for _, f := range a.findings {
			if f.Declared == "" {
				undeclared = "!"
				continue
			}
			list = append(list, f.Declared)
		}
		if got := fmt.Sprint(list) + undeclared; got != c.is || a.counts.PerNode != c.times || a.declared[0].Node != "hub-1" {
			t.Errorf("%s: got %s, want %s; %d times, declared %+v", name, got, c.is, a.counts.PerNode, a.declared)
		}
	}
}

// A record of before there were declarations is read as it was, and goes on.
func TestARecordOfBeforeDeclarations(t *testing.T) {
	dir := t.TempDir()
	head, s := line(Record{N: 1, T: 1000, Is: Segment, Prev: sum{}.String()}, sum{})
	const old = `{"n":2,"t":1000,"is":"start","node":"hub-1","chain":"`
	before, s := line(Record{N: 2, T: 1000, Is: Started, Node: "hub-1"}, s)
	if string(before[:len(old)]) != old {
		t.Fatalf("a record without a declaration is written as %s, want it as ever: %s", before, old)
	}
	next, _ := line(Record{N: 3, T: 2000, Is: Split, Device: "gate-1", Term: 80, Own: 128}, s)
	if err := os.WriteFile(filepath.Join(dir, "1.jsonl"), slices.Concat(head, before, next), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := CheckFiles(dir, "", "north", time.UnixMilli(0))
	if err != nil || v.Broken != "" || v.Records != 3 || v.Splits != 1 || !v.OneVoice || len(v.Declared) != 1 || v.Declared[0].Own != 128 {
		t.Errorf("%+v %v", v, err)
	}
}
