package arbiter

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// post drives an outpost and writes each action as one short word.
type post struct {
	t   *testing.T
	o   outpost
	now area.Instant
}

func newPost(t *testing.T) *post {
	return &post{t: t, now: 1000 * sec, o: outpost{area: "north", self: "hub-2", hub: "hub", lease: 4 * time.Second, works: newErrands(nil)}}
}

func (p *post) want(ev Event, want string) {
	p.t.Helper()
	var words []string
	for _, a := range p.o.step(ev, p.now) {
		words = append(words, sayPost(a))
	}
	if got := strings.Join(words, " "); got != want {
		p.t.Errorf("%T%+v did\n got  %q\n want %q", ev, ev, got, want)
	}
}

func sayPost(a Action) string {
	switch a := a.(type) {
	case toOwner:
		switch w := a.word; {
		case w.Join != nil:
			return fmt.Sprintf("join(%d,%d,%d)", w.Join.Term, w.Join.Rev, len(w.Join.Holds))
		case w.Raw != nil:
			return "raw(" + w.Raw.Topic + ")"
		default:
			return fmt.Sprintf("%s(%s%s)", w.Say.Op, w.Say.Device, w.Say.Work)
		}
	case mirrored:
		return fmt.Sprintf("busy(%s,%d,%d)", a.busy.State, a.busy.Term, a.busy.Rev)
	case toNode:
		return fmt.Sprintf("%s<join(%d,%d)", a.node, a.word.Join.Term, a.word.Join.Rev)
	case spoken:
		s := "publish("
		for _, m := range a.list {
			s += m.Topic[strings.LastIndexByte(m.Topic, '/')+1:]
		}
		return s + ")"
	case Say:
		return fmt.Sprintf("%s<%s", a.Device, a.Answer.Op)
	case Report:
		return fmt.Sprintf("report(%s,%s)", a.Report.Work, a.Report.State)
	}
	return "?"
}

func (p *post) from(node, life string, term uint64, w word) told {
	w.Area, w.Owner, w.Life, w.Term = "north", true, life, term
	return told{node, w}
}

func held(term, rev uint64) posted {
	b := area.IdleBusy("north", term, rev, 4*time.Second)
	d := area.DeviceID("gate-1")
	b.State, b.Holder = area.Held, &d
	return posted{Topic: area.BusyTopic("north"), Payload: b.Encode()}
}

func TestOutpostFollowsTheOwner(t *testing.T) {
	p := newPost(t)
	p.want(Begin{}, "busy(settling,0,1)")
	p.want(Heard{Device: "gate-2", Claim: area.Claim{Op: area.OpWant, Claim: 1, Seq: 1}}, "gate-2<queued") // nobody has the area
	p.want(Heard{Device: "gate-2", Claim: area.Claim{Op: area.OpHello, Seq: 2}}, "gate-2<queued")          // or it would connect anew again and again
	p.want(Heard{Device: "gate-2", Claim: area.Claim{Op: area.OpDecline, Seq: 2}}, "")
	p.want(reigned{reign.State{Owner: "hub-1", Life: "l1", Term: 64}}, "busy(settling,64,1) join(64,0,0)")
	p.want(p.from("hub-1", "l1", 64, word{Out: []posted{held(64, 7), {Topic: area.GrantTopic("gate-1")}}}), "busy(held,64,7) publish(grant)")
	p.want(Heard{Device: "gate-2", Claim: area.Claim{Op: area.OpWant, Claim: 1, Seq: 3}}, "heard(gate-2)")
	p.want(Voted{Device: "gate-2", Vote: area.Vote{Arbiter: "hub"}}, "raw("+area.VoteTopic("north", "gate-2")+")")
	p.want(p.from("hub-3", "l3", 64, word{Out: []posted{held(64, 9)}}), "")   // not the owner
	p.want(p.from("hub-1", "l1", 64, word{Out: []posted{held(64, 7)}}), "")   // shown already
	p.want(p.from("hub-1", "l1", 63, word{Out: []posted{held(63, 900)}}), "") // of an earlier reign
	p.now += sec
	p.want(Tick{}, "join(64,7,0)")
	p.now += 2 * sec
	p.want(Tick{}, "busy(settling,64,8) join(64,0,0)") // silent
	p.want(Heard{Device: "gate-2", Claim: area.Claim{Op: area.OpWant, Claim: 1, Seq: 4}}, "gate-2<queued")
	p.want(p.from("hub-1", "l1", 64, word{Joined: true, Out: []posted{held(64, 7)}}), "busy(held,64,9) join(64,9,0)")
	p.want(p.from("hub-3", "l3", 130, word{Out: []posted{held(130, 2)}}), "busy(settling,130,1) busy(held,130,2) join(130,2,0)") // before the ledger says so
	p.want(reigned{reign.State{Owner: "hub-1", Life: "l1", Term: 64}}, "")                                                       // which is late
	p.want(reigned{reign.State{Term: 130}}, "busy(settling,130,3)")
	p.want(p.from("hub-3", "l3", 130, word{Out: []posted{held(130, 5)}}), "") // it gave the area up
}

