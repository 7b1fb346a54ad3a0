package arbiter

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// glass drives a mirror and writes each action as one short word. Its disk
// answers at once unless it is told to hold its answers back.
type glass struct {
	t      *testing.T
	m      *mirror
	now    area.Instant
	mine   uint64 // term of the core; 0: there is none
	left   Yielded
	disk   []byte
	slow   bool
	held   []kept
	serves []area.DeviceID // as the leader said last
	fail   error
}

func newGlass(t *testing.T, rec string) *glass {
	t.Helper()
	m, err := newMirror(mirrorConfig{area: "north", node: "hub-1", lease: 4 * time.Second, rev: 1000}, []byte(rec), 1000*sec)
	if err != nil {
		t.Fatal(err)
	}
	m.local, m.wall = true, 1_700_000_000_000
	g := &glass{t: t, m: m, now: 1000 * sec, left: Yielded{Term: 64, Alive: 4250 * time.Millisecond}}
	if m.leader == "" {
		g.mine = 64
	}
	return g
}

func (g *glass) step(ev Event) string {
	g.t.Helper()
	var words []string
	for queue := []Event{ev}; len(queue) > 0; {
		ev := queue[0]
		queue = queue[1:]
		for _, a := range append([]Action(nil), g.m.step(ev, g.mine, g.now)...) {
			switch a := a.(type) {
			case yield:
				g.mine = 0
				g.left.Term = 64
				queue = append(queue, yielded{g.left})
				words = append(words, "yield")
			case takeOver:
				g.mine = nextTerm(a.floor, 0)
				words = append(words, fmt.Sprintf("takeover(%d)", a.floor))
			case played: // notes it; TestPlaysOfWhichALeaderTells has that
			case keep:
				if answer := (kept{a.seq, g.fail}); g.slow {
					g.held = append(g.held, answer)
				} else {
					queue = append(queue, answer)
				}
				if g.fail == nil {
					g.disk = a.record
				}
			case serving:
				g.serves = a.devices
			default:
				words = append(words, g.word(a))
			}
		}
	}
	return strings.Join(words, " ")
}

func (g *glass) word(a Action) string {
	switch a := a.(type) {
	case down:
		return fmt.Sprintf("%s<%s", a.to, wordOf(a.msg))
	case toCore:
		s := fmt.Sprintf("%T", a.ev)
		switch ev := a.ev.(type) {
		case Inherit:
			s += fmt.Sprintf("(%v,%d)", ev.Settle, len(ev.Holds))
		case Submit:
			s += fmt.Sprintf("(%s,%d%s)", ev.Work.ID, ev.Att, givenTo(ev.Given))
		case Ended:
			s += fmt.Sprintf("(%s,%s)", ev.Report.Work, ev.Report.State)
		case HeardTerm:
			s += fmt.Sprintf("(%d)", ev.Term)
		}
		return "core:" + strings.TrimPrefix(s, "arbiter.")
	case led:
		return fmt.Sprintf("leader(%s,%d)", a.leader.Host, a.leader.Term)
	case mirrored:
		s := fmt.Sprintf("busy(%s,%d,%d", a.busy.State, a.busy.Term, a.busy.Rev)
		if a.busy.Holder != nil {
			s += ":" + string(*a.busy.Holder)
		}
		return s + ")"
	case severed:
		return fmt.Sprintf("severed(%s)", a.leader)
	case tell:
		return [...]string{"LED", "SILENT", "BACK", "RESIGNED", "SPLIT", "TAKEN", "REFUSED", "WHOLE"}[a.what]
	case relay:
		return "relay(" + a.topic + ")"
	case adopt:
		return fmt.Sprintf("adopt(%s,%s)", a.order.ID, a.report.State)
	case recorded:
		return fmt.Sprintf("record(%s,%v)", a.line, a.ago)
	case Report:
		s := fmt.Sprintf("report(%s,%s,%d", a.Report.Work, a.Report.State, a.Report.Att)
		if a.Report.Reason != "" {
			s += "," + a.Report.Reason
		}
		return s + ")"
	case departed:
		return fmt.Sprintf("gone(%s,%s)", a.device, a.reason)
	case Poll:
		return fmt.Sprintf("poll(%s,%d)", a.Poll.Arbiter, a.Poll.N)
	case Say:
		return fmt.Sprintf("say(%s,%s)", a.Device, a.Answer.Op)
	case HoldOut:
		return fmt.Sprintf("offer(%s>%s)", a.Offer.Work, a.Device)
	}
	return fmt.Sprintf("%T", a)
}

