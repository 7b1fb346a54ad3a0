package arbiter

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// work hands in w1, changed as told, for an area with devices a and b.
func (d *stand) work(change func(*Submit), want string) {
	d.t.Helper()
	s := Submit{Work: area.Work{ID: "w1", Area: "north", Prio: area.Normal, Dur: 3 * time.Second, Redo: area.RedoRetry, IfBusy: area.BusyQueue}, Expires: d.now.Add(time.Minute)}
	if change != nil {
		change(&s)
	}
	d.want(s, want)
}

func (d *stand) devices() *stand {
	d.t.Helper()
	d.want(DeviceUp{Device: "a", Location: "1"}, "")
	d.want(DeviceUp{Device: "b", Location: "2"}, "")
	return d
}

var (
	take    = area.Claim{Op: area.OpTake, Work: "w1", Att: 1}
	take2   = area.Claim{Op: area.OpTake, Work: "w1", Att: 2}
	decline = area.Claim{Op: area.OpDecline, Work: "w1", Att: 1}
)

func wantFor(att int) area.Claim {
	return area.Claim{Work: "w1", Att: att, Dur: 2900 * time.Millisecond}
}

func doneWith(r area.Result, att int) area.Claim {
	return area.Claim{Op: area.OpDone, Work: "w1", Att: att, Result: r}
}

func TestWorkIsPlayed(t *testing.T) {
	d := idle(t).devices()
	d.work(nil, "offer(w1>,1) report(w1,offered,1)")
	d.at(999*time.Millisecond, "")
	d.at(time.Second, "offer(w1>,1)")
	d.slow = true
	d.hear("a", take, "")
	d.hear("b", take, "b<refused(taken)")
	if got := d.commit(nil); got != "a<assigned(w1,1) report(w1,assigned,1)" { // durable first (§8.12)
		t.Errorf("once durable: %q", got)
	}
	d.slow = false
	d.hear("a", take, "a<assigned(w1,1)")
	d.hear("a", wantFor(1), "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", area.Claim{Work: "w1", Att: 1, Playing: true, Token: 1000001}, "a<grant(1000001,4s) report(w1,playing,1)")
	d.slow = true
	d.hear("a", doneWith(area.Played, 1), "report(w1,played,1) busy(idle)")
	d.hear("a", doneWith(area.Played, 1), "")
	if got := d.commit(nil); got != "a<released" { // its end is durable, so that the device may forget it
		t.Errorf("once the end is durable: %q", got)
	}
	d.slow = false
	d.work(nil, "report(w1,played,1)") // handed in once more: it has its end
	d.want(Stored{Work: "w1"}, "")
	if got := string(d.disk); got != `{"v":1,"term":1,"alive_ms":4250}` {
		t.Errorf("the record is %s", got)
	}
}

func TestOffersGoToTheLocationFirst(t *testing.T) {
	d := idle(t).devices()
	d.work(func(s *Submit) { s.Work.Location = "2" }, "offer(w1>b,1) report(w1,offered,1)")
	d.hear("a", take, "a<refused(taken)")
	d.at(time.Second, "offer(w1>b,1)")
	d.at(2*time.Second, "offer(w1>,1)")
	d.hear("a", take, "a<assigned(w1,1) report(w1,assigned,1)")
	d.hear("b", take, "b<refused(taken)")

	d = idle(t).devices()
	d.want(DeviceDown{Device: "b"}, "")
	d.work(func(s *Submit) { s.Work.Location = "2" }, "offer(w1>,1) report(w1,offered,1)") // nobody is there

	d = idle(t).devices()
	d.work(func(s *Submit) { s.Work.Device = "b" }, "offer(w1>b,1) report(w1,offered,1)")
	d.at(5*time.Second, "offer(w1>b,1)")
	d.hear("a", take, "a<refused(not_member)")
}

