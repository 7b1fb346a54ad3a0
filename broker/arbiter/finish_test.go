package arbiter

import (
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

func finishing(t *testing.T, rec string) *stand {
	t.Helper()
	return newStand(t, rec, func(c *CoreConfig) { c.Finish, c.ColdStart = true, rec == "" })
}

// §3.6: under the policy finish the lease of a known length covers it, once the
// longest lease that may be alive is durable (§8.5).
func TestFinishCoversTheAnnouncement(t *testing.T) {
	d := finishing(t, "")
	d.want(Begin{}, "busy(idle)")
	long := area.Claim{Dur: 20 * time.Second}
	d.slow = true
	d.hear("a", long, "a<queued(1) busy(idle)")
	if got := string(d.await[0].Record); got != `{"v":1,"term":1,"alive_ms":22450}` {
		t.Errorf("the record is %s", got)
	}
	if got := d.commit(nil); got != "busy(held:a) a<grant(1000001,22.2s)" {
		t.Errorf("once durable: %q", got)
	}
	d.slow = false
	d.now += 2 * sec
	long.Playing, long.Token = true, 1000001
	d.hear("a", long, "a<grant(1000001,22.2s)") // it may have begun just now
	d.now += 2 * sec
	d.hear("a", long, "a<grant(1000001,20.2s)") // and what is left covers the rest
	d.at(24*time.Second, "")                    // its link is lost: nothing is cut, and a crash keeps the area for as long
	d.at(24450*time.Millisecond, "busy(idle)")

	// A short one costs nothing, and of an unknown length the lease is the usual one.
	d.hear("b", area.Claim{Dur: 400 * time.Millisecond}, "busy(held:b) b<grant(1000002,2.5s)")
	d.hear("b", done, "b<released busy(idle)")
	d.hear("c", want, "busy(held:c) c<grant(1000003,2.5s)")
	d.hear("c", playing(1000003), "c<grant(1000003,4s)")
	d.hear("c", done, "c<released busy(idle)")

	// What took the longest lease is waited for by the next arbiter.
	e := finishing(t, string(d.disk))
	e.want(Begin{}, "busy(settling)")
	e.at(22449*time.Millisecond, "")
	e.at(22450*time.Millisecond, "busy(idle)")
	if got := string(e.disk); got != `{"v":1,"term":65,"alive_ms":4250}` {
		t.Errorf("after a full settling the record is %s", got)
	}
}

func TestFinishIsBounded(t *testing.T) {
	d := finishing(t, "")
	d.want(Begin{}, "busy(idle)")
	d.hear("a", area.Claim{Dur: time.Hour}, "a<queued(1) busy(idle) busy(held:a) a<grant(1000001,2m0s)")
	if d = idle(t); d.c.finishLease(time.Second, time.Minute, 0) != time.Second {
		t.Error("the policy stop makes leases longer")
	}
}

// A proposal that waits for the disk is nobody's yet: it cannot be revoked, and
// goes where it is no longer wanted.
func TestProposedLease(t *testing.T) {
	start := func() *stand {
		d := finishing(t, "")
		d.want(Begin{}, "busy(idle)")
		d.slow = true
		d.hear("a", area.Claim{Dur: 20 * time.Second}, "a<queued(1) busy(idle)")
		return d
	}
	d := start()
	d.hear("b", area.Claim{Prio: area.Emergency, Dur: time.Second}, "b<queued(1) busy(idle,b)")
	d.want(StopPlay{}, "")
	if got := d.commit(nil); got != "busy(held:a,b) a<grant(1000001,22.2s) a<revoke(preempt)" {
		t.Errorf("once durable: %q", got)
	}
	d = start()
	d.hear("a", done, "a<released busy(idle)")
	if got := d.commit(nil); got != "" {
		t.Errorf("nobody wants it, and yet %q", got)
	}
	d = start() // it goes silent
	d.at(3*time.Second, "busy(idle)")
	d = start() // the lease that it has needed has grown meanwhile
	d.now += 2 * sec
	if got := d.commit(nil); got != "" || d.commit(nil) != "busy(held:a) a<grant(1000001,24.2s)" {
		t.Errorf("then %q, record %s", got, d.disk)
	}
}

// Who takes over from another arbiter waits for what that may have granted.
func TestFinishOfOthers(t *testing.T) {
	d := newStand(t, "", func(c *CoreConfig) { c.Finish, c.Others = true, true })
	d.want(Begin{}, "busy(settling)")
	if until, _ := d.c.Settling(); until != d.now.Add(MostFinish+250*time.Millisecond) {
		t.Errorf("settles until %v", until)
	}
	d.at(MostFinish+time.Second, "busy(idle)")
	d.want(HeardTerm{Term: 70}, "busy(settling)")
	if until, _ := d.c.Settling(); until != d.now.Add(MostFinish+250*time.Millisecond) {
		t.Errorf("after a higher term it settles until %v", until)
	}
}

// So does the hub of an area that has members: one of them may have led, and that
// the hub was stopped in order proves nothing.
func TestMembersMayHaveLed(t *testing.T) {
	d := finishing(t, "")
	d.elect("v1")
	d.want(Begin{}, "busy(idle)")
	d.hear("b", area.Claim{From: &area.From{Arbiter: "v1", AgoMs: 20_000}}, "b<queued(0) busy(settling,b)")
	if until, _ := d.c.Settling(); until != d.now.Add(MostFinish+250*time.Millisecond-20*time.Second) {
		t.Errorf("settles until %v", until)
	}
	d = newStand(t, `{"v":1,"term":65,"alive_ms":4250,"clean":true}`, nil)
	d.elect("v1")
	d.want(Begin{}, "busy(settling)")
}

func TestFinishAdopts(t *testing.T) {
	d := finishing(t, `{"v":1,"term":1,"alive_ms":30000}`)
	d.want(Begin{}, "busy(settling)")
	d.hear("a", area.Claim{Playing: true, Token: 1000001, Dur: 60 * time.Second}, "busy(held:a) a<grant(1000001,4s)") // until a longer one is durable
	d.hear("a", area.Claim{Playing: true, Token: 1000001, Dur: 60 * time.Second}, "a<grant(1000001,1m2.6s)")
	d.at(30*time.Second, "busy(held:a)")
	d.at(40*time.Second, "")
	if !strings.Contains(string(d.disk), `"alive_ms":62850`) {
		t.Errorf("a long lease is alive, and the record is %s", d.disk)
	}
	d.at(62850*time.Millisecond, "busy(idle)")
	d.at(63*time.Second, "")
	if !strings.Contains(string(d.disk), `"alive_ms":4250`) {
		t.Errorf("no long lease is alive, and the record is %s", d.disk)
	}
}

// §3.4: an emergency waits no longer than emergency_barge for a holder that does
// not answer. It is shown and counted, and nothing else is granted until the
// other has ended.
func TestBarge(t *testing.T) {
	d := newStand(t, "", func(c *CoreConfig) { c.ColdStart, c.Barge = true, 2*time.Second })
	d.want(Begin{}, "busy(idle)")
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", playing(1000001), "a<grant(1000001,4s)")
	d.now += sec
	emergency := area.Claim{Prio: area.Emergency}
	d.hear("b", emergency, "a<revoke(preempt) b<queued(1) busy(held:a,b)")
	d.hear("c", emergency, "c<queued(2) busy(held:a,b,c)")
	if next := d.c.Next(); next != d.now.Add(2*time.Second) {
		t.Errorf("next is %v, want the barge", next)
	}
	d.at(2999*time.Millisecond, "")
	d.at(3*time.Second, "busy(held:b,c) barged(b>a,1000002) b<grant(1000002,2.5s)")
	if b := d.c.Busy(); !b.Preempt || !strings.Contains(string(b.Encode()), `"preempt":true`) {
		t.Errorf("busy does not show it: %s", b.Encode())
	}
	d.hear("a", playing(1000001), "a<revoke(stale)") // it is back, and stops
	d.hear("c", emergency, "c<queued(1)")
	d.hear("b", done, "b<released busy(held:c) barged(c>a,1000003) c<grant(1000003,2.5s)") // it has waited as long
	d.hear("e", want, "e<queued(1) busy(held:c,e)")
	d.hear("c", done, "c<released busy(idle,e)")
	d.hear("e", want, "e<queued(1)") // no emergency
	d.at(4250*time.Millisecond, "busy(held:e) e<grant(1000004,2.5s)")
	if c := d.c.Counts(); c.Barges != 2 || c.Conflicts != 0 || d.c.Busy().Preempt {
		t.Errorf("counts %+v, busy %s", c, d.c.Busy().Encode())
	}
}

func TestWhatIsNotBarged(t *testing.T) {
	barge := func(c *CoreConfig) { c.ColdStart, c.Barge = true, time.Second }
	emergency := area.Claim{Prio: area.Emergency}
	for name, holder := range map[string]func(d *stand){
		"a classic hold":      func(d *stand) { d.classicWant(want, "k<queued(1) busy(idle) busy(held:k) k<grant(1000001,0s)") },
		"a dumb device":       func(d *stand) { d.want(Set{Device: "x", On: true}, "busy(held:x)") },
		"another emergency":   func(d *stand) { d.hear("a", emergency, "busy(held:a) a<grant(1000001,2.5s)") },
		"an unknown one":      func(d *stand) { d.want(HeardTerm{Term: 9}, "busy(settling)") },
		"one that answers":    func(d *stand) { d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)") },
		"what is not revoked": func(d *stand) { d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)") },
	} {
		t.Run(name, func(t *testing.T) {
			d := newStand(t, "", barge)
			d.want(Begin{}, "busy(idle)")
			holder(d)
			c := emergency
			if name == "what is not revoked" {
				c.Prio = area.High
			}
			d.step(Heard{Device: "b", Claim: d.claim("b", c)})
			if name == "one that answers" {
				d.hear("a", area.Claim{Op: area.OpDone, Result: area.Preempted}, "a<released busy(held:b) b<grant(1000002,2.5s)")
			}
			d.now += 2 * sec
			d.step(Heard{Device: "b", Claim: d.claim("b", c)})
			if n := d.c.Counts().Barges; n != 0 {
				t.Errorf("%d barged", n)
			}
		})
	}
	if err := (CoreConfig{Area: "a", Node: "n", Barge: time.Millisecond}).Validate(); err == nil {
		t.Error("a barge of 1 ms is allowed")
	}
}