func wordOf(t area.Trunk) string {
	s := string(t.Op)
	switch t.Op {
	case area.TrunkLed:
		s += fmt.Sprintf("(%d,%d)", t.SettleMs, len(t.Holds))
	case area.TrunkRefused:
		s += fmt.Sprintf("(%s,%d)", t.Reason, t.Term)
	case area.TrunkWitness:
		s += fmt.Sprintf("(%v,%s)", t.Live, t.Leader)
	case area.TrunkSubmit:
		s += fmt.Sprintf("(%s,%d%s)", t.Handed.Work, t.Handed.Att, givenTo(t.Handed.Given))
	case area.TrunkGot:
		s += fmt.Sprintf("(%d)", t.N)
	case area.TrunkHeard, area.TrunkVote, area.TrunkSet, area.TrunkUp, area.TrunkDown:
		s += "(" + string(t.Device) + ")"
	case area.TrunkCancel, area.TrunkStored:
		s += "(" + string(t.Work) + ")"
	}
	return s
}

func givenTo(a *area.Assignment) string {
	if a == nil {
		return ""
	}
	return fmt.Sprintf(",%s/%s/%d", a.Device, a.MID, a.Boot)
}

func (g *glass) want(ev Event, want string) {
	g.t.Helper()
	if got := g.step(ev); got != want {
		g.t.Errorf("at %v: %T%+v did\n got  %q\n want %q", time.Duration(g.now-1000*sec), ev, ev, got, want)
	}
}

// at goes to an instant, counted from the beginning, and ticks.
func (g *glass) at(after time.Duration, want string) {
	g.t.Helper()
	g.now = (1000 * sec).Add(after)
	g.want(Tick{}, want)
}

// hear has a member say something on its trunk.
func (g *glass) hear(d area.DeviceID, t area.Trunk, want string) {
	g.t.Helper()
	g.want(said1(d, t), want)
}

func said1(d area.DeviceID, t area.Trunk) up {
	t.Area = "north"
	if t.Life == "" {
		t.Life = "l-" + string(d)
	}
	return up{device: d, member: true, msg: t}
}

func leadAt(term uint64) area.Trunk {
	return area.Trunk{Op: area.TrunkLead, Term: term, Addr: "10.0.0.5:1883", AliveMs: 4250}
}

func reported(n uint64, w area.WorkID, state area.OrderState, d area.DeviceID, att int, reason string) area.Trunk {
	r := area.Report{Work: w, State: state, Device: d, Att: att, Reason: reason}
	if d != "" {
		r.MID, r.Boot = "m-"+string(d), 1
	}
	return area.Trunk{Op: area.TrunkReport, Term: 80, N: n, Report: r.Reported(0)}
}

func handIn(w area.WorkID) Submit {
	return Submit{Work: area.Work{ID: w, Area: "north", Prio: area.Normal}, Expires: area.Never}
}

const taken = "LED yield leader(gate-1,80) busy(settling,80,1001) gate-1<led(4250,0)"

// led is a mirror whose area gate-1 leads with term 80.
func ledGlass(t *testing.T) *glass {
	t.Helper()
	g := newGlass(t, "")
	g.want(Begin{}, "core:Begin")
	g.hear("gate-1", leadAt(80), taken)
	return g
}