func TestEndsOfAWork(t *testing.T) {
	assigned := func(t *testing.T, change func(*Submit)) *stand {
		d := idle(t).devices()
		d.work(change, "offer(w1>,1) report(w1,offered,1)")
		d.hear("a", take, "a<assigned(w1,1) report(w1,assigned,1)")
		return d
	}
	granted := func(t *testing.T, change func(*Submit)) *stand {
		d := assigned(t, change)
		d.hear("a", wantFor(1), "busy(held:a) a<grant(1000001,2.5s)")
		return d
	}
	once := func(s *Submit) { s.Work.Redo = area.RedoOnce }
	again := func(d *stand, reason string) string {
		return "report(w1,waiting,2," + reason + ") "
	}
	t.Run("preempted, then cut", func(t *testing.T) {
		d := granted(t, nil)
		d.hear("a", doneWith(area.Preempted, 1), again(d, "preempted")+"offer(w1>,2) report(w1,offered,2,preempted) busy(idle) a<released")
		d.hear("b", take, "b<refused(expired)")
		d.hear("b", take2, "b<assigned(w1,2) report(w1,assigned,2)")
		d.hear("a", doneWith(area.Stopped, 1), "a<released") // an old attempt ends nothing
		d.hear("b", wantFor(2), "busy(held:b) b<grant(1000002,2.5s)")
		d.hear("b", doneWith(area.Stopped, 2), "report(w1,failed,2,cut) busy(idle) b<released")
	})
	t.Run("once", func(t *testing.T) {
		d := granted(t, once)
		d.hear("a", doneWith(area.Stopped, 1), "report(w1,failed,1,cut) busy(idle) a<released")
		d = assigned(t, once)
		d.hear("a", decline, again(d, "device_error")+"offer(w1>,2) report(w1,offered,2,device_error)") // it was not granted
	})
	t.Run("without its clip", func(t *testing.T) {
		d := assigned(t, nil)
		missing := decline
		missing.Reason = area.EndClipMissing
		d.hear("a", missing, again(d, "clip_missing")+"offer(w1>,2) report(w1,offered,2,clip_missing)")
		d.hear("b", take2, "b<assigned(w1,2) report(w1,assigned,2)")
		missing.Att, missing.Reason = 2, "no idea"
		d.hear("b", missing, "report(w1,failed,2,device_error)")
	})
	t.Run("gave way before the grant", func(t *testing.T) {
		d := assigned(t, nil)
		d.hear("a", doneWith(area.Preempted, 1), "report(w1,waiting,1,preempted) offer(w1>,1) report(w1,offered,1,preempted) a<released")
	})
	t.Run("an old attempt was played after all", func(t *testing.T) {
		d := granted(t, nil)
		d.hear("a", doneWith(area.Stopped, 1), again(d, "cut")+"offer(w1>,2) report(w1,offered,2,cut) busy(idle) a<released")
		d.hear("b", take2, "b<assigned(w1,2) report(w1,assigned,2)")
		d.hear("b", wantFor(2), "busy(held:b) b<grant(1000002,2.5s)")
		d.hear("a", doneWith(area.Played, 1), "report(w1,played,2) b<revoke(stale) a<released")
	})
	t.Run("seen elsewhere", func(t *testing.T) {
		d := granted(t, nil)
		d.want(Stored{Work: "w1"}, "a<revoke(stale)")
		d.hear("a", doneWith(area.Preempted, 1), "a<released busy(idle)")
		if got := string(d.disk); got != `{"v":1,"term":1,"alive_ms":4250}` {
			t.Errorf("the record is %s", got)
		}
		d = assigned(t, nil)
		d.hear("b", area.Claim{Dur: time.Second}, "busy(held:b) b<grant(1000001,2.5s)")
		d.hear("a", wantFor(1), "a<queued(1) busy(held:b,a)")
		d.want(Stored{Work: "w1"}, "a<refused(superseded) busy(held:b)")
	})
	t.Run("lost contact", func(t *testing.T) {
		d := granted(t, nil)
		d.at(2750*time.Millisecond, "busy(idle)")
		d.at(6999*time.Millisecond, "")
		d.at(7*time.Second, again(d, "lost_contact")+"offer(w1>,2) report(w1,offered,2,lost_contact)")
		d.hear("a", wantFor(1), "a<refused(superseded)")      // §8.12
		d.at(time.Minute, "report(w1,failed,2,lost_contact)") // granted once: never expired (§8.13)
	})
	t.Run("its device wants something else", func(t *testing.T) { // what became of it was told to another arbiter
		other := func(claim uint64) area.Claim { return area.Claim{Claim: claim} }
		d := granted(t, nil)
		d.at(2750*time.Millisecond, "busy(idle)")
		d.hear("a", other(2), "offer(w1>a,1) busy(held:a) a<grant(1000002,2.5s)")
		d.hear("a", other(2), "a<grant(1000002,2.5s)") // asked once in a while
		d.hear("a", area.Claim{Op: area.OpDone, Work: "w1", Att: 1, Result: area.Played}, "report(w1,played,1) a<released")
		d = granted(t, nil)
		d.at(2750*time.Millisecond, "busy(idle)")
		d.hear("a", other(2), "offer(w1>a,1) busy(held:a) a<grant(1000002,2.5s)")
		d.hear("a", take, "a<refused(expired) "+again(d, "cut")+"offer(w1>,2) report(w1,offered,2,cut)") // it has not, and has it no more
		d = granted(t, once)                                                                             // it is not asked to, and given up
		d.at(2750*time.Millisecond, "busy(idle)")
		for i := range uint64(4) {
			d.now += 2 * sec
			d.step(Heard{Device: "a", Claim: d.claim("a", other(2+i))})
		}
		if d.c.works["w1"] != nil {
			t.Errorf("it is kept for a device that wants something else")
		}
	})
	t.Run("it may have sounded elsewhere", func(t *testing.T) {
		maybe := func(s *Submit) { s.Att, s.Maybe = 1, true }
		d := idle(t).devices()
		d.work(maybe, "offer(w1>,1) report(w1,offered,1)")
		d.at(time.Minute, "report(w1,failed,1,lost_contact)") // §8.13: never expired
		d = idle(t).devices()
		d.work(func(s *Submit) { maybe(s); once(s) }, "report(w1,waiting,1)")
		d.at(time.Minute, "report(w1,failed,1,lost_contact)") // and not offered again
	})
	t.Run("lost contact before the grant", func(t *testing.T) { // nothing can have sounded: no attempt is lost
		d := assigned(t, once)
		for range 3 {
			d.now += 7 * sec
			d.want(Tick{}, "report(w1,waiting,1,lost_contact) offer(w1>,1) report(w1,offered,1,lost_contact)")
			d.hear("a", wantFor(1), "a<refused(superseded)")
			d.hear("b", take, "b<assigned(w1,1) report(w1,assigned,1)")
		}
		d.hear("b", wantFor(1), "busy(held:b) b<grant(1000001,2.5s)")
		d.at(60*time.Second, "report(w1,failed,1,lost_contact) busy(idle)")
	})
	t.Run("higher boot before the grant", func(t *testing.T) {
		d := assigned(t, once)
		d.hear("a", area.Claim{Op: area.OpHello, Boot: 2, Nonce: "n"}, "report(w1,waiting,1,lost_contact) a<hello(2) offer(w1>,1) report(w1,offered,1,lost_contact)")
	})
	t.Run("higher boot", func(t *testing.T) {
		d := granted(t, nil)
		d.hear("a", area.Claim{Op: area.OpHello, Boot: 2, Nonce: "n"}, again(d, "lost_contact")+"a<hello(2) offer(w1>,2) report(w1,offered,2,lost_contact) busy(idle)")
	})
	t.Run("expired at the grant", func(t *testing.T) {
		d := assigned(t, nil)
		d.hear("b", area.Claim{Claim: 1}, "busy(held:b) b<grant(1000001,2.5s)")
		for range 59 {
			d.now += sec
			d.step(Heard{Device: "b", Claim: d.claim("b", playing(1000001))})
			d.step(Heard{Device: "a", Claim: d.claim("a", wantFor(1))})
		}
		d.at(time.Minute, "report(w1,expired,1) a<refused(expired) busy(held:b)")
		d.hear("b", done, "b<released busy(idle)")
	})
	t.Run("granted in time, and plays past it", func(t *testing.T) {
		d := idle(t).devices()
		d.work(func(s *Submit) { s.Expires = d.now.Add(time.Second) }, "offer(w1>,1) report(w1,offered,1)")
		d.hear("a", take, "a<assigned(w1,1) report(w1,assigned,1)")
		d.hear("a", wantFor(1), "busy(held:a) a<grant(1000001,2.5s)")
		d.at(2*time.Second, "")
		d.hear("a", doneWith(area.Played, 1), "report(w1,played,1) busy(idle) a<released")
	})
	t.Run("nobody was ever there", func(t *testing.T) {
		d := idle(t)
		d.work(nil, "report(w1,waiting,1)")
		d.at(time.Minute, "report(w1,failed,1,no_device)")
	})
	t.Run("nobody took it", func(t *testing.T) {
		d := idle(t)
		d.work(nil, "report(w1,waiting,1)")
		d.want(DeviceUp{Device: "a"}, "offer(w1>,1) report(w1,offered,1)")
		d.want(DeviceDown{Device: "a"}, "")
		d.at(time.Minute, "report(w1,expired,1)")
	})
	t.Run("cancelled while it waits", func(t *testing.T) {
		d := assigned(t, nil)
		d.hear("b", area.Claim{Claim: 1}, "busy(held:b) b<grant(1000001,2.5s)")
		d.hear("a", wantFor(1), "a<queued(1) busy(held:b,a)")
		d.want(Cancel{Work: "w1", Reason: area.EndUser}, "report(w1,cancelled,1,user) a<refused(superseded) busy(held:b)")
		d.want(Cancel{Work: "w1", Reason: area.EndUser}, "")
	})
	t.Run("cancelled while it plays", func(t *testing.T) {
		d := granted(t, nil)
		d.want(Cancel{Work: "w1", Reason: area.EndUser}, "a<revoke(admin)")
		d.hear("a", doneWith(area.Cancelled, 1), "report(w1,cancelled,1,user) busy(idle) a<released")
		d = granted(t, nil)
		d.want(StopPlay{}, "a<revoke(admin)")
		d.at(2750*time.Millisecond, "report(w1,cancelled,1,stop) busy(idle)")
	})
	t.Run("skip", func(t *testing.T) {
		d := idle(t).devices()
		d.hear("b", want, "busy(held:b) b<grant(1000001,2.5s)")
		d.work(func(s *Submit) { s.Work.IfBusy = area.BusySkip }, "report(w1,cancelled,1,busy)")
	})
	t.Run("interrupt", func(t *testing.T) {
		interrupt := func(s *Submit) { s.Work.IfBusy = area.BusyInterrupt }
		d := assigned(t, interrupt)
		d.hear("b", want, "busy(held:b) b<grant(1000001,2.5s)")
		d.hear("a", wantFor(1), "b<revoke(preempt) a<queued(1) busy(held:b,a)")
		d = assigned(t, interrupt)
		d.hear("b", area.Claim{Prio: area.High}, "busy(held:b) b<grant(1000001,2.5s)")
		d.hear("a", wantFor(1), "a<queued(1) busy(held:b,a)")
		d = idle(t).devices() // and its own device
		d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
		d.work(interrupt, "offer(w1>,1) report(w1,offered,1)")
		d.hear("a", take, "a<assigned(w1,1) report(w1,assigned,1) a<revoke(preempt)")
	})
}

