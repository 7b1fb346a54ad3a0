package turn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const ms = area.Instant(time.Millisecond)

// bench drives a turn and writes each action as one short word.
type bench struct {
	t    *testing.T
	turn *Turn
	now  area.Instant
	seq  uint64 // of the newest message
}

func newBench(t *testing.T, change func(*Config)) *bench {
	n := 0
	cfg := Config{Area: "north", Device: "d1", MID: "m1", Boot: 5, Lease: 4 * time.Second, Nonce: func() string { n++; return fmt.Sprint("n", n) }}
	if change != nil {
		change(&cfg)
	}
	return &bench{t: t, turn: New(cfg)}
}

func (b *bench) step(ev Event) string {
	b.t.Helper()
	var words []string
	for _, a := range b.turn.Step(ev, b.now) {
		words = append(words, b.word(a))
	}
	return strings.Join(words, " ")
}

func (b *bench) word(a Action) string {
	switch a := a.(type) {
	case Send:
		c := a.Claim
		if c.Seq <= b.seq && c.Seq != 1 {
			b.t.Errorf("seq %d after %d", c.Seq, b.seq)
		}
		b.seq = c.Seq
		switch c.Op {
		case area.OpHello:
			return fmt.Sprintf("hello(%d,%s)", c.Boot, c.Nonce)
		case area.OpWant:
			return fmt.Sprintf("want(%d,%v,%d)", c.Claim, c.Playing, c.Token)
		case area.OpDone:
			return fmt.Sprintf("done(%d,%s)", c.Claim, c.Result)
		}
		return fmt.Sprintf("%s(%s,%d)", c.Op, c.Work, c.Att)
	case Start:
		return fmt.Sprintf("START(%d)", a.Token)
	case Stop:
		return fmt.Sprintf("STOP(%v,%s)", a.Within, a.Result)
	case Free:
		return fmt.Sprintf("FREE(%d,%s)", a.Claim, a.Result)
	case Assigned:
		return fmt.Sprintf("ASSIGNED(%s)", a.Work)
	case Refused:
		return fmt.Sprintf("REFUSED(%s,%s)", a.Work, a.Reason)
	case Booted:
		b.seq = 0
		return fmt.Sprintf("BOOTED(%d)", a.Boot)
	case Replaced:
		return fmt.Sprintf("REPLACED(%v)", a.Again)
	case Deaf:
		return "DEAF"
	}
	return "?"
}

func (b *bench) want(ev Event, want string) {
	b.t.Helper()
	if got := b.step(ev); got != want {
		b.t.Errorf("at %v: %T%+v did %q, want %q", time.Duration(b.now), ev, ev, got, want)
	}
}

func (b *bench) hear(a area.Answer, want string) {
	b.t.Helper()
	if a.Boot == 0 {
		a.Boot = b.turn.boot
	}
	if a.MID == "" {
		a.MID = "m1"
	}
	if a.Claim == 0 {
		a.Claim = b.turn.claim
	}
	if a.From == "" {
		a.From = "hub-1"
	}
	b.want(Heard{a}, want)
}

// at goes to an instant and ticks.
func (b *bench) at(now area.Instant, want string) {
	b.t.Helper()
	b.now = now
	b.want(Tick{}, want)
}

func (b *bench) greeted() *bench {
	b.t.Helper()
	b.want(Up{}, "hello(5,n1)")
	b.hear(area.Answer{Op: area.OpHello, Nonce: "n1", Term: 3}, "")
	return b
}

func (b *bench) playing() *bench {
	b.t.Helper()
	b.greeted()
	b.want(Wish{Work: "w", Att: 1, Prio: area.Normal, Dur: time.Second}, "want(1,false,0)")
	b.hear(area.Answer{Op: area.OpGrant, Ack: b.seq, Token: 3000001, Lease: 4 * time.Second}, "START(3000001) want(1,true,3000001)")
	return b
}