func TestALeadIsTakenOrRefused(t *testing.T) {
	g := newGlass(t, "")
	g.want(Begin{}, "core:Begin")
	g.hear("gate-1", leadAt(64), "REFUSED gate-1<refused(term,64)")
	g.want(up{device: "spy", msg: leadAt(80)}, "REFUSED spy<refused(not_member,64)")
	g.want(up{device: "spy", msg: area.Trunk{Op: area.TrunkAsk}}, "")
	g.hear("gate-2", area.Trunk{Op: area.TrunkAsk}, "gate-2<witness(false,)")
	g.want(topology{false}, "")
	g.hear("gate-1", leadAt(80), "core:HeardTerm(80) REFUSED gate-1<refused(hub_leads,64)")
	g.want(topology{true}, "")
	g.hear("gate-1", leadAt(80), taken)
	g.hear("gate-2", area.Trunk{Op: area.TrunkAsk}, "gate-2<witness(true,gate-1)")
	g.at(time.Second, "")
	g.hear("gate-1", leadAt(80), "gate-1<led(3250,0)")
	g.hear("gate-2", leadAt(49), "REFUSED gate-2<refused(other,80)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkLead, Term: 80, Life: "new"}, "REFUSED gate-1<refused(term,80)")
	g.hear("gate-1", leadAt(144), "leader(gate-1,144) busy(settling,144,1002) gate-1<led(4250,0)") // for what gate-2 has granted
	g.hear("gate-1", leadAt(80), "REFUSED gate-1<refused(term,144)")
	g.at(2*time.Second, "")
	// Two in one part: the higher one has it, and settles out what the lower one may have granted.
	g.hear("gate-2", leadAt(145), "severed(gate-1) LED leader(gate-2,145) busy(settling,145,1003) gate-2<led(3250,0)")
	g.hear("gate-1", leadAt(144), "REFUSED gate-1<refused(other,145)")
	if c := g.m.counts; c.Leads != 2 || c.Refused != 7 {
		t.Errorf("counted %+v", c)
	}
}

func TestTheHubMirrorsTheLeader(t *testing.T) {
	g := newGlass(t, "")
	g.want(Begin{}, "core:Begin")
	g.want(DeviceUp{Device: "web-1"}, "core:DeviceUp")
	g.want(Heard{Device: "web-1"}, "core:Heard")
	g.hear("gate-1", leadAt(80), "LED yield leader(gate-1,80) busy(settling,80,1001) gate-1<led(4250,0) gate-1<up(web-1)")
	g.want(Heard{Device: "web-1", Claim: area.Claim{Op: area.OpWant}}, "gate-1<heard(web-1)")
	g.want(Set{Device: "old-1", On: true}, "gate-1<set(old-1)")
	g.want(DeviceUp{Device: "web-2"}, "gate-1<up(web-2)")
	g.want(DeviceDown{Device: "web-2"}, "gate-1<down(web-2)")
	g.want(StopPlay{}, "gate-1<stop_play")
	g.want(command{area.Message{Topic: "tacet/device/gate-2/cmd/mute"}}, "gate-1<command")
	holder := area.DeviceID("web-1")
	busy := area.Busy{Area: "north", Term: 80, Rev: 5, State: area.Held, Holder: &holder}
	g.hear("gate-1", area.Trunk{Op: area.TrunkBusy, Busy: &busy}, "busy(held,80,1002:web-1)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkSay, Device: "web-1", Answer: &area.Answer{Op: area.OpGrant}}, "say(web-1,grant)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkOffer, Offer: &area.Offer{Work: "o-1"}}, "offer(o-1>)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkStatus, Device: "gate-2", Status: &area.Status{}}, "relay(tacet/device/gate-2/status)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkTele, Topic: "tacet/device/gate-2/tele/x"}, "relay(tacet/device/gate-2/tele/x)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkGone, Device: "gate-2", Reason: area.PresentWill}, "gone(gate-2,will)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkPoll, Poll: &area.Poll{Area: "north", Arbiter: "gate-1", Term: 80, N: 3}}, "poll(gate-1,3)")
	g.want(Voted{Device: "gate-3", Vote: area.Vote{Arbiter: "gate-1", Term: 80, N: 3}}, "gate-1<vote(gate-3)")
	g.hear("gate-1", area.Trunk{Op: "sing"}, "")
	// Of another member, or of an earlier start of the leader, nothing counts.
	g.hear("gate-2", area.Trunk{Op: area.TrunkBusy, Busy: &busy}, "")
	g.hear("gate-1", area.Trunk{Op: area.TrunkSay, Life: "old", Device: "web-1", Answer: &area.Answer{}}, "")
	line := area.Trunk{Op: area.TrunkRecord, N: 7, AgoMs: 1500, Record: []byte(`{}`)}
	g.hear("gate-1", line, "record({},1.5s) gate-1<got(7)")
	g.hear("gate-1", line, "gate-1<got(7)")
}

