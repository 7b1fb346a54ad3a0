package host

import (
	"errors"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

func TestOutbox(t *testing.T) {
	now := area.Instant(1)
	o := newOutbox(func() area.Instant { return now })
	var said []area.Trunk
	say := func(u area.Trunk) error { said = append(said, u); return nil }
	sent := func() []area.Trunk { said = nil; o.send(true, say); return said }
	report := func(s area.OrderState) area.Trunk {
		return area.Trunk{Op: area.TrunkReport, Report: area.Report{Work: "w", State: s}.Reported(0)}
	}
	o.put("work/w", report(area.OrderAssigned), 0, nil)
	o.put("work/w", report(area.OrderPlaying), time.Minute, nil)
	if got := sent(); len(got) != 1 || got[0].N != 2 || got[0].Report.State != area.OrderPlaying || got[0].Report.AgoMs != 60_000 {
		t.Fatalf("%+v", got)
	}
	answered := 0
	o.put("end/w", report(area.OrderPlayed), 0, func() { answered++ }, "work/w")
	now = now.Add(sayAgain / 2)
	if got := sent(); len(got) != 1 || got[0].N != 3 {
		t.Fatalf("%+v", got)
	}
	if got := sent(); len(got) != 0 {
		t.Errorf("said again at once: %+v", got)
	}
	now = now.Add(sayAgain)
	if got := sent(); len(got) != 1 || got[0].N != 3 || got[0].Report.AgoMs != 1500 {
		t.Errorf("not said again: %+v", got)
	}
	o.again()
	if got := sent(); len(got) != 1 {
		t.Errorf("not said on a new connection: %+v", got)
	}
	o.got(2) // of what is out of date
	o.got(3)
	o.settle()
	if o.len() != 0 || answered != 1 {
		t.Errorf("%d wait, answered %d times", o.len(), answered)
	}
	for range mostRecords + 3 {
		o.put("", area.Trunk{Op: area.TrunkRecord, Record: []byte("{}")}, 0, nil)
	}
	o.put("end/x", report(area.OrderPlayed), 0, nil)
	if o.len() != mostRecords+1 || o.forgotten() != 3 {
		t.Errorf("%d wait, %d are forgotten", o.len(), o.forgotten())
	}
	if got := sent(); len(got) != window || got[0].N != 7 {
		t.Errorf("%d are said, the first is %d", len(got), got[0].N)
	}
	o.again()
	calls := 0
	o.send(true, func(area.Trunk) error { calls++; return errors.New("offline") })
	if calls != 1 {
		t.Errorf("tried %d times without a connection", calls)
	}
}
