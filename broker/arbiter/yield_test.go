package arbiter

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// successor is the stand of an arbiter that takes over what y leaves.
func successor(t *testing.T, y Yielded) *stand {
	t.Helper()
	d := newStand(t, "", func(c *CoreConfig) { c.Node, c.Index = "gate-1", 16 })
	d.want(Begin{}, "busy(settling)")
	d.step(HeardTerm{Term: y.Term})
	d.step(Inherit{Holds: y.Holds, Settle: y.Alive})
	return d.devices()
}

// A work that nobody had goes over as it is; one that a device has goes over
// with its assignment, and stays the device's.
func TestWorksGoToTheNextArbiter(t *testing.T) {
	d := idle(t).devices()
	d.work(nil, "offer(w1>,1) report(w1,offered,1)")
	d.hear("a", take, "a<assigned(w1,1) report(w1,assigned,1)")
	d.work(func(s *Submit) { s.Work.ID = "w2" }, "offer(w2>,1) report(w2,offered,1)")
	d.work(func(s *Submit) { s.Work.ID = "w0" }, "offer(w0>,1) report(w0,offered,1)")
	d.hear("b", area.Claim{Op: area.OpTake, Work: "w0", Att: 1}, "b<assigned(w0,1) report(w0,assigned,1)")
	d.hear("b", area.Claim{Op: area.OpDone, Work: "w0", Att: 1, Result: area.Played}, "report(w0,played,1) b<released")
	y := d.c.Yield(d.now)
	if len(y.Works) != 2 || y.Works[0].Given == nil || y.Works[0].Given.Device != "a" || y.Works[1].Given != nil || y.Works[1].Att != 1 {
		t.Fatalf("left behind: %+v", y.Works)
	}
	if rec := string(y.Record); rec != `{"v":1,"term":1,"alive_ms":4250,"works":[{"work":"w0","att":1,"device":"b","boot":1,"mid":"m-b","end":"played"}]}` {
		t.Errorf("the record is %s, want the end alone, and no clean stop", rec)
	}

	next := successor(t, y)
	next.want(y.Works[0], "")
	next.want(y.Works[0], "") // handed over again
	next.want(y.Works[1], "offer(w2>,1) report(w2,offered,1)")
	next.hear("b", take, "b<refused(taken)")
	next.hear("b", wantFor(1), "b<refused(superseded)")
	next.now = 1000*sec + 4250*area.Instant(time.Millisecond)
	next.step(Tick{})
	next.hear("a", wantFor(1), "busy(held:a) a<grant(16000001,2.5s)")
	next.hear("a", doneWith(area.Played, 1), "report(w1,played,1) busy(idle) a<released")
}

// A work that a device had under the arbiter before may have sounded there. That its
// time is over is judged once the device wants it still, when it would be granted; of
// what must not sound twice nobody says that it expired (§8.13).
func TestExpiryOfAWorkThatMayHaveSounded(t *testing.T) {
	for redo, want := range map[area.Redo]string{
		area.RedoRetry: "report(w1,expired,1) a<refused(expired) busy(idle)",
		area.RedoOnce:  "report(w1,failed,1,lost_contact) a<refused(superseded) busy(idle)",
	} {
		d := idle(t).devices()
		d.work(func(s *Submit) { s.Expires, s.Work.Redo = d.now.Add(2*time.Second), redo }, "offer(w1>,1) report(w1,offered,1)")
		d.hear("a", take, "a<assigned(w1,1) report(w1,assigned,1)")
		y := d.c.Yield(d.now)
		next := successor(t, y)
		next.want(y.Works[0], "")
		next.at(2*time.Second, "")
		next.at(4250*time.Millisecond, "busy(idle)")
		next.hear("a", wantFor(1), want)
	}
}

