package proof

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// stage is devices that sound in an area, each with a clock of its own, and what
// the hub writes of it.
type stage struct {
	now     int64 // true time, ms
	clocks  map[area.DeviceID]int64
	records []Record
	token   area.Token
}

func newStage() *stage {
	return &stage{now: 1_000_000, clocks: map[area.DeviceID]int64{}, token: 64_000_000}
}

func (s *stage) write(r Record) {
	r.T = s.now
	s.records = append(s.records, r)
}

func (s *stage) grant(d area.DeviceID) area.Token {
	s.token++
	s.write(Record{Is: Granted, Device: d, Token: s.token})
	return s.token
}

// report is what d tells when its report is told at, and arrives delay later.
func (s *stage) report(d area.DeviceID, t area.Token, first, last, at, delay int64) {
	clock := s.clocks[d]
	s.records = append(s.records, Record{T: at + delay, Is: Sounded, Device: d, Token: t, Boot: 1, At: at + clock, First: first + clock, Last: last + clock})
}

func judge(records []Record) *Audit {
	var a Audit
	for _, r := range records {
		a.Take(r)
	}
	return &a
}

// TestHandOversNeverSeemToOverlap: whatever the clocks and the transport are, plays
// that were handed over by done and grant do not overlap.
func TestHandOversNeverSeemToOverlap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := newStage()
	for i := range 8 {
		s.clocks[area.DeviceID(fmt.Sprint("d", i))] = r.Int64N(1 << 40)
	}
	for range 2000 {
		d := area.DeviceID(fmt.Sprint("d", r.IntN(8)))
		token := s.grant(d)
		s.now += r.Int64N(3000) // the grant underway
		first := s.now
		s.now += r.Int64N(5000)
		last, delay := s.now, r.Int64N(4000)
		s.report(d, token, first, last, s.now, delay)
		s.now += delay
		s.write(Record{Is: Freed, Device: d, Token: token})
	}
	c := judge(s.records).seen()
	if c.Overlaps != 0 || c.Plays != 2000 || c.Measured != 2000 || c.Unmeasured != 0 {
		t.Errorf("%+v", c)
	}
}

// TestAReportThatComesLateIsNoOverlap: a device that was cut off reports when it is
// back, and by then another one has sounded. That it is late the arbiter knows from
// messages before; a real overlap is found all the same.
func TestAReportThatComesLateIsNoOverlap(t *testing.T) {
	for overlap, want := range map[int64]uint64{0: 0, 100: 1} {
		s := newStage()
		s.clocks["d1"], s.clocks["d2"] = 1<<30, 77
		one := s.grant("d1")
		s.now += 2000 // d1 is cut off: its lease ends
		s.write(Record{Is: Freed, Device: "d1", Token: one})
		two := s.grant("d2")
		s.report("d2", two, s.now, s.now+3000, s.now+3000, 1)
		late := int64(1500)
		s.report("d1", one, s.now-1800, s.now+overlap, s.now+overlap, late)
		s.records[len(s.records)-1].Late = late
		if c := judge(s.records).seen(); c.Overlaps != want {
			t.Errorf("with %d ms of overlap: %+v", overlap, c)
		}
	}
}

// TestOverlapIsFound: two devices that sounded at once are found, also when the
// report of one comes long after.
func TestOverlapIsFound(t *testing.T) {
	for _, late := range []int64{5, 60_000} {
		s := newStage()
		s.clocks["d1"], s.clocks["d2"] = 77, 5_000_000_000
		warm := s.grant("d1") // a quick report: by it the clock is known
		s.report("d1", warm, s.now, s.now+10, s.now+10, 2)
		s.now += 100
		s.write(Record{Is: Freed, Device: "d1", Token: warm})
		one := s.grant("d1")
		began := s.now
		s.now += 6250 // its lease is over for the arbiter
		s.write(Record{Is: Freed, Device: "d1", Token: one})
		two := s.grant("d2")
		second := s.now + 3
		s.now += 4000
		s.report("d2", two, second, s.now, s.now, 1)
		s.now++
		s.report("d1", one, began, second+400, s.now, late) // it went on for 400 ms
		a := judge(s.records)
		if a.counts.Overlaps != 1 || len(a.findings) != 1 {
			t.Fatalf("late by %d ms: %+v", late, a.counts)
		}
		if f := a.findings[0]; f.Ms < 390 || f.Ms > 410 || f.Device != "d1" || f.Plays[0].Device != "d2" {
			t.Errorf("late by %d ms: %+v", late, f)
		}
	}
}