func TestPlayedToTheEnd(t *testing.T) {
	b := newBench(t, nil).playing()
	// 4 s less 0.5 % less 200 ms after the want was sent.
	if got, want := b.turn.Deadline(), 3780*ms; got != want {
		t.Errorf("deadline %v, want %v", got, want)
	}
	b.at(500*ms, "")
	b.at(1000*ms, "want(1,true,3000001)")
	b.now = 1200 * ms
	b.hear(area.Answer{Op: area.OpGrant, Ack: b.seq, Token: 3000001, Lease: 4 * time.Second}, "")
	if got, want := b.turn.Deadline(), 4780*ms; got != want {
		t.Errorf("extended to %v, want %v: it counts from sending", got, want)
	}
	b.now = 1500 * ms
	b.want(Over{Result: area.Played}, "done(1,played)")
	b.at(2500*ms, "done(1,played)")
	b.hear(area.Answer{Op: area.OpReleased, Claim: 9}, "")
	b.hear(area.Answer{Op: area.OpReleased}, "FREE(1,played)")
	if b.turn.Phase() != Idle || b.turn.Next() != area.Never || b.turn.Deadline() != 0 {
		t.Errorf("after the end: %v, next %v, deadline %v", b.turn.Phase(), b.turn.Next(), b.turn.Deadline())
	}
	b.want(Wish{}, "want(2,false,0)")
}

func TestGrantThatDoesNotCount(t *testing.T) {
	good := area.Answer{Op: area.OpGrant, Ack: 2, Token: 7, Lease: 4 * time.Second}
	for name, change := range map[string]func(*area.Answer){
		"other machine":      func(a *area.Answer) { a.MID = "m2" },
		"other start":        func(a *area.Answer) { a.Boot = 4 },
		"other claim":        func(a *area.Answer) { a.Claim = 2 },
		"never sent":         func(a *area.Answer) { a.Ack = 3 },
		"forgotten":          func(a *area.Answer) { a.Ack = 2 + ringLen },
		"no ack":             func(a *area.Answer) { a.Ack = 0; a.Claim = 1 },
		"no token":           func(a *area.Answer) { a.Token = 0 },
		"over on arrival":    func(a *area.Answer) { a.Lease = 200 * time.Millisecond },
		"a hold, not leased": func(a *area.Answer) { a.Hold, a.Lease = true, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil).greeted()
			b.want(Wish{}, "want(1,false,0)")
			bad := good
			change(&bad)
			b.hear(bad, "")
			b.hear(good, "START(7) want(1,true,7)")
		})
	}
}

func TestLateGrantIsNoGrant(t *testing.T) {
	b := newBench(t, nil).greeted()
	b.want(Wish{}, "want(1,false,0)")
	b.at(3780*ms-1, "want(1,false,0)")
	b.now = 3780 * ms
	b.hear(area.Answer{Op: area.OpGrant, Ack: 2, Token: 7, Lease: 4 * time.Second}, "")
	b.hear(area.Answer{Op: area.OpGrant, Ack: 3, Token: 7, Lease: 4 * time.Second}, "START(7) want(1,true,7)")
}

func TestLowerTokenIsRefused(t *testing.T) {
	b := newBench(t, nil).playing()
	b.now = 1000 * ms
	b.step(Tick{})
	b.hear(area.Answer{Op: area.OpGrant, Ack: b.seq, Token: 3000000, Lease: 4 * time.Second}, "")
	if got := b.turn.Deadline(); got != 3780*ms {
		t.Errorf("a lower token moved the deadline to %v", got)
	}
}

func TestDeadline(t *testing.T) {
	b := newBench(t, nil).playing()
	for i := area.Instant(1); i < 4; i++ {
		b.at(i*1000*ms, "want(1,true,3000001)")
		b.hear(area.Answer{Op: area.OpQueued}, "") // heard, but not extended
	}
	// A grant that is read after the deadline does not revive the play.
	b.now = 3780 * ms
	b.hear(area.Answer{Op: area.OpGrant, Ack: b.seq, Token: 3000001, Lease: 4 * time.Second}, "STOP(0s,stopped)")
	b.want(Over{Result: area.Failed}, "done(1,stopped)")

	b = newBench(t, nil).playing()
	b.want(Down{}, "")
	b.at(3780*ms, "STOP(0s,stopped)")
	b.at(3979*ms, "")
	b.at(3980*ms, "") // nobody said over: by now it is, and the done waits for a connection
	if b.turn.Phase() != Done {
		t.Errorf("phase %v after the stop latency", b.turn.Phase())
	}
	b.want(Up{}, "hello(5,n2) done(1,stopped)")
}