// A ledger that has forgotten a reign lets the next one begin below it. Whoever heard of
// the later one tells who has the area, until that is the later one again.
func TestOutpostHeardOfALaterReign(t *testing.T) {
	for name, late := range map[string]bool{"before the ledger": true, "after it": false} {
		t.Run(name, func(t *testing.T) { heardOfALaterReign(t, late) })
	}
}

func heardOfALaterReign(t *testing.T, ledgerIsLate bool) {
	p := newPost(t)
	ledger := func(want string) { p.want(reigned{reign.State{Owner: "hub-1", Life: "l1", Term: 64}}, want) }
	if !ledgerIsLate {
		ledger("busy(settling,64,1) join(64,0,0)")
	}
	p.want(p.from("hub-3", "l3", 130, word{Out: []posted{held(130, 2)}}), "busy(settling,130,1) busy(held,130,2) join(130,2,0)")
	if ledgerIsLate {
		ledger("")
	}
	p.now += 3 * sec
	p.want(Tick{}, "busy(settling,130,3) join(130,0,0) hub-1<join(130,0)")
	p.want(p.from("hub-1", "l1", 64, word{Out: []posted{held(64, 9)}}), "")
	p.now += sec
	p.want(Tick{}, "join(130,0,0) hub-1<join(130,0)")
	p.want(p.from("hub-1", "l1", 192, word{Out: []posted{held(192, 1)}}), "busy(settling,192,1) busy(held,192,2) join(192,2,0)")
	p.now += sec
	p.want(Tick{}, "join(192,2,0)")
}

// What a reign of our own has shown is over with it.
func TestOutpostAfterAReign(t *testing.T) {
	p := newPost(t)
	b, _ := area.ParseBusy(held(64, 7).Payload)
	p.o.shown, p.o.rev, p.o.term = b, 7, 64
	p.want(reigned{reign.State{Term: 64}}, "busy(settling,64,8)")
	p.want(reigned{reign.State{Term: 64}}, "")
}

func TestOutpostHandsItsWorksOn(t *testing.T) {
	p := newPost(t)
	p.want(Begin{}, "busy(settling,0,1)")
	p.want(Submit{Work: area.Work{ID: "w-1", Area: "north"}, Expires: area.Never}, "")
	p.want(Submit{Work: area.Work{ID: "w-2", Area: "north"}, Expires: area.Never}, "")
	p.want(Cancel{Work: "w-2", Reason: area.EndUser}, "report(w-2,cancelled)") // nobody was handed it
	p.want(reigned{reign.State{Owner: "hub-1", Life: "l1", Term: 64}}, "busy(settling,64,1) join(64,0,0)")
	p.want(p.from("hub-1", "l1", 64, word{Joined: true}), "submit()")
	if one := p.o.works.by["w-1"]; one == nil || one.to != "l1" {
		t.Fatalf("w-1 is %+v", one)
	}
	p.now += sec
	p.want(p.from("hub-1", "l1", 64, word{}), "join(64,0,0) submit()") // nobody has said that it came
	p.want(p.from("hub-1", "l1", 64, word{Say: &area.Trunk{Op: area.TrunkSubmitted, N: 1, Work: "w-1"}}), "")
	given := area.Report{Work: "w-1", State: area.OrderAssigned, Device: "gate-1", MID: "m", Boot: 3, Att: 1}
	p.want(p.from("hub-1", "l1", 64, word{Say: &area.Trunk{Op: area.TrunkReport, N: 1, Report: given.Reported(0)}}), "report(w-1,assigned)")
	p.want(reigned{reign.State{Owner: "hub-3", Life: "l3", Term: 130}}, "busy(settling,130,1) join(130,0,0)")
	p.want(p.from("hub-3", "l3", 130, word{Joined: true}), "submit()")
	if h := p.o.works.by["w-1"].handed(p.now); h.Given == nil || *h.Given != (area.Assignment{Device: "gate-1", MID: "m", Boot: 3}) || h.Att != 1 {
		t.Errorf("the next owner is handed %+v", h)
	}
	p.want(Cancel{Work: "w-1", Reason: area.EndUser}, "cancel(w-1)")
	ended := area.Report{Work: "w-1", State: area.OrderPlayed, Device: "gate-1", Att: 1}
	p.want(p.from("hub-3", "l3", 130, word{Say: &area.Trunk{Op: area.TrunkReport, N: 2, Report: ended.Reported(0)}}), "report(w-1,played)")
	p.want(reigned{reign.State{Owner: "hub-4", Life: "l4", Term: 195}}, "busy(settling,195,1) join(195,0,0)")
	p.want(p.from("hub-4", "l4", 195, word{Joined: true}), "") // though the order service has not stored its end yet
	p.want(Stored{Work: "w-1"}, "stored(w-1)")
	if len(p.o.works.order) != 0 {
		t.Errorf("%d works are left", len(p.o.works.order))
	}
}