func TestASilentLeader(t *testing.T) {
	g := ledGlass(t)
	holder := area.DeviceID("gate-2")
	g.hear("gate-1", area.Trunk{Op: area.TrunkBusy, Busy: &area.Busy{Area: "north", Term: 80, Rev: 5, State: area.Held, Holder: &holder}}, "busy(held,80,1002:gate-2)")
	g.at(2999*time.Millisecond, "")
	g.at(3*time.Second, "severed(gate-1) SILENT")
	g.want(Heard{Device: "web-1", Claim: area.Claim{Op: area.OpWant}}, "say(web-1,queued)") // nothing is granted, and somebody answers
	g.want(Heard{Device: "web-1", Claim: area.Claim{Op: area.OpDone}}, "")
	g.hear("gate-2", area.Trunk{Op: area.TrunkAsk}, "gate-2<witness(false,gate-1)")
	g.at(4249*time.Millisecond, "")
	g.at(4250*time.Millisecond, "busy(settling,80,1003)") // no lease of it can live
	g.at(20*time.Second, "")
	g.hear("gate-1", leadAt(80), "BACK gate-1<led(0,0)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkBusy, Busy: &area.Busy{Area: "north", Term: 80, Rev: 6, State: area.Idle}}, "busy(idle,80,1004)")
	g.at(23*time.Second, "severed(gate-1) SILENT")
	g.at(24250*time.Millisecond, "busy(settling,80,1005)")
	g.at(49999*time.Millisecond, "")
	g.want(DeviceUp{Device: "web-1"}, "")
	g.at(50*time.Second, "SPLIT severed(gate-1) takeover(80) core:Begin core:Inherit(4.25s,0) core:DeviceUp")
	g.at(50*time.Second, "")
	if want := `{"v":1,"term":128,"alive_ms":4250,"split":{"leader":"gate-1","term":80,"own":128,"at_ms":1700000000000}}`; g.m.counts.Splits != 1 || string(g.disk) != want {
		t.Errorf("splits %d, the record is\n%s, want one split and\n%s", g.m.counts.Splits, g.disk, want)
	}
	if again, err := newMirror(g.m.cfg, g.disk, g.now); err != nil || !again.split.open() || again.leader != "" || again.split.Own != 128 {
		t.Errorf("after a restart: %+v %v", again, err)
	}
	g.hear("gate-1", leadAt(80), "REFUSED gate-1<refused(term,128)")
	g.hear("gate-1", leadAt(144), "LED WHOLE yield leader(gate-1,144) busy(settling,144,1006) gate-1<led(4250,0) gate-1<up(web-1)")
}

// The takeover waits for the longest lease that the leader may have granted, and
// counts the holds that it told of.
func TestTheTakeoverWaitsForLongLeases(t *testing.T) {
	g := newGlass(t, "")
	g.want(Begin{}, "core:Begin")
	lead := leadAt(80)
	lead.AliveMs, lead.Holds = 60_250, []area.Hold{{Kind: "classic", Device: "old-1", Token: 80000001, LeftMs: 100_000}}
	g.hear("gate-1", lead, taken)
	g.at(3*time.Second, "severed(gate-1) SILENT")
	g.at(60*time.Second, "")
	g.at(60250*time.Millisecond, "SPLIT severed(gate-1) takeover(80) core:Begin core:Inherit(1m0.25s,1)")
}

// In a strict area the hub has voted for the leader that it answered: it arbitrates
// only when that has run out, also where the area is direct from now on.
func TestAStrictAreaIsTakenBackWithoutTwoVotes(t *testing.T) {
	g := ledGlass(t)
	g.want(Configure{Config: CoreConfig{Lease: 4 * time.Second, Strict: true}}, "")
	g.at(10*time.Second, "severed(gate-1) SILENT")
	g.want(topology{false}, "TAKEN severed(gate-1) takeover(80) core:Begin core:Inherit(20s,0)")

	g = newGlass(t, "")
	g.want(Configure{Config: CoreConfig{Lease: 4 * time.Second, Strict: true}}, "core:Configure")
	lead := leadAt(80)
	lead.AliveMs = 60_000
	g.hear("gate-1", lead, taken)
	g.at(5*time.Second, "severed(gate-1) SILENT")
	g.at(65279*time.Millisecond, "")
	g.at(65280*time.Millisecond, "SPLIT severed(gate-1) takeover(80) core:Begin core:Inherit(1m0s,0)")
}

func TestALeaderResigns(t *testing.T) {
	g := ledGlass(t)
	g.want(handIn("o-1"), "gate-1<submit(o-1,1)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkSubmitted, N: 1, Work: "o-1"}, "")
	g.hear("gate-1", reported(1, "o-1", area.OrderAssigned, "gate-2", 1, ""), "report(o-1,assigned,1) gate-1<got(1)")
	g.hear("gate-2", area.Trunk{Op: area.TrunkResign, Term: 80}, "")
	g.hear("gate-1", area.Trunk{Op: area.TrunkResign, Term: 80}, "severed(gate-1) RESIGNED")
	g.at(4250*time.Millisecond, "")
	g.want(handIn("o-2"), "")
	g.at(30*time.Second, "TAKEN severed(gate-1) takeover(80) core:Begin core:Inherit(4.25s,0) core:Submit(o-1,1,gate-2/m-gate-2/1) core:Submit(o-2,1)")
	if g.m.counts.Splits != 0 || len(g.m.works.order) != 0 {
		t.Errorf("%d splits, %d works", g.m.counts.Splits, len(g.m.works.order))
	}
}

func TestADirectAreaIsTakenBackAtOnce(t *testing.T) {
	g := ledGlass(t)
	g.want(handIn("o-1"), "gate-1<submit(o-1,1)")
	g.at(time.Second, "gate-1<submit(o-1,1)")
	g.want(topology{false}, "TAKEN severed(gate-1) takeover(80) core:Begin core:Inherit(4.25s,0)")
	g.hear("gate-1", leadAt(80), "core:HeardTerm(80) REFUSED gate-1<refused(hub_leads,128)")
	g.want(handIn("o-1"), "") // still in its hands
	g.hear("gate-1", area.Trunk{Op: area.TrunkResign, Term: 80}, "core:Submit(o-1,1)")
}

// Works go into the leader's hands once that is on disk, again and again until
// they are taken, and stay there until their end is told.
func TestWorksInTheLeadersHands(t *testing.T) {
	g := newGlass(t, "")
	g.want(Begin{}, "core:Begin")
	g.left.Works = []Submit{
		{Work: area.Work{ID: "o-1", Area: "north"}, Expires: 1060 * sec, Att: 2, Given: &area.Assignment{Device: "gate-2", MID: "m", Boot: 4}},
		{Work: area.Work{ID: "o-2", Area: "north"}, Expires: area.Never, Att: 1},
	}
	g.slow = true
	g.hear("gate-1", leadAt(80), taken)
	g.at(time.Second, "")
	g.slow = false
	g.want(g.held[len(g.held)-1], "gate-1<submit(o-1,2,gate-2/m/4) gate-1<submit(o-2,1)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkSubmitted, N: 2, Work: "o-2"}, "")
	g.at(2*time.Second, "gate-1<submit(o-1,2,gate-2/m/4)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkSubmitted, N: 1, Work: "o-1"}, "")
	g.hear("gate-1", leadAt(80), "gate-1<led(2250,0)")
	g.hear("gate-1", reported(1, "o-2", area.OrderPlaying, "gate-3", 1, ""), "report(o-2,playing,1) gate-1<got(1)")
	g.hear("gate-1", reported(2, "o-2", area.OrderWaiting, "", 2, "cut"), "report(o-2,waiting,2,cut) gate-1<got(2)")
	g.at(5*time.Second, "severed(gate-1) SILENT report(o-1,assigned,2) report(o-2,assigned,2)")
	g.hear("gate-1", leadAt(80), "BACK gate-1<led(0,0)")
	played := reported(3, "o-1", area.OrderPlayed, "gate-2", 2, "")
	g.hear("gate-1", played, "report(o-1,played,2)")
	g.hear("gate-1", played, "report(o-1,played,2)") // the order service ignores it
	g.want(Stored{Work: "o-1"}, "gate-1<got(3) gate-1<stored(o-1)")
	g.hear("gate-1", played, "report(o-1,played,2)")
	g.want(Stored{Work: "o-1"}, "gate-1<got(3) gate-1<stored(o-1)") // it says that it has it
	if g.m.counts.Merged != 1 || g.m.counts.Handed != 2 {
		t.Errorf("counted %+v", g.m.counts)
	}
}

// A leader that leads by another term may know of nothing, though it is the same
// process: it stopped, and began anew.
func TestAnotherReignOfTheSameLeader(t *testing.T) {
	g := newGlass(t, "")
	g.want(Begin{}, "core:Begin")
	g.want(DeviceUp{Device: "gate-9"}, "core:DeviceUp")
	g.left.Works = []Submit{{Work: area.Work{ID: "o-1", Area: "north"}, Expires: area.Never, Att: 1}}
	g.step(said1("gate-1", leadAt(80)))
	g.hear("gate-1", area.Trunk{Op: area.TrunkSubmitted, N: 1, Work: "o-1"}, "")
	g.at(time.Second, "")
	g.hear("gate-1", leadAt(144), "leader(gate-1,144) busy(settling,144,1002) gate-1<led(3250,0) gate-1<up(gate-9) gate-1<submit(o-1,1)")
}

// After a split the works stay with the leader, whose report is heard whenever it
// comes; another leader gets them with what is known of them.
func TestWorksOfALeaderThatIsGone(t *testing.T) {
	g := ledGlass(t)
	g.want(handIn("o-1"), "gate-1<submit(o-1,1)")
	g.want(handIn("o-2"), "gate-1<submit(o-2,1)")
	g.want(handIn("o-3"), "gate-1<submit(o-3,1)")
	g.hear("gate-1", reported(1, "o-1", area.OrderAssigned, "gate-2", 1, ""), "report(o-1,assigned,1) gate-1<got(1)")
	g.at(3*time.Second, "severed(gate-1) SILENT report(o-2,assigned,1) report(o-3,assigned,1)")
	g.want(handIn("o-4"), "")
	g.at(30*time.Second, "SPLIT severed(gate-1) takeover(80) core:Begin core:Inherit(4.25s,0) core:Submit(o-4,1)")
	g.want(Cancel{Work: "o-3", Reason: "user"}, "") // nobody can be told
	g.want(Heard{Device: "gate-3", Claim: area.Claim{Op: area.OpDone, Work: "o-2", Att: 1, Result: area.Played}}, "report(o-2,played,1) core:Heard")
	g.want(Heard{Device: "gate-3", Claim: area.Claim{Op: area.OpDone, Work: "o-1", Att: 1, Result: area.Stopped}}, "core:Heard")
	g.hear("gate-2", leadAt(145), "LED WHOLE yield leader(gate-2,145) busy(settling,145,1002) gate-2<submit(o-1,1,gate-2/m-gate-2/1) gate-2<cancel(o-3) gate-2<submit(o-3,1) gate-2<led(4250,0) gate-2<stored(o-2)")
	// The first one is back. What it did not play is another's now; what it played is played.
	g.hear("gate-1", reported(2, "o-3", area.OrderFailed, "", 1, "lost_contact"), "gate-1<got(2)")
	g.hear("gate-1", reported(3, "o-1", area.OrderPlayed, "gate-2", 1, ""), "report(o-1,played,1)")
	g.want(Stored{Work: "o-1"}, "gate-1<got(3) gate-2<stored(o-1)")
	done := area.Claim{Op: area.OpDone, Work: "o-3", Att: 1, Result: area.Played}
	g.want(Heard{Device: "gate-9", Claim: done}, "gate-2<heard(gate-9)") // the leader will report
	g.hear("gate-1", area.Trunk{Op: area.TrunkDone, Device: "gate-9", Claim: &done}, "report(o-3,played,1)")
}

func TestCancelledWorks(t *testing.T) {
	g := ledGlass(t)
	g.slow = true
	g.want(handIn("o-1"), "")
	g.want(Cancel{Work: "o-1", Reason: "user"}, "report(o-1,cancelled,1,user)") // nobody has heard of it
	g.slow = false
	g.want(handIn("o-2"), "gate-1<submit(o-2,1)")
	g.want(Cancel{Work: "o-2", Reason: "stop"}, "gate-1<cancel(o-2)")
	g.hear("gate-1", area.Trunk{Op: area.TrunkSubmitted, N: 2, Work: "o-2"}, "")
	g.at(time.Second, "gate-1<cancel(o-2)")
	g.hear("gate-1", reported(1, "o-2", area.OrderCancelled, "", 1, "stop"), "report(o-2,cancelled,1,stop)")
	g.at(2*time.Second, "")
	g.want(Cancel{Work: "o-9", Reason: "stop"}, "")
}

// Orders that came to the leader while it was cut off.
func TestOrdersOfTheLeader(t *testing.T) {
	g := ledGlass(t)
	m := reported(1, "o-7", area.OrderPlayed, "gate-2", 1, "")
	m.Order = &area.Order{ID: "o-7", Area: "north"}
	g.hear("gate-1", m, "adopt(o-7,played)")
	g.want(adopted{receipt{"gate-1", 1}, "o-7", errors.New("full")}, "")
	g.hear("gate-1", m, "adopt(o-7,played)")
	g.want(adopted{receipt{"gate-1", 1}, "o-7", nil}, "gate-1<got(1)")
	g.hear("gate-1", reported(2, "o-8", area.OrderOffered, "", 1, ""), "gate-1<got(2)") // nobody knows it
	m = reported(3, "o-9", area.OrderWaiting, "", 1, "")
	m.Order = &area.Order{ID: "o-9", Area: "north"}
	g.hear("gate-1", m, "adopt(o-9,waiting)")
	g.want(handIn("o-9"), "gate-1<submit(o-9,1)") // the order service hands it in, as any
	g.want(topology{false}, "TAKEN severed(gate-1) takeover(80) core:Begin core:Inherit(4.25s,0)")
	g.hear("gate-1", reported(4, "o-5", area.OrderFailed, "", 2, "cut"), "core:Ended(o-5,failed) report(o-5,failed,2,cut)")
}

// An order that was played while the leader that had accepted it was gone is not
// played again when that is back; one that somebody has is handed on as his.
func TestOrdersOfALeaderThatWasGone(t *testing.T) {
	g := ledGlass(t)
	done := area.Claim{Op: area.OpDone, Boot: 1, Claim: 1, Seq: 1, Work: "o-7", Att: 1, Result: area.Played}
	g.hear("gate-1", area.Trunk{Op: area.TrunkDone, Device: "gate-9", Claim: &done}, "")
	g.hear("gate-1", area.Trunk{Op: area.TrunkDone, Device: "gate-9", Claim: &done}, "") // it may be said again
	m := reported(1, "o-7", area.OrderPlaying, "gate-9", 1, "")
	m.Order = &area.Order{ID: "o-7", Area: "north"}
	g.hear("gate-2", m, "adopt(o-7,played)")
	m = reported(2, "o-8", area.OrderPlaying, "gate-9", 2, "")
	m.Order, m.Handed = &area.Order{ID: "o-8", Area: "north"}, &area.Handed{Work: "o-8", Att: 2, Given: &area.Assignment{Device: "gate-9"}}
	g.hear("gate-2", m, "adopt(o-8,playing)")
	g.hear("gate-2", m, "adopt(o-8,playing)")
	g.want(handIn("o-8"), "gate-1<submit(o-8,2,gate-9//0)")
}

// A hub that starts knows who has the area, and what is in whose hands.
func TestAMirrorOutlivesTheHub(t *testing.T) {
	g := ledGlass(t)
	g.left = Yielded{}
	g.want(handIn("o-1"), "gate-1<submit(o-1,1)")
	g.want(handIn("o-2"), "gate-1<submit(o-2,1)")
	g.hear("gate-1", reported(1, "o-1", area.OrderPlaying, "gate-2", 2, ""), "report(o-1,playing,2) gate-1<got(1)")
	lead := leadAt(80)
	lead.Holds = []area.Hold{{Kind: "dumb", Device: "old-1", LeftMs: 9000}}
	g.hear("gate-1", lead, "gate-1<led(4250,0)")

	again := newGlass(t, string(g.disk))
	again.want(Begin{}, "leader(gate-1,80) busy(settling,80,1001)")
	again.want(handIn("o-1"), "")
	again.hear("gate-2", area.Trunk{Op: area.TrunkAsk}, "")
	again.want(Heard{Device: "web-1", Claim: area.Claim{Op: area.OpWant}}, "say(web-1,queued)")
	again.at(time.Second, "")
	again.hear("gate-1", leadAt(80), "LED leader(gate-1,80) busy(settling,80,1002) gate-1<led(0,0) gate-1<submit(o-1,2,gate-2/m-gate-2/1)")
	again.want(handIn("o-2"), "gate-1<submit(o-2,1)")

	late := newGlass(t, string(g.disk)) // the hub took its time to start: the leader has its own from then
	late.now = late.now.Add(2900 * time.Millisecond)
	late.want(Begin{}, "leader(gate-1,80) busy(settling,80,1001)")
	late.at(5899*time.Millisecond, "")
	late.at(5900*time.Millisecond, "severed(gate-1) SILENT")

	alone := newGlass(t, string(g.disk))
	alone.want(Begin{}, "leader(gate-1,80) busy(settling,80,1001)")
	alone.at(3*time.Second, "severed(gate-1) SILENT")
	alone.want(handIn("o-1"), "")
	alone.at(30*time.Second, "SPLIT severed(gate-1) takeover(80) core:Begin core:Inherit(4.25s,0)")
	alone.want(handIn("o-2"), "")
	third := newGlass(t, string(alone.disk))
	third.mine = 128
	third.want(Begin{}, "core:Begin")
	third.want(handIn("o-2"), "")
	third.hear("gate-1", reported(9, "o-2", area.OrderPlayed, "gate-1", 1, ""), "core:Ended(o-2,played) report(o-2,played,1)")
	for _, bad := range []string{`{`, `{"v":2}`, `{"v":1,"leader":"a b"}`, `{"v":1,"alive_ms":-1}`, `{"v":1,"works":[{"work":"o","att":0}]}`, `{"v":1,"colour":1}`} {
		if _, err := newMirror(mirrorConfig{}, []byte(bad), 0); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

// Works that nobody has handed in since the start keep their assignment through
// two arbiters.
func TestUnheardWorksAreRecalled(t *testing.T) {
	g := newGlass(t, "")
	g.want(Begin{}, "core:Begin")
	g.left.unheard = []workRecord{{Work: "o-1", Att: 2, Device: "gate-2", MID: "m", Boot: 4}}
	g.hear("gate-1", leadAt(80), taken)
	g.want(handIn("o-1"), "gate-1<submit(o-1,2,gate-2/m/4)")
	rec := string(g.disk)

	again := newGlass(t, rec)
	again.want(Begin{}, "leader(gate-1,80) busy(settling,80,1001)")
	again.hear("gate-1", leadAt(80), "LED leader(gate-1,80) busy(settling,80,1002) gate-1<led(0,0)")
	again.hear("gate-1", area.Trunk{Op: area.TrunkResign, Term: 80}, "severed(gate-1) RESIGNED")
	again.at(30*time.Second, "TAKEN severed(gate-1) takeover(80) core:Begin core:Inherit(4.25s,0)")
	again.want(handIn("o-1"), "core:Submit(o-1,2,gate-2/m/4)")
}

// A record that cannot be written is tried again, and nothing is sent that hangs
// on it.
func TestAMirrorsDiskIsFull(t *testing.T) {
	g := ledGlass(t)
	g.fail = errors.New("full")
	g.want(handIn("o-1"), "")
	if next := g.m.next(); next != g.now.Add(retryAfter) {
		t.Errorf("the next try is in %v", next.Sub(g.now))
	}
	g.at(time.Second, "")
	g.fail = nil
	g.at(2*time.Second, "gate-1<submit(o-1,1)")
	if !g.m.kept.settled() {
		t.Error("something still waits to be written")
	}
}

// Holds of our core are told until the leader counts them, and not once they
// have ended.
func TestHoldsAreToldUntilTheyCount(t *testing.T) {
	g := newGlass(t, "")
	g.want(Begin{}, "core:Begin")
	one, two := area.Hold{Kind: "classic", Device: "old-1", Token: 64000001, LeftMs: 60_000}, area.Hold{Kind: "dumb", Device: "old-2", LeftMs: 1500}
	g.left.Holds = []area.Hold{one, two}
	g.hear("gate-1", leadAt(80), "LED yield leader(gate-1,80) busy(settling,80,1001) gate-1<led(4250,2)")
	g.at(time.Second, "")
	g.hear("gate-1", leadAt(80), "gate-1<led(3250,2)")
	g.at(1500*time.Millisecond, "")
	g.hear("gate-1", leadAt(80), "gate-1<led(2750,1)")
	lead := leadAt(80)
	lead.Holds = []area.Hold{one}
	g.hear("gate-1", lead, "gate-1<led(2750,0)")
	g.hear("gate-1", leadAt(80), "gate-1<led(2750,0)")

	g = newGlass(t, "")
	g.want(Begin{}, "core:Begin")
	g.left.Holds = []area.Hold{one}
	g.hear("gate-1", leadAt(80), "LED yield leader(gate-1,80) busy(settling,80,1001) gate-1<led(4250,1)")
	g.want(Set{Device: "old-1"}, "gate-1<set(old-1)")
	g.hear("gate-1", leadAt(80), "gate-1<led(4250,0)")
}

// What another leader had may have been granted there; what the hub alone had was not.
func TestWorksOfAnotherLeaderMayHaveSounded(t *testing.T) {
	g := ledGlass(t)
	g.want(handIn("o-1"), "gate-1<submit(o-1,1)")
	g.at(30*time.Second, "severed(gate-1) SILENT report(o-1,assigned,1) SPLIT severed(gate-1) takeover(80) core:Begin core:Inherit(4.25s,0)")
	g.left.Works = []Submit{handIn("o-2")}
	g.hear("gate-2", leadAt(145), "LED WHOLE yield leader(gate-2,145) busy(settling,145,1002) gate-2<submit(o-1,1) gate-2<led(4250,0) gate-2<submit(o-2,1)")
	for id, want := range map[area.WorkID]bool{"o-1": true, "o-2": false} {
		if h := g.m.works.by[id].handed(g.now); h.Maybe != want {
			t.Errorf("%s was handed over as %+v", id, h)
		}
	}
}

// A record that comes again from another start of its leader is known by its number,
// where that grows over all starts.
func TestRecordsOfAnotherStart(t *testing.T) {
	g := ledGlass(t)
	say := func(n uint64, life, want string) {
		t.Helper()
		g.want(up{device: "gate-2", member: true, msg: area.Trunk{Op: area.TrunkRecord, Area: "north", Life: life, N: n, Record: []byte(`{}`)}}, want+fmt.Sprintf("gate-2<got(%d)", n))
	}
	say(7, "l1", "record({},0s) ")
	say(7, "l1", "")
	say(7, "l2", "record({},0s) ") // an older program counts from 1 at each start
	say(area.SteadyN+7, "l3", "record({},0s) ")
	say(area.SteadyN+7, "l4", "")
	say(area.SteadyN+8, "l4", "record({},0s) ")
}