// A hold without a lease goes over with what is left of it, and keeps the area.
func TestHoldsGoToTheNextArbiter(t *testing.T) {
	d := idle(t)
	d.want(Heard{Device: "old", Claim: d.claim("old", area.Claim{}), Hold: true}, "old<queued(1) busy(idle) busy(held:old) old<grant(1000001,0s)")
	d.want(Set{Device: "dumb", On: true}, "busy(held:old!dumb)")
	d.now = d.now.Add(20 * time.Second)
	y := d.c.Yield(d.now)
	if len(y.Holds) != 2 || y.Holds[0].Kind != "classic" || y.Holds[0].LeftMs != 100_000 || y.Holds[1].LeftMs != 100_000 {
		t.Fatalf("left behind: %+v", y.Holds)
	}
	next := successor(t, y)
	if b := next.c.Busy(); b.State != area.Held || *b.Holder != "old" || len(b.Intruders) != 1 {
		t.Errorf("the next arbiter shows %+v", b)
	}
	next.want(Inherit{Holds: y.Holds}, "") // said again
	next.at(50*time.Second, "busy(held:old!dumb)")
	next.want(Set{Device: "dumb"}, "busy(held:old)")
	next.want(Set{Device: "old"}, "busy(idle)")
	next.want(Tick{}, "")
	next.want(Inherit{Holds: []area.Hold{{Kind: "dumb", Device: "late"}}}, "") // its time is over
}

// What the arbiter before may have granted is waited for, also where its leases
// are longer, and also if that is told late.
func TestLeasesOfTheArbiterBeforeAreWaitedFor(t *testing.T) {
	d := newStand(t, "", nil)
	d.want(Begin{}, "busy(settling)")
	d.want(Inherit{Settle: 10 * time.Second}, "")
	d.at(5*time.Second, "")
	d.hear("a", area.Claim{}, "a<queued(0) busy(settling,a)")
	if got := d.c.Alive(); got != 10*time.Second {
		t.Errorf("the longest lease that may be alive is %v, want 10s", got)
	}
	again, err := NewCore(CoreConfig{Area: "north", Node: "hub-1", Index: 1, Lease: 4 * time.Second}, d.disk)
	if err != nil || time.Duration(again.start.AliveMs)*time.Millisecond != 10*time.Second {
		t.Errorf("after a start in between: %+v %v", again.start, err)
	}
	d.at(8*time.Second, "busy(settling)") // a has gone silent
	d.at(10*time.Second, "busy(idle)")
	d.want(Inherit{Settle: 3 * time.Second}, "busy(settling)")
	d.at(13*time.Second, "busy(idle)")
}

// An end that another arbiter saw is the end here, and what plays for it stops.
func TestAnEndSeenElsewhere(t *testing.T) {
	d := idle(t).devices()
	d.work(nil, "offer(w1>,1) report(w1,offered,1)")
	d.hear("a", take, "a<assigned(w1,1) report(w1,assigned,1)")
	d.hear("a", wantFor(1), "busy(held:a) a<grant(1000001,2.5s)")
	d.want(Ended{Report: area.Report{Work: "w1", State: area.OrderPlaying}}, "")
	d.want(Ended{Report: area.Report{Work: "w1", State: area.OrderPlayed, Device: "b", Att: 1}}, "report(w1,played,1) a<revoke(stale)")
	d.want(Ended{Report: area.Report{Work: "w1", State: area.OrderFailed, Att: 2}}, "")
}

// The works of a record that the order service has not handed in again are not
// lost between two arbiters.
func TestWorksThatWereNotHandedInYet(t *testing.T) {
	d := newStand(t, `{"v":1,"term":1,"alive_ms":4250,"works":[{"work":"w1","att":2,"device":"a","boot":1,"mid":"m-a"},{"work":"w2","att":1,"end":"played"}]}`, nil)
	d.want(Begin{}, "busy(settling)")
	y := d.c.Yield(d.now)
	if len(y.unheard) != 1 || y.unheard[0].Work != "w1" || len(y.Works) != 0 {
		t.Errorf("not handed in: %+v, works %+v", y.unheard, y.Works)
	}
	if r, err := parseRecord(y.Record); err != nil || len(r.Works) != 1 || r.Works[0].Work != "w2" {
		t.Errorf("record: %+v %v", r, err)
	}
}