func TestRevoked(t *testing.T) {
	b := newBench(t, nil).playing()
	b.now = 100 * ms
	b.hear(area.Answer{Op: area.OpRevoke, Token: 1, Stop: 150 * time.Millisecond}, "")
	b.hear(area.Answer{Op: area.OpRevoke, Token: 3000001, Stop: 150 * time.Millisecond, Reason: area.ReasonPreempt}, "STOP(150ms,preempted)")
	b.hear(area.Answer{Op: area.OpRevoke, Token: 3000001, Stop: 150 * time.Millisecond, Reason: area.ReasonPreempt}, "")
	if got := b.turn.Deadline(); got != 250*ms {
		t.Errorf("deadline %v, want 250 ms", got)
	}
	b.hear(area.Answer{Op: area.OpGrant, Ack: b.seq, Token: 3000001, Lease: 4 * time.Second}, "")
	b.now = 200 * ms
	b.want(Over{Result: area.Preempted}, "done(1,preempted)")
}

func TestRevokedAtTheLastSample(t *testing.T) {
	b := newBench(t, nil).playing()
	b.hear(area.Answer{Op: area.OpRevoke, Token: 3000001, Stop: 150 * time.Millisecond, Reason: area.ReasonAdmin}, "STOP(150ms,cancelled)")
	b.want(Over{Result: area.Played}, "done(1,played)")
}

func TestRevokedBeforeTheGrantWasHeard(t *testing.T) {
	b := newBench(t, nil).greeted()
	b.want(Wish{}, "want(1,false,0)")
	b.hear(area.Answer{Op: area.OpRevoke, Token: 9, Reason: area.ReasonPreempt}, "done(1,preempted)")
	b.hear(area.Answer{Op: area.OpGrant, Ack: 2, Token: 9, Lease: 4 * time.Second}, "")
}

func TestDeafAfterFourRefreshes(t *testing.T) {
	for name, start := range map[string]func(*bench){
		"hello":   func(b *bench) { b.step(Up{}) },
		"waiting": func(b *bench) { b.greeted().step(Wish{}) },
		"done":    func(b *bench) { b.playing().step(Over{Result: area.Played}) },
		"take":    func(b *bench) { b.greeted().step(Take{"w", 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			start(b)
			for i := area.Instant(1); i < 4; i++ {
				b.now = i * 1000 * ms
				if got := b.step(Tick{}); strings.Contains(got, "DEAF") || got == "" {
					t.Errorf("refresh %d: %q", i, got)
				}
			}
			b.at(4000*ms, "DEAF")
			if next := b.turn.Next(); next != area.Never {
				t.Errorf("deaf, and yet next is %v", next)
			}
			if got := b.step(Up{}); !strings.HasPrefix(got, "hello(") {
				t.Errorf("up again: %q", got)
			}
		})
	}
}

func TestNoWantBeforeHello(t *testing.T) {
	b := newBench(t, nil)
	b.want(Wish{}, "")
	b.want(Take{"w2", 1}, "")
	b.want(Up{}, "hello(5,n1)")
	b.at(1000*ms, "hello(5,n1)")
	b.hear(area.Answer{Op: area.OpHello, Nonce: "n0"}, "")
	b.want(Heard{area.Answer{Op: area.OpHello, Boot: 5, Nonce: "n1", MID: "m2"}}, "")
	b.hear(area.Answer{Op: area.OpHello, Nonce: "n1"}, "want(1,false,0) take(w2,1)")
}

func TestBootIsAdoptedOnlyWhileSilent(t *testing.T) {
	b := newBench(t, nil)
	b.step(Up{})
	b.hear(area.Answer{Op: area.OpHello, Boot: 9, Nonce: "n1"}, "BOOTED(9)")
	b.want(Wish{}, "want(1,false,0)")
	b.want(Up{}, "hello(9,n2) want(1,false,0)")
	b.hear(area.Answer{Op: area.OpHello, Boot: 12, Nonce: "n2"}, "hello(9,n3)")
	b.hear(area.Answer{Op: area.OpHello, Boot: 12, Nonce: "n3"}, "BOOTED(12) want(1,false,0)")

	b = newBench(t, nil).playing()
	b.step(Up{})
	b.hear(area.Answer{Op: area.OpHello, Boot: 6, Nonce: "n2"}, "")
	b.at(1000*ms, "")
	b.now = 2000 * ms
	b.want(Over{Result: area.Played}, "FREE(1,played) hello(5,n3)")
	b.hear(area.Answer{Op: area.OpHello, Boot: 6, Nonce: "n3"}, "BOOTED(6)")
}

func TestNoDisk(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Boot = 0 })
	b.want(Up{}, "hello(0,n1)")
	b.want(Heard{area.Answer{Op: area.OpHello, MID: "m1", Nonce: "n1"}}, "")
	b.hear(area.Answer{Op: area.OpHello, Boot: 77, Nonce: "n1"}, "BOOTED(77)")
}

