package arbiter

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const sec = area.Instant(time.Second)

// stand drives a core and writes each action as one short word. Its ledger
// answers at once unless it is told to hold its answers back.
type stand struct {
	t     *testing.T
	c     *Core
	now   area.Instant
	seq   map[string]uint64
	disk  []byte
	slow  bool     // commits wait for commit()
	await []Commit // that are under way

	remarks []Remark // all, in their order
}

func newStand(t *testing.T, rec string, change func(*CoreConfig)) *stand {
	t.Helper()
	cfg := CoreConfig{Area: "north", Node: "hub-1", Index: 1, Lease: 4 * time.Second}
	if change != nil {
		change(&cfg)
	}
	c, err := NewCore(cfg, []byte(rec))
	if err != nil {
		t.Fatal(err)
	}
	d := &stand{t: t, c: c, seq: map[string]uint64{}, now: 1000 * sec}
	return d
}

// idle is a stand whose area has settled.
func idle(t *testing.T) *stand {
	t.Helper()
	d := newStand(t, "", func(c *CoreConfig) { c.ColdStart = true })
	d.want(Begin{}, "busy(idle)")
	return d
}

func (d *stand) step(ev Event) string {
	d.t.Helper()
	var words []string
	for _, a := range append([]Action(nil), d.c.Step(ev, d.now)...) {
		if c, ok := a.(Commit); ok {
			d.await = append(d.await, c)
			continue
		}
		if r, ok := a.(Remark); ok {
			d.remarks = append(d.remarks, r)
			continue
		}
		words = append(words, d.word(a))
	}
	if !d.slow && len(d.await) > 0 {
		if more := d.commit(nil); more != "" {
			words = append(words, more)
		}
	}
	return strings.Join(words, " ")
}

// commit answers the oldest commit that is under way.
func (d *stand) commit(err error) string {
	d.t.Helper()
	c := d.await[0]
	d.await = d.await[1:]
	if err == nil {
		d.disk = c.Record
	}
	return d.step(Committed{Seq: c.Seq, Err: err})
}

func (d *stand) word(a Action) string {
	switch a := a.(type) {
	case ShowBusy:
		s := fmt.Sprintf("busy(%s", a.Busy.State)
		if a.Busy.Holder != nil {
			s += ":" + string(*a.Busy.Holder)
		}
		for _, q := range a.Busy.Queue {
			s += "," + string(q)
		}
		for _, q := range a.Busy.Intruders {
			s += "!" + string(q)
		}
		return s + ")"
	case Say:
		n := a.Answer
		s := fmt.Sprintf("%s<%s", a.Device, n.Op)
		switch n.Op {
		case area.OpGrant:
			s += fmt.Sprintf("(%d,%v)", n.Token, n.Lease)
		case area.OpQueued:
			s += fmt.Sprintf("(%d)", n.Pos)
		case area.OpHello:
			s += fmt.Sprintf("(%d)", n.Boot)
		case area.OpRevoke, area.OpRefused:
			s += fmt.Sprintf("(%s)", n.Reason)
		case area.OpAssigned:
			s += fmt.Sprintf("(%s,%d)", n.Work, n.Att)
		}
		return s
	case HoldOut:
		return fmt.Sprintf("offer(%s>%s,%d)", a.Offer.Work, a.Device, a.Offer.Att)
	case Barged:
		return fmt.Sprintf("barged(%s>%s,%d)", a.Device, a.Over, a.Token)
	case Disconnect:
		return fmt.Sprintf("disconnect(%s)", a.Device)
	case Poll:
		return fmt.Sprintf("poll(%d,%v)", a.Poll.N, a.Poll.Vote)
	case Report:
		s := fmt.Sprintf("report(%s,%s,%d", a.Report.Work, a.Report.State, a.Report.Att)
		if a.Report.Reason != "" {
			s += "," + a.Report.Reason
		}
		return s + ")"
	}
	return "?"
}