// Who arbitrates is the owner's to say; nobody is heard while the owner is silent.
func TestOutpostShowsWhoArbitrates(t *testing.T) {
	p := newPost(t)
	leads := func(ev Event, want string) {
		t.Helper()
		p.o.step(ev, p.now)
		l := p.o.leads()
		if got := fmt.Sprint(l.Host, " ", l.Term, " ", l.Live); got != want {
			t.Errorf("%T%+v: led by %s, want %s", ev, ev, got, want)
		}
	}
	by := func(host string, term uint64, live bool) word {
		return word{Joined: true, Lead: &area.Lead{Mode: area.LeaderHub, Host: host, Term: term, Live: live}}
	}
	leads(Begin{}, " 0 false")
	leads(reigned{reign.State{Owner: "hub-1", Life: "l1", Term: 64}}, " 0 false")
	leads(p.from("hub-1", "l1", 64, word{Lead: &area.Lead{}}), " 0 false") // it does not know yet
	leads(p.from("hub-1", "l1", 64, by("hub-1", 64, true)), "hub-1 64 true")
	leads(p.from("hub-3", "l3", 64, by("hub-3", 64, true)), "hub-1 64 true") // not the owner
	leads(p.from("hub-1", "l1", 64, by("gate-1", 80, false)), "gate-1 80 false")
	leads(p.from("hub-1", "l1", 64, by("gate-1", 80, true)), "gate-1 80 true")
	p.now += 3 * sec
	leads(Tick{}, "gate-1 80 false")
	leads(p.from("hub-1", "l1", 64, by("hub-1", 128, true)), "hub-1 128 true")
	leads(nodesLive{[]string{"hub-2", "hub-3"}}, "hub-1 128 false")
	leads(reigned{reign.State{Owner: "hub-3", Life: "l3", Term: 130}}, "hub-1 128 false")
	leads(p.from("hub-3", "l3", 130, word{}), "hub-1 128 false") // heard, but not of this
	leads(p.from("hub-1", "l1", 128, by("hub-1", 128, true)), "hub-1 128 false")
	leads(p.from("hub-3", "l3", 130, by("hub-3", 130, true)), "hub-3 130 true")
}

func TestOutpostTellsOfItsHolds(t *testing.T) {
	p := newPost(t)
	p.o.holds.ofOurs([]area.Hold{{Kind: "classic", Device: "old-1", LeftMs: 4000}, {Kind: "dumb", Device: "old-2", LeftMs: 9000}}, p.now)
	p.want(Set{Device: "old-2"}, "") // it is over
	p.want(reigned{reign.State{Owner: "hub-1", Life: "l1", Term: 64}}, "busy(settling,64,1) join(64,0,1)")
	p.want(p.from("hub-1", "l1", 64, word{}), "set(old-2)")
	p.now += sec
	p.want(Tick{}, "join(64,0,1)")
	p.want(p.from("hub-1", "l1", 64, word{Joined: true}), "")
	p.now += sec
	p.want(Tick{}, "join(64,0,0)")
}