func TestStale(t *testing.T) {
	b := newBench(t, nil).playing()
	b.hear(area.Answer{Op: area.OpStale}, "")
	b.hear(area.Answer{Op: area.OpGrant, Ack: b.seq, Token: 3000001, Lease: 60 * time.Second}, "")
	b.want(Up{}, "") // still sounding: hello comes after the end
	b.at(1000*ms, "")
	b.at(3780*ms, "STOP(0s,stopped)")
	b.want(Over{Result: area.Stopped}, "FREE(1,stopped) hello(5,n2)")

	b = newBench(t, nil).greeted()
	b.want(Wish{}, "want(1,false,0)")
	b.hear(area.Answer{Op: area.OpStale}, "hello(5,n2)")
	b.hear(area.Answer{Op: area.OpGrant, Claim: 1, Ack: 2, Token: 9, Lease: 4 * time.Second}, "")
	b.hear(area.Answer{Op: area.OpHello, Boot: 8, Nonce: "n2"}, "BOOTED(8) want(1,false,0)")
}

func TestReplaced(t *testing.T) {
	b := newBench(t, nil).playing()
	b.hear(area.Answer{Op: area.OpRefused, Reason: area.ReasonReplaced}, "REPLACED(5s)")
	b.at(3780*ms, "STOP(0s,stopped)")
	b.want(Over{Result: area.Stopped}, "FREE(1,stopped)")
	b.want(Wish{}, "")
	b.at(4999*ms, "")
	b.at(5000*ms, "hello(5,n2)")
	b.hear(area.Answer{Op: area.OpRefused, Reason: area.ReasonReplaced, Claim: 1 << 40}, "REPLACED(10s)")
	b.at(15000*ms, "hello(5,n3)")
	b.want(Down{}, "")
	b.want(Up{}, "hello(5,n4)")
	b.hear(area.Answer{Op: area.OpRefused, Reason: area.ReasonReplaced}, "REPLACED(20s)")
	b.at(35000*ms, "hello(5,n5)")
	b.hear(area.Answer{Op: area.OpRefused, Reason: area.ReasonReplaced}, "REPLACED(30s)") // at most
	b.at(65000*ms, "hello(5,n6)")
	b.hear(area.Answer{Op: area.OpHello, Boot: 6, Nonce: "n6"}, "BOOTED(6) want(1,false,0)")
	b.hear(area.Answer{Op: area.OpRefused, Reason: area.ReasonReplaced}, "REPLACED(5s)") // anew
}

func TestTake(t *testing.T) {
	b := newBench(t, nil).greeted()
	b.want(Take{"w1", 1}, "take(w1,1)")
	b.want(Take{"w1", 1}, "")
	b.want(Take{"w2", 1}, "take(w2,1)")
	b.at(1000*ms, "take(w1,1) take(w2,1)")
	b.hear(area.Answer{Op: area.OpAssigned, Work: "w1", Prio: area.Normal}, "ASSIGNED(w1)")
	b.hear(area.Answer{Op: area.OpAssigned, Work: "w1", Prio: area.Normal}, "")
	b.hear(area.Answer{Op: area.OpRefused, Work: "w2", Reason: area.ReasonTaken, Claim: 1 << 40}, "REFUSED(w2,taken)")
	b.want(Decline{Work: "w1", Att: 1}, "decline(w1,1)")
	if b.turn.Next() != area.Never {
		t.Error("there is nothing left to say, and yet a tick is due")
	}
	for i := range 20 {
		b.step(Take{area.WorkID(fmt.Sprint("t", i)), 1})
	}
	if n := len(b.turn.takes); n != mostTakes {
		t.Errorf("%d takes are kept, want %d", n, mostTakes)
	}
}