func (d *stand) want(ev Event, want string) {
	d.t.Helper()
	if got := d.step(ev); got != want {
		d.t.Errorf("at %v: %T%+v did\n got  %q\n want %q", time.Duration(d.now-1000*sec), ev, ev, got, want)
	}
}

// at goes to an instant, counted from the beginning, and ticks.
func (d *stand) at(after time.Duration, want string) {
	d.t.Helper()
	d.now = (1000 * sec).Add(after)
	d.want(Tick{}, want)
}

// hear has device d1 … say something; what is not given is boot 1, machine
// m-NAME, claim 1 and the next seq.
func (d *stand) hear(name string, c area.Claim, want string) {
	d.t.Helper()
	d.want(Heard{Device: area.DeviceID(name), Claim: d.claim(name, c)}, want)
}

func (d *stand) claim(name string, c area.Claim) area.Claim {
	if c.Boot == 0 {
		c.Boot = 1
	}
	if c.MID == "" {
		c.MID = "m-" + name
	}
	if c.Claim == 0 {
		c.Claim = 1
	}
	if c.Prio == 0 {
		c.Prio = area.Normal
	}
	if c.Op == "" {
		c.Op = area.OpWant
	}
	if c.Seq == 0 {
		d.seq[name]++
		c.Seq = d.seq[name]
	}
	return c
}

var (
	want    = area.Claim{}
	done    = area.Claim{Op: area.OpDone, Result: area.Played}
	playing = func(t area.Token) area.Claim { return area.Claim{Playing: true, Token: t} }
)

func TestHandOver(t *testing.T) {
	d := idle(t)
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("b", want, "b<queued(1) busy(held:a,b)")
	d.hear("c", want, "c<queued(2) busy(held:a,b,c)")
	d.hear("a", playing(1000001), "a<grant(1000001,4s)")
	d.hear("a", done, "a<released busy(held:b,c) b<grant(1000002,2.5s)")
	d.hear("a", done, "a<released") // again, and again answered
	d.hear("a", area.Claim{Claim: 2}, "a<queued(2) busy(held:b,c,a)")
	d.hear("a", area.Claim{Op: area.OpDone, Claim: 2, Result: area.Cancelled}, "a<released busy(held:b,c)")
	if g := d.c.Counts().Grants; g != 2 {
		t.Errorf("%d grants, want 2", g)
	}
}

func TestDuplicatesAreNotAnswered(t *testing.T) {
	d := idle(t)
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", area.Claim{Seq: 1}, "")
	d.hear("a", playing(1000001), "a<grant(1000001,4s)")
	d.hear("a", area.Claim{Seq: 1}, "")
	d.hear("a", area.Claim{Op: area.OpDone, Seq: 1, Result: area.Played}, "")
}

func TestMissedGrantIsRepeatedButNeverExtended(t *testing.T) {
	d := idle(t)
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	d.now += sec
	d.hear("a", want, "a<grant(1000001,1.5s)")
	d.now += sec
	d.hear("a", want, "a<grant(1000001,500ms)")
	d.at(2600*time.Millisecond, "")
	d.hear("a", want, "a<queued(1)") // nothing is left of it
	d.at(2750*time.Millisecond, "busy(idle)")
	d.hear("b", want, "busy(held:b) b<grant(1000002,2.5s)")
	d.hear("a", want, "a<queued(1) busy(held:b,a)")
	d.hear("b", done, "b<released busy(held:a) a<grant(1000003,2.5s)")
	d.hear("b", area.Claim{Claim: 2}, "b<queued(1) busy(held:a,b)")
	// For the sec time the end came unheard: the device is deaf.
	d.now += 2 * sec
	d.hear("b", area.Claim{Claim: 2}, "b<queued(1)")
	d.now += sec
	d.want(Tick{}, "disconnect(a) busy(held:b) b<grant(1000004,2.5s)")
}