// §8.12: after a restart an assigned work waits for its taker before it is
// offered again, and what is not the present attempt is refused.
func TestAssignmentOutlivesTheArbiter(t *testing.T) {
	d := idle(t).devices()
	d.work(nil, "offer(w1>,1) report(w1,offered,1)")
	d.hear("a", take, "a<assigned(w1,1) report(w1,assigned,1)")
	restart := func() *stand {
		e := newStand(t, string(d.disk), nil)
		e.want(Begin{}, "busy(settling)")
		e.devices()
		return e
	}
	e := restart()
	e.hear("a", wantFor(1), "a<queued(0)") // not handed in yet
	e.work(nil, "")
	e.hear("b", take, "b<refused(taken)")
	e.hear("b", wantFor(1), "b<refused(superseded)")
	e.hear("a", wantFor(1), "a<queued(0) busy(settling,a)")
	e.at(2*time.Second, "")
	e.hear("a", wantFor(1), "a<queued(0)")
	e.at(4250*time.Millisecond, "busy(held:a) a<grant(65000001,2.5s)")

	e = restart()
	e.work(nil, "")
	e.at(4250*time.Millisecond, "busy(idle)")
	e.at(11249*time.Millisecond, "") // settle + lease + 3 s
	e.at(11250*time.Millisecond, "report(w1,waiting,2,lost_contact) offer(w1>,2) report(w1,offered,2,lost_contact)")

	e = restart() // its taker still wants it, so nothing has sounded: no attempt is lost
	e.work(nil, "")
	e.hear("a", wantFor(1), "a<queued(0) busy(settling,a)")
	e.at(3*time.Second, "busy(settling)")
	e.at(4250*time.Millisecond, "busy(idle)")
	e.at(11250*time.Millisecond, "report(w1,waiting,1,lost_contact) offer(w1>,1) report(w1,offered,1,lost_contact)")

	e = restart() // it may have been granted before: once is once
	e.work(func(s *Submit) { s.Work.Redo = area.RedoOnce }, "")
	e.at(11250*time.Millisecond, "report(w1,failed,1,lost_contact) busy(idle)")

	d.hear("a", wantFor(1), "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", doneWith(area.Played, 1), "report(w1,played,1) busy(idle) a<released")
	e = restart() // the end is known, even if the order service has lost it
	e.hear("a", wantFor(1), "a<refused(superseded)")
	e.work(nil, "report(w1,played,1)")
	e.at(time.Minute, "busy(idle)") // nobody asks any more
	if got := string(e.disk); got != `{"v":1,"term":65,"alive_ms":4250}` {
		t.Errorf("the record is %s", got)
	}
}