func TestCounts(t *testing.T) {
	s := newStage()
	s.write(Record{Is: Started})
	one := s.grant("d1")
	s.report("d1", one, s.now, s.now+5, s.now+5, 1)
	s.report("d1", one, s.now, s.now+5, s.now+9, 1) // said again
	s.now += 20
	s.write(Record{Is: Freed, Device: "d1", Token: one})
	dead := s.grant("d2")
	s.now += 6000
	s.write(Record{Is: Freed, Device: "d2", Token: dead})
	s.grant("d4") // with the hub, and nobody hears of it again
	s.grant("d3") // goes on through the hub's death
	s.write(Record{Is: Intruder, Device: "d9"})
	s.write(Record{Is: Left, Device: "d9"})
	s.write(Record{Is: Conflict, Device: "d8", Token: 5})
	s.write(Record{Is: Missing, Count: 7})
	s.now += 1000
	s.write(Record{Is: Started}) // killed, and back
	s.write(Record{Is: Granted, Device: "d3", Token: s.token})
	s.now += 50
	s.write(Record{Is: Ended})
	s.now += 2000
	s.write(Record{Is: Started})
	s.write(Record{Is: Granted, Device: "d3", Token: s.token})
	got := judge(s.records).seen()
	want := Counts{Records: uint64(len(s.records)), Plays: 4, Measured: 1, Unmeasured: 2, Intruders: 1, Conflicts: 1, Missing: 7, Gaps: 2, GapMs: 3000}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestMemoryIsBounded: grants without reports and starts of devices without end.
func TestMemoryIsBounded(t *testing.T) {
	s := newStage()
	for i := range 3 * mostGrants {
		d := area.DeviceID(fmt.Sprint("d", i))
		token := s.grant(d)
		if i%2 == 0 {
			s.report(d, token, s.now, s.now+1, s.now+1, 1)
		}
		s.now += 10
		s.write(Record{Is: Intruder, Device: d})
	}
	a := judge(s.records)
	if len(a.grants) > mostGrants || len(a.order) != len(a.grants) || len(a.plays) > mostPlays || len(a.clocks) > mostClocks || len(a.findings) > mostFindings {
		t.Errorf("%d grants, %d in order, %d plays, %d clocks, %d findings", len(a.grants), len(a.order), len(a.plays), len(a.clocks), len(a.findings))
	}
	if a.counts.Plays != 3*mostGrants {
		t.Errorf("%d plays", a.counts.Plays)
	}
}

// A play of which a leader has told is awaited until its own record comes, however
// early or late that is.
func TestAwaited(t *testing.T) {
	grant := Record{T: 10, Is: Granted, Device: "d1", Token: 1_000_001, Work: "w-1"}
	sound := Record{T: 40, Is: Sounded, Device: "d1", Token: 1_000_001, Work: "w-1", Boot: 1, At: 40, First: 20, Last: 30, Result: area.Played}
	told := Record{T: 50, Is: Told, Device: "d1", Work: "w-1"}
	for name, c := range map[string]struct {
		list []Record
		want uint64
	}{
		"nothing else": {[]Record{told, told}, 1}, "its grant came": {[]Record{grant, told}, 0}, "its sound came": {[]Record{sound, told}, 0},
		"it comes later": {[]Record{told, grant, sound, told}, 0}, "another's came": {[]Record{told, {T: 60, Is: Granted, Device: "d2", Token: 1_000_002, Work: "w-2"}}, 1},
	} {
		var a Audit
		for _, r := range c.list {
			a.Take(r)
		}
		if got := a.seen().Awaited; got != c.want {
			t.Errorf("%s: %d awaited, want %d", name, got, c.want)
		}
	}
}