func TestLeaseEnds(t *testing.T) {
	d := idle(t)
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", playing(1000001), "a<grant(1000001,4s)")
	if next := d.c.Next(); next != d.now.Add(4250*time.Millisecond) {
		t.Errorf("next is %v, want lease and guard", next)
	}
	d.want(DeviceDown{Device: "a"}, "") // a lost connection ends nothing
	d.at(4249*time.Millisecond, "")
	d.at(4250*time.Millisecond, "busy(idle)")
	d.hear("a", playing(1000001), "a<revoke(stale)")
	if c := d.c.Counts(); c.LeaseExpired != 1 || c.Conflicts != 1 {
		t.Errorf("counts %+v", c)
	}
}

func TestBoots(t *testing.T) {
	d := idle(t)
	d.hear("a", area.Claim{Boot: 5}, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", area.Claim{Boot: 4}, "a<stale")
	d.hear("a", area.Claim{Boot: 6, Seq: 1}, "busy(held:a) a<grant(1000002,2.5s)") // a is dead, and free
	d.hear("a", area.Claim{Op: area.OpHello, Boot: 6, Nonce: "x", Seq: 2}, "a<hello(6)")
	d.hear("a", area.Claim{Op: area.OpHello, Boot: 6, Nonce: "x", Seq: 2}, "")
	d.hear("a", area.Claim{Op: area.OpHello, Boot: 3, Nonce: "y"}, "a<hello(7)")
	d.hear("a", area.Claim{Op: area.OpHello, Boot: 3, Nonce: "y"}, "a<hello(7)")
	d.hear("a", area.Claim{Op: area.OpHello, Boot: 3, Nonce: "z"}, "a<hello(8)")
	d.hear("a", area.Claim{Boot: 6, Playing: true, Token: 1000002, Seq: 3}, "a<grant(1000002,4s)")

	d = idle(t)
	hello := d.claim("n", area.Claim{Op: area.OpHello, Nonce: "n"})
	hello.Boot = 0
	d.want(Heard{Device: "n", Claim: hello}, "n<hello(1048577)") // above all that an earlier arbiter handed out
}

func TestHigherBootOfAnUnknownMachineFreesNothing(t *testing.T) {
	d := idle(t)
	say := func(c area.Claim, want string) {
		c = d.claim("a", c)
		c.MID = ""
		d.want(Heard{Device: "a", Claim: c}, want)
	}
	say(area.Claim{Boot: 5}, "busy(held:a) a<grant(1000001,2.5s)")
	say(area.Claim{Boot: 6}, "a<queued(1) busy(held:a,a)")
	say(area.Claim{Op: area.OpDone, Boot: 5, Token: 1000001, Result: area.Played}, "a<released busy(held:a) a<grant(1000002,2.5s)")
}

func TestName(t *testing.T) {
	d := idle(t)
	d.hear("a", area.Claim{Op: area.OpHello, Nonce: "1", MID: "m1", Boot: 5}, "a<hello(5)")
	d.hear("a", area.Claim{MID: "m1", Boot: 5}, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", area.Claim{Op: area.OpHello, Nonce: "2", MID: "m2", Boot: 5}, "a<hello(6)")
	d.hear("a", area.Claim{MID: "m1", Boot: 5, Playing: true, Token: 1000001}, "a<refused(replaced)")
	d.hear("a", area.Claim{MID: "m2", Boot: 5, Claim: 1}, "a<stale")
	d.hear("a", area.Claim{MID: "m2", Boot: 6, Seq: 1}, "a<queued(1) busy(held:a,a)") // the other one may still sound
	d.hear("a", area.Claim{Op: area.OpHello, Nonce: "3", MID: "m1", Boot: 5}, "a<refused(replaced)")
	d.at(2750*time.Millisecond, "busy(held:a) a<grant(1000002,2.5s)")
	d.at(70*time.Second, "disconnect(a) busy(idle)") // twice in a row a grant was not heard
	d.hear("a", area.Claim{Op: area.OpHello, Nonce: "4", MID: "m1", Boot: 5}, "a<hello(7)")
	d.hear("a", area.Claim{MID: "m2", Boot: 6}, "a<refused(replaced)")
}

func TestPreemption(t *testing.T) {
	d := idle(t)
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", playing(1000001), "a<grant(1000001,4s)")
	d.hear("b", area.Claim{Prio: area.High}, "b<queued(1) busy(held:a,b)")
	d.hear("c", area.Claim{Prio: area.Emergency}, "a<revoke(preempt) c<queued(1) busy(held:a,c,b)")
	d.now += sec
	d.hear("a", playing(1000001), "a<revoke(preempt)") // each time (§8.14), and no extension
	d.hear("b", area.Claim{Prio: area.High}, "b<queued(2)")
	d.hear("c", area.Claim{Prio: area.Emergency}, "c<queued(1)")
	d.hear("e", area.Claim{Prio: area.Emergency}, "e<queued(2) busy(held:a,c,e,b)")
	d.now += 2 * sec
	d.hear("c", area.Claim{Prio: area.Emergency}, "c<queued(1)")
	d.at(4250*time.Millisecond, "busy(held:c) c<grant(1000002,2.5s)") // e and b were silent for too long
}

func TestQueueOrder(t *testing.T) {
	d := idle(t)
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	for _, c := range []struct {
		device string
		prio   area.Priority
		wants  string
	}{
		{"b", 60, "b"}, {"c", 99, "c,b"}, {"e", area.Normal, "e,c,b"}, {"f", area.Normal, "e,f,c,b"}, {"g", area.High, "g,e,f,c,b"}, {"h", 101, "g,h,e,f,c,b"},
	} {
		d.hear(c.device, area.Claim{Prio: c.prio}, d.position(c.device, c.wants))
	}
	for i := 0; i < 60; i++ { // b grows old among its class, and never out of it
		d.now += sec
		d.step(Heard{Device: "a", Claim: d.claim("a", playing(1000001))})
		for _, n := range []string{"b", "c", "e", "f", "g", "h"} {
			p := map[string]area.Priority{"b": 60, "c": 99, "e": area.Normal, "f": area.Normal, "g": area.High, "h": 101}[n]
			d.step(Heard{Device: area.DeviceID(n), Claim: d.claim(n, area.Claim{Prio: p})})
		}
	}
	if got := d.c.aged(d.c.queue[0]); got != 66 {
		t.Errorf("after a minute 60 has become %d, want 66", got)
	}
	if got := d.c.aged(&entry{prio: 99, since: 0}); got != 99 {
		t.Errorf("background has become %d", got)
	}
	if got := len(d.c.Queue()); got != 6 {
		t.Errorf("%d wait, want 6", got)
	}
	d.now += 3 * sec
	d.step(Tick{})
	if got := len(d.c.Queue()); got != 0 {
		t.Errorf("%d silent entries are kept", got)
	}
}

func (d *stand) position(device, queue string) string {
	for i, n := range strings.Split(queue, ",") {
		if n == device {
			return fmt.Sprintf("%s<queued(%d) busy(held:a,%s)", device, i+1, queue)
		}
	}
	return ""
}

func TestSettling(t *testing.T) {
	d := newStand(t, "", nil)
	d.want(Begin{}, "busy(settling)")
	d.hear("a", want, "a<queued(0) busy(settling,a)")
	for s := 1; s <= 4; s++ {
		d.now += sec
		d.hear("a", want, "a<queued(0)")
	}
	d.at(4249*time.Millisecond, "")
	d.at(4250*time.Millisecond, "busy(held:a) a<grant(1000001,2.5s)")
}

// §8.5: the longest lease counts, until a settling has run its full length.
func TestSettlesForTheLongestLease(t *testing.T) {
	rec := `{"v":1,"term":1,"alive_ms":10250}`
	d := newStand(t, rec, nil)
	d.want(Begin{}, "busy(settling)")
	if got := string(d.disk); got != `{"v":1,"term":65,"alive_ms":10250}` {
		t.Errorf("the record of a start in between is %s", got)
	}
	d.at(10249*time.Millisecond, "")
	d.at(10250*time.Millisecond, "busy(idle)")
	if got := string(d.disk); got != `{"v":1,"term":65,"alive_ms":4250}` {
		t.Errorf("after a full settling the record is %s", got)
	}
	d.want(Configure{CoreConfig{Area: "north", Node: "hub-1", Lease: 9 * time.Second}}, "busy(idle)")
	d.want(Configure{CoreConfig{Area: "north", Node: "hub-1", Lease: 2 * time.Second}}, "busy(idle)")
	d.at(time.Hour, "")
	if got := string(d.disk); got != `{"v":1,"term":65,"alive_ms":9250}` {
		t.Errorf("after the lease has shrunk the record is %s", got)
	}
}

func TestCleanStop(t *testing.T) {
	d := idle(t)
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	d.want(Close{}, "")
	if strings.Contains(string(d.disk), "clean") {
		t.Errorf("a lease is alive, and yet the record is %s", d.disk)
	}
	d.hear("b", want, "b<queued(1) busy(held:a,b)")
	d.hear("a", done, "a<released busy(idle,b)")
	if got := string(d.disk); got != `{"v":1,"term":1,"alive_ms":4250,"clean":true}` {
		t.Errorf("the record is %s", got)
	}
	e := newStand(t, string(d.disk), nil)
	e.want(Begin{}, "busy(idle)")
	if got := string(e.disk); got != `{"v":1,"term":65,"alive_ms":4250}` {
		t.Errorf("a started core leaves the record %s", got)
	}
	e.hear("a", want, "busy(held:a) a<grant(65000001,2.5s)")
}

func TestTerms(t *testing.T) {
	for _, c := range [][3]uint64{{0, 1, 1}, {1, 1, 65}, {0, 0, 64}, {64, 0, 128}, {63, 1, 65}, {65, 63, 127}} {
		if got := nextTerm(c[0], c[1]); got != c[2] {
			t.Errorf("after %d index %d takes %d, want %d", c[0], c[1], got, c[2])
		}
	}
	d := idle(t)
	d.c.granted = area.MaxTokenN - 1
	d.hear("a", want, "busy(held:a) a<grant(1999999,2.5s)")
	d.slow = true
	d.hear("b", want, "b<queued(1) busy(held:a,b)")
	d.hear("a", done, "a<released") // the next term is not durable yet
	if got := d.commit(nil); got != "busy(held:b) b<grant(65000001,2.5s)" {
		t.Errorf("then %q", got)
	}
}

func TestACleanStopProvesNothingWhereOthersArbitrate(t *testing.T) {
	for _, shared := range []bool{false, true} {
		d := newStand(t, `{"v":1,"term":65,"alive_ms":4250,"clean":true}`, func(cfg *CoreConfig) { cfg.Others = shared })
		d.step(Begin{})
		if _, settling := d.c.Settling(); settling != shared {
			t.Errorf("shared %v: settling %v", shared, settling)
		}
	}
}

func TestTheFirstTermIsAboveWhatWasHeard(t *testing.T) {
	for name, c := range map[string]struct {
		record string
		floor  uint64
		want   uint64
	}{
		"nothing heard": {`{"v":1,"term":65,"alive_ms":0}`, 0, 129},
		"a lower one":   {`{"v":1,"term":65,"alive_ms":0}`, 3, 129},
		"a higher one":  {`{"v":1,"term":65,"alive_ms":0}`, 200, 257},
		"the same":      {"", 65, 129},
		"no term":       {"", 1 << 60, nextTerm(mostTerm-termStep, 1)},
	} {
		d := newStand(t, c.record, func(cfg *CoreConfig) { cfg.Floor = c.floor })
		if d.step(Begin{}); d.c.Term() != c.want {
			t.Errorf("%s: term %d, want %d", name, d.c.Term(), c.want)
		}
	}
}

func TestHigherTermSettles(t *testing.T) {
	d := idle(t)
	d.hear("a", area.Claim{Term: 1}, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("b", area.Claim{Term: 70}, "b<queued(0) busy(held:a,b)")
	if d.c.Term() != 129 {
		t.Errorf("term %d, want 129", d.c.Term())
	}
	d.hear("a", done, "a<released busy(settling,b)")
	d.want(HeardTerm{Term: 130}, "busy(settling,b)")
	d.now += sec
	d.hear("b", area.Claim{Term: 1 << 60}, "b<queued(0)") // no term that anybody could have
}

func TestNewcomerSettles(t *testing.T) {
	d := idle(t)
	d.hear("a", area.Claim{From: &area.From{Arbiter: "hub-1", AgoMs: 10}}, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", done, "a<released busy(idle)")
	d.hear("b", area.Claim{From: &area.From{Arbiter: "hub-2", AgoMs: 1000}}, "b<queued(0) busy(settling,b)")
	if until, ok := d.c.Settling(); !ok || until != d.now.Add(3250*time.Millisecond) {
		t.Errorf("settles until %v, %v", until, ok)
	}
	d.hear("c", area.Claim{From: &area.From{Arbiter: "hub-2", AgoMs: 60000}}, "c<queued(0) busy(settling,b,c)")
}

// §8.17: the newest token is adopted, and who is replaced stays a ghost.
func TestAdoptionTakesTheNewest(t *testing.T) {
	d := newStand(t, `{"v":1,"term":1,"alive_ms":4250}`, nil)
	d.want(Begin{}, "busy(settling)")
	d.now += 4 * sec
	d.hear("a", playing(1000005), "busy(held:a) a<grant(1000005,4s)")
	d.hear("x", playing(1000001), "x<revoke(stale)")
	d.now += sec / 10
	d.hear("b", playing(1000006), "busy(held:b) b<grant(1000006,4s)")
	d.hear("c", want, "c<queued(0) busy(held:b,c)")
	d.now += sec / 4
	d.hear("b", done, "b<released busy(idle,c)")
	d.hear("c", want, "c<queued(1)") // settled, and nobody holds; a may still sound
	d.hear("a", playing(1000005), "a<revoke(stale)")
	for range 3 {
		d.now += sec
		d.hear("c", want, "c<queued(1)")
	}
	d.at(8250*time.Millisecond, "busy(held:c) c<grant(65000001,2.5s)")
	if n := d.c.Counts().Adoptions; n != 2 {
		t.Errorf("%d adoptions, want 2", n)
	}

	d = newStand(t, `{"v":1,"term":1,"alive_ms":4250}`, nil)
	d.want(Begin{}, "busy(settling)")
	d.now += 4 * sec
	d.hear("a", playing(1000005), "busy(held:a) a<grant(1000005,4s)")
	d.hear("b", playing(200000006), "b<grant(200000006,4s) busy(held:b)") // a newer term lifts ours
	if d.c.Term() != 257 {
		t.Errorf("term %d, want 257", d.c.Term())
	}
}

func TestLedgerFails(t *testing.T) {
	d := newStand(t, "", func(c *CoreConfig) { c.ColdStart = true })
	d.slow = true
	d.want(Begin{}, "")
	d.hear("a", want, "a<queued(1)")
	if got := d.commit(errors.New("disk full")); got != "" {
		t.Errorf("after the error %q", got)
	}
	d.now += sec
	d.want(Tick{}, "")
	if got := d.commit(nil); got != "busy(held:a) a<grant(1000001,2.5s)" {
		t.Errorf("after the sec write %q", got)
	}
	d.hear("a", playing(1000001), "a<grant(1000001,4s)")
	if len(d.await) != 0 {
		t.Error("a lease was written down")
	}
}

func TestCoreConfig(t *testing.T) {
	if err := (CoreConfig{}).Validate(); err == nil || !strings.Contains(err.Error(), "area") || !strings.Contains(err.Error(), "node") {
		t.Errorf("an empty config is %v", err)
	}
	bad := CoreConfig{Area: "a", Node: "n", Index: 64, Lease: time.Millisecond, Guard: -1}
	if err := bad.Validate(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three faults gave %v", err)
	}
	if _, err := NewCore(bad, nil); err == nil {
		t.Error("NewCore took it")
	}
	if got := (CoreConfig{}).filled(); got.StartLease != 3500*time.Millisecond || got.Guard != 250*time.Millisecond {
		t.Errorf("defaults are %+v", got)
	}
}