// §8.15: a device that plays is assigned an emergency; it ends its own play and
// claims anew, and is granted at once.
func TestEmergencyForThePlayingDevice(t *testing.T) {
	d := idle(t).devices()
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("b", area.Claim{Prio: area.High}, "b<queued(1) busy(held:a,b)")
	d.work(func(s *Submit) { s.Work.Device, s.Work.Prio = "a", area.Emergency }, "offer(w1>a,1) report(w1,offered,1)")
	d.hear("a", take, "a<assigned(w1,1) report(w1,assigned,1)")
	d.hear("a", area.Claim{Op: area.OpDone, Result: area.Preempted}, "a<released busy(held:b) b<grant(1000002,2.5s)")
	emergency := wantFor(1)
	emergency.Claim, emergency.Prio = 2, area.Emergency
	d.hear("a", emergency, "b<revoke(preempt) a<queued(1) busy(held:b,a)")
	d.hear("b", area.Claim{Op: area.OpDone, Result: area.Preempted}, "b<released busy(held:a) a<grant(1000003,2.5s)")
}

func TestWorkOfNobodyIsServed(t *testing.T) {
	d := idle(t)
	d.hear("a", area.Claim{Work: "own"}, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("b", area.Claim{Work: "old", Att: 1}, "b<queued(0)") // it may be handed in yet
	d.at(4251*time.Millisecond, "busy(idle)")
	d.hear("b", area.Claim{Work: "old", Att: 1}, "b<refused(unknown_work)") // another arbiter's, perhaps
	d.hear("b", area.Claim{Op: area.OpTake, Work: "old", Att: 1}, "b<refused(unknown_work)")
}

func TestManyWorksAreOfferedInTurn(t *testing.T) {
	d := idle(t)
	for i := range 2 * mostOffers {
		d.step(Submit{Work: area.Work{ID: area.WorkID(string(rune('a'+i%26)) + string(rune('0'+i/26))), Area: "north", Prio: area.Priority(100 + i)}, Expires: area.Never})
	}
	n := 0
	for _, a := range d.c.Step(DeviceUp{Device: "x"}, d.now) {
		if o, ok := a.(HoldOut); ok {
			n++
			if o.Offer.Prio < area.Priority(100+mostOffers) {
				t.Errorf("%s of priority %d goes before its betters", o.Offer.Work, o.Offer.Prio)
			}
		}
	}
	if n != mostOffers {
		t.Errorf("%d works are offered at once, want %d", n, mostOffers)
	}
}
