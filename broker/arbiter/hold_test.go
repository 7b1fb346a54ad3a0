package arbiter

import (
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// classicWant is what the hub says for a classic client.
func (d *stand) classicWant(c area.Claim, want string) {
	d.t.Helper()
	d.want(Heard{Device: "k", Claim: d.claim("k", c), Hold: true}, want)
}

// §8.3: a classic hold is durable before it is granted, and ends by false or
// past its time, never by a lost connection or a new start.
func TestClassicHold(t *testing.T) {
	d := idle(t)
	d.slow = true
	d.classicWant(area.Claim{Dur: 8 * time.Second}, "k<queued(1) busy(idle)")
	d.hear("a", want, "a<queued(1) busy(idle,a)")
	if !strings.Contains(string(d.await[0].Record), `"kind":"classic","device":"k","boot":1,"mid":"m-k","claim":1,"token":1000001,"prio":100,"left_ms":15000`) {
		t.Errorf("the record is %s", d.await[0].Record)
	}
	if got := d.commit(nil); got != "busy(held:k,a) k<grant(1000001,0s)" {
		t.Errorf("once durable: %q", got)
	}
	d.slow = false
	d.classicWant(area.Claim{Dur: 8 * time.Second, Playing: true, Token: 1000001}, "k<grant(1000001,0s)")
	d.want(DeviceDown{Device: "k"}, "")
	d.want(Set{Device: "k", Will: true}, "")
	d.classicWant(area.Claim{Op: area.OpHello, Boot: 2, Nonce: "n"}, "k<hello(2)")
	for range 14 {
		d.now += sec
		d.hear("a", area.Claim{Prio: area.Emergency}, "a<queued(1)") // it cannot be revoked
	}
	d.at(15*time.Second, "busy(held:a) a<grant(1000002,2.5s)")
	if n := d.c.Counts().Intruders; n != 1 {
		t.Errorf("%d intruders, want the one past its time", n)
	}
}

func TestClassicHoldEndsByFalse(t *testing.T) {
	for name, end := range map[string]Event{
		"done": Heard{Device: "k", Claim: area.Claim{Op: area.OpDone, Boot: 1, MID: "m-k", Claim: 1, Seq: 9, Token: 1000001, Result: area.Played}, Hold: true},
		"0":    Set{Device: "k"},
	} {
		t.Run(name, func(t *testing.T) {
			d := idle(t)
			d.classicWant(want, "k<queued(1) busy(idle) busy(held:k) k<grant(1000001,0s)")
			if got := d.step(end); !strings.Contains(got, "busy(idle)") {
				t.Errorf("it did %q", got)
			}
			if strings.Contains(string(d.disk), "classic") {
				t.Errorf("the record is %s", d.disk)
			}
		})
	}
}

func TestClassicHoldOutlivesTheArbiter(t *testing.T) {
	d := idle(t)
	d.classicWant(want, "k<queued(1) busy(idle) busy(held:k) k<grant(1000001,0s)")
	e := newStand(t, string(d.disk), nil)
	e.want(Begin{}, "busy(held:k)")
	e.hear("a", want, "a<queued(0) busy(held:k,a)")
	e.at(119*time.Second, "busy(held:k)") // the entry was silent
	e.hear("a", want, "a<queued(1) busy(held:k,a)")
	e.at(120*time.Second, "busy(held:a) a<grant(65000001,2.5s)")

	// A newer token shows that the hold of the record had ended.
	e = newStand(t, string(d.disk), nil)
	e.want(Begin{}, "busy(held:k)")
	e.hear("a", playing(1000002), "busy(held:a) a<grant(1000002,4s)")
	e.hear("a", done, "a<released busy(settling)")
	e.at(4250*time.Millisecond, "busy(idle)")
	e.hear("b", want, "busy(held:b) b<grant(65000001,2.5s)")
}

func TestLateClassicGrantIsCounted(t *testing.T) {
	d := idle(t)
	d.classicWant(want, "k<queued(1) busy(idle) busy(held:k) k<grant(1000001,0s)")
	d.now += 6 * sec
	d.classicWant(want, "k<grant(1000001,0s)")
	d.classicWant(want, "k<grant(1000001,0s)")
	if n := d.c.Counts().Intruders; n != 1 {
		t.Errorf("%d intruders, want 1", n)
	}
}

func TestProposalIsDroppedWhenSomethingSounds(t *testing.T) {
	d := idle(t)
	d.slow = true
	d.classicWant(want, "k<queued(1) busy(idle)")
	d.want(Set{Device: "x", On: true}, "busy(idle!x)")
	if got := d.commit(nil); got != "busy(idle!x)" {
		t.Errorf("once durable: %q", got)
	}
}

// §8.6: a will of a dumb device is a lost connection, not a 0.
func TestDumbHold(t *testing.T) {
	d := idle(t)
	d.want(Set{Device: "x", On: true}, "busy(held:x)")
	if !strings.Contains(string(d.disk), `"kind":"dumb","device":"x"`) {
		t.Errorf("the record is %s", d.disk)
	}
	d.hear("a", want, "a<queued(1) busy(held:x,a)")
	d.want(Set{Device: "x", Will: true}, "")
	for range 29 {
		d.now += sec
		d.hear("a", want, "a<queued(1)")
	}
	e := newStand(t, string(d.disk), nil) // durable, whole
	e.want(Begin{}, "busy(held:x)")
	e.want(Set{Device: "x"}, "busy(settling)")

	d.at(30*time.Second, "busy(held:a) a<grant(1000002,2.5s)")

	d = idle(t)
	d.want(Set{Device: "x", On: true}, "busy(held:x)")
	d.want(Set{Device: "x"}, "busy(idle)") // a live 0
	d.want(Set{Device: "x"}, "")
	d.want(Set{Device: "x", On: true}, "busy(held:x)")
	d.want(DeviceUp{Device: "x", Dumb: true}, "")
	d.want(DeviceDown{Device: "x"}, "") // a lost connection too
	d.now += 20 * sec
	d.want(Set{Device: "x", On: true}, "") // it is back
	d.now += 119 * sec
	d.want(Tick{}, "")
	d.now += sec
	d.want(Tick{}, "busy(idle)")
}

func TestIntruder(t *testing.T) {
	d := idle(t)
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	d.want(Set{Device: "x", On: true}, "busy(held:a!x)")
	d.want(Set{Device: "x", On: true}, "")
	d.hear("b", want, "b<queued(1) busy(held:a,b!x)")
	d.hear("a", done, "a<released busy(idle,b!x)")
	if d.c.Busy().Flag() != "1" {
		t.Error("the flag does not show the intruder")
	}
	d.hear("b", want, "b<queued(1)") // until both have ended
	d.want(Set{Device: "x"}, "busy(held:b) b<grant(1000002,2.5s)")
	d.want(Set{Device: "b", On: true}, "") // it has the area anyway
}

func TestRecord(t *testing.T) {
	for in, ok := range map[string]bool{
		``:                          true,
		`{"v":1,"term":5}`:          true,
		`{"v":2,"term":5}`:          false,
		`{"term":5}`:                false,
		`{"v":1,"more":1}`:          false,
		`{"v":1} {}`:                false,
		`null`:                      false,
		`[]`:                        false,
		`{"v":1,"term":-1}`:         false,
		`{"v":1,"term":1e3}`:        false,
		`{"v":1,"term":9007199255}`: false,
		`{"v":1,"alive_ms":-1}`:     false,
		`{"v":1,"holds":[{"kind":"lease","device":"a"}]}`:          false,
		`{"v":1,"holds":[{"kind":"dumb","device":"a"}]}`:           true,
		`{"v":1,"works":[{"work":"w"}]}`:                           false,
		`{"v":1,"works":[{"work":"w","att":1,"end":"offered"}]}`:   false,
		`{"v":1,"works":[{"work":"w","att":1,"end":"cancelled"}]}`: true,
	} {
		if _, err := parseRecord([]byte(in)); (err == nil) != ok {
			t.Errorf("%s: error %v, want readable %v", in, err, ok)
		}
	}
	if _, err := NewCore(CoreConfig{Area: "a", Node: "n"}, []byte("{")); err == nil {
		t.Error("NewCore began without knowing the past")
	}
	all := record{Term: 65, AliveMs: 4250, Clean: true, Holds: []holdRecord{{Kind: classic, Device: "d", Boot: 1, MID: "m", Claim: 2, Token: 65000001, Prio: 100, LeftMs: 15000, Work: "w", Att: 1}},
		Works: []workRecord{{Work: "w", Att: 2, Device: "d", Boot: 1, MID: "m", Reason: "cut", End: area.OrderFailed, DurMs: 900}}}
	const golden = `{"v":1,"term":65,"alive_ms":4250,"clean":true,"holds":[{"kind":"classic","device":"d","boot":1,"mid":"m","claim":2,"token":65000001,"prio":100,"left_ms":15000,"work":"w","att":1}],` +
		`"works":[{"work":"w","att":2,"device":"d","boot":1,"mid":"m","reason":"cut","end":"failed","dur_ms":900}]}`
	if got := string(all.encode()); got != golden {
		t.Errorf("record\n got %s\nwant %s", got, golden)
	}
	if back, err := parseRecord([]byte(golden)); err != nil || string(back.encode()) != golden {
		t.Errorf("read back: %+v, %v", back, err)
	}
}

func FuzzRecord(f *testing.F) {
	for _, s := range []string{"", `{"v":1,"term":5,"alive_ms":4250}`, `{"v":1,"holds":[{"kind":"dumb","device":"a","left_ms":1}],"works":[{"work":"w","att":1}]}`, `{"v":3}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		again, err := parseRecord(r.encode())
		if err != nil || string(again.encode()) != string(r.encode()) {
			t.Errorf("%s became %s, %v", b, r.encode(), err)
		}
		c, err := NewCore(CoreConfig{Area: "a", Node: "n"}, b)
		if err != nil {
			t.Fatalf("a readable record is refused: %v", err)
		}
		c.Step(Begin{}, 1000)
		if c.Next() < 1000 {
			t.Errorf("%s: next is %v", b, c.Next())
		}
	})
}