func TestKnown(t *testing.T) {
	b := newBench(t, nil)
	b.want(Known{"w", 2}, "")
	b.greeted()
	b.want(Known{"w", 2}, "done(0,played)")
	b.hear(area.Answer{Op: area.OpReleased}, "")
}

func TestEmergencyEndsOwnPlay(t *testing.T) {
	b := newBench(t, nil).playing()
	b.want(Take{"e", 1}, "take(e,1)")
	b.hear(area.Answer{Op: area.OpAssigned, Work: "e", Prio: area.Emergency}, "ASSIGNED(e) STOP(150ms,preempted)")
	b.want(Over{Result: area.Preempted}, "done(1,preempted)")
	b.hear(area.Answer{Op: area.OpReleased}, "FREE(1,preempted)")
	b.want(Wish{Work: "e", Att: 1, Prio: area.Emergency}, "want(2,false,0)")

	b.want(Take{"f", 1}, "take(f,1)")
	b.hear(area.Answer{Op: area.OpAssigned, Work: "f", Prio: area.Emergency}, "ASSIGNED(f)") // one of its own class
	b = newBench(t, nil).playing()
	b.step(Take{"h", 1})
	b.hear(area.Answer{Op: area.OpAssigned, Work: "h", Prio: area.High}, "ASSIGNED(h)") // high does not pre-empt
}

func TestRefusedWish(t *testing.T) {
	b := newBench(t, nil).greeted()
	b.want(Wish{Work: "w", Att: 1}, "want(1,false,0)")
	b.hear(area.Answer{Op: area.OpRefused, Work: "w", Reason: area.ReasonExpired}, "REFUSED(w,expired) done(1,expired)")
	b.hear(area.Answer{Op: area.OpReleased}, "FREE(1,expired)")

	b = newBench(t, nil).playing()
	b.hear(area.Answer{Op: area.OpRefused, Work: "w", Reason: area.ReasonSuperseded}, "REFUSED(w,superseded) STOP(0s,cancelled)")
}

func TestWithdraw(t *testing.T) {
	b := newBench(t, nil)
	b.want(Wish{}, "")
	b.want(Withdraw{area.Cancelled}, "FREE(0,cancelled)") // never said
	b.greeted()
	b.want(Wish{}, "want(1,false,0)")
	b.want(Withdraw{area.Expired}, "done(1,expired)")
	b = newBench(t, nil).playing()
	b.want(Withdraw{area.Cancelled}, "STOP(0s,cancelled)")
	b.want(Wish{}, "") // one at a time
	b.want(Over{Result: area.Cancelled}, "done(1,cancelled)")
}

func TestHold(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Hold = true }).greeted()
	b.want(Wish{}, "want(1,false,0)")
	b.hear(area.Answer{Op: area.OpGrant, Ack: 2, Token: 7, Lease: 4 * time.Second}, "")
	b.hear(area.Answer{Op: area.OpGrant, Ack: 2, Token: 7, Hold: true}, "START(7) want(1,true,7)")
	if b.turn.Deadline() != area.Never {
		t.Errorf("a hold has the deadline %v", b.turn.Deadline())
	}
	b.want(Down{}, "")
	b.at(500_000*ms, "")
	b.want(Over{Result: area.Played}, "")
	b.want(Up{}, "hello(5,n2) done(1,played)")
}

func TestTermAndFromAreSaid(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Term = 2 })
	hello := b.turn.Step(Up{}, 0)[0].(Send).Claim
	if hello.Term != 2 || hello.From != nil {
		t.Errorf("first hello says term %d, from %v", hello.Term, hello.From)
	}
	b.hear(area.Answer{Op: area.OpHello, Nonce: "n1", Term: 64}, "")
	b.step(Lease{Lease: 8 * time.Second, Term: 70})
	b.now = 900 * ms
	want := b.turn.Step(Wish{}, b.now)[0].(Send).Claim
	if want.Term != 70 || want.From == nil || *want.From != (area.From{Arbiter: "hub-1", AgoMs: 900}) {
		t.Errorf("want says term %d, from %+v", want.Term, want.From)
	}
	if next := b.turn.Next(); next != 2900*ms {
		t.Errorf("refresh at %v, want 2 s later", next)
	}
}

func TestConfig(t *testing.T) {
	if err := (Config{Lease: -1}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three faults gave %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("New took a config that is not valid")
		}
	}()
	New(Config{})
}