// What the owner had without a lease is said to the next one, by every node that
// heard of it: the server may have forgotten it, and he be dead.
func TestOutpostTellsOfTheOwnersHolds(t *testing.T) {
	p := newPost(t)
	had := func(ids ...area.DeviceID) (list []area.Hold) {
		for _, d := range ids {
			list = append(list, area.Hold{Kind: "classic", Device: d, LeftMs: 60_000})
		}
		return list
	}
	p.want(reigned{reign.State{Owner: "hub-1", Life: "l1", Term: 64}}, "busy(settling,64,1) join(64,0,0)")
	p.want(p.from("hub-1", "l1", 64, word{Joined: true, Holds: had("old-1", "old-2", "old-3")}), "")
	p.want(p.from("hub-1", "l1", 64, word{Holds: had("old-1", "old-2")}), "")
	p.want(reigned{reign.State{Term: 64}}, "") // nobody has the area
	p.want(Set{Device: "old-2"}, "")
	if got := p.o.holds.all(p.now); len(got) != 1 || got[0].Device != "old-1" {
		t.Errorf("holds are left of %v", got)
	}
	p.now += sec
	p.want(reigned{reign.State{Owner: "hub-3", Life: "l3", Term: 130}}, "busy(settling,130,1) join(130,0,1)")
	p.want(p.from("hub-3", "l3", 130, word{Joined: true, Holds: had("old-1")}), "set(old-2)")
	p.now += sec
	p.want(Tick{}, "join(130,0,0)")
}

func TestWordsOnTheWire(t *testing.T) {
	volume := 40
	list := []herePlayer{{Device: "gate-1", Via: area.ViaMQTT, Boot: 3, Volume: &volume, Attributes: map[string]string{"a": "b"}}}
	for _, w := range []word{
		{}, {Owner: true, Joined: true, Lead: &area.Lead{Mode: area.LeaderHub, Host: "hub-1", Addr: "10.0.0.1:1883", Web: "http://:8080", Term: 64, Live: true}, Holds: []area.Hold{{Kind: "classic", Device: "d", LeftMs: 3}}}, {Join: &join{Term: 64, Rev: 2, Holds: []area.Hold{{Kind: "dumb", Device: "d", LeftMs: 3}}}},
		{Say: &area.Trunk{Op: area.TrunkStored, Area: "north", Work: "w-1", Life: "l1"}}, {Raw: &rawMessage{Topic: "a/b", Payload: []byte{0, 1}, Device: "d"}},
		{Owner: true, Out: []posted{{Topic: "a", Payload: []byte("x"), QoS: 1, Retain: true, From: "tacet-bridge:gate-1"}}}, {Cut: "gate-1"}, {Led: &ledDevices{Leader: "gate-2", Serves: []area.DeviceID{"gate-3"}}}, {Here: &list},
	} {
		w.Area, w.Life, w.Term = "north", "l1", 64
		got, err := parseWord(w.encode())
		if err != nil || !reflect.DeepEqual(got, w) {
			t.Errorf("%s\nread back %+v %v", w.encode(), got, err)
		}
	}
	for name, wire := range map[string]string{
		"no word": `{`, "version": `{"v":2,"area":"north","life":"l","term":1}`, "area": `{"v":1,"area":"a b","life":"l","term":1}`, "no life": `{"v":1,"area":"north","term":1}`,
		"trunk": `{"v":1,"area":"north","life":"l","term":1,"say":{"op":"submit"}}`, "trunk of another area": `{"v":1,"area":"north","life":"l","term":1,"say":{"op":"stop_play","area":"south","life":"l"}}`,
	} {
		if w, err := parseWord([]byte(wire)); err == nil {
			t.Errorf("%s: read %+v", name, w)
		}
	}
}

func TestWhoIsHere(t *testing.T) {
	one, two := herePlayer{Device: "a", Boot: 1}, herePlayer{Device: "b"}
	older := one
	older.Boot = 0
	changed, gone := playersOf([]herePlayer{one, two}, []herePlayer{older, {Device: "c"}})
	if len(changed) != 2 || len(gone) != 1 || gone[0] != "c" {
		t.Errorf("changed %v, gone %v", changed, gone)
	}
	if changed, gone = playersOf([]herePlayer{one, two}, []herePlayer{one, two}); len(changed)+len(gone) != 0 {
		t.Errorf("the same list: changed %v, gone %v", changed, gone)
	}
}
