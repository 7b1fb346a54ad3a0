package arbiter_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/broker/turn"
)

// leaders keeps records in memory, as durable as the test.
type leaders struct {
	mu sync.Mutex
	by map[string][]byte
}

func (l *leaders) Load(each func(string, []byte) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, v := range l.by {
		if err := each(k, v); err != nil {
			return err
		}
	}
	return nil
}

func (l *leaders) PutAsync(key string, value []byte, done func(error)) {
	l.mu.Lock()
	l.by[key] = value
	l.mu.Unlock()
	done(nil)
}

func (l *leaders) DeleteAsync(key string, done func(error)) {
	l.mu.Lock()
	delete(l.by, key)
	l.mu.Unlock()
	done(nil)
}

// able are the members of north.
type able struct{}

func (able) Member(in area.Name, d area.DeviceID) (area.Member, bool) {
	return area.Member{Device: d, Index: 16}, in == "north" && strings.HasPrefix(string(d), "gate-")
}

// wit is a witness that merges.
type wit struct {
	mu     sync.Mutex
	notes  []proof.Record
	merged []proof.Record
}

func (w *wit) Note(_ area.Name, r proof.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, r)
}

func (w *wit) Merge(_ area.Name, r proof.Record, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.merged = append(w.merged, r)
}

func (w *wit) counts() (notes, merged int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.notes), len(w.merged)
}

// noted are the notes of a kind.
func (w *wit) noted(is proof.Kind) (list []proof.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.notes {
		if r.Is == is {
			list = append(list, r)
		}
	}
	return list
}

// town is a hub whose area north is a local one.
type town struct {
	hub
	wit      wit
	reporter atomic.Pointer[clerk] // nil: reports are only collected
}

// Report collects what the service reports, and hands it on.
func (h *town) Report(r area.Report) {
	h.reports.Report(r)
	if c := h.reporter.Load(); c != nil {
		c.Report(r)
	}
}

// Adopt takes in an order of the leader's, where there is an order service.
func (h *town) Adopt(o area.Order, r area.Report, done func(error)) {
	if c := h.reporter.Load(); c != nil {
		c.Adopt(o, r, done)
	}
}

func newTown(t *testing.T, l *ledger, led *leaders) *town {
	t.Helper()
	h := &town{}
	h.Broker = brokertest.New(t)
	var err error
	h.roster, err = arbiter.NewRoster(arbiter.RosterConfig{Node: "hub-1", Areas: []arbiter.AreaConfig{
		{ID: "north", Name: "North Wing", Volume: -1, Topology: area.TopologyLocal, Locations: []arbiter.Place{{ID: "1"}, {ID: "2"}}},
	}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	h.service, err = arbiter.New(arbiter.Config{
		Node: "hub-1", ColdStart: true, Witness: &h.wit, Leaders: led, Members: able{}, Life: "h1", Retained: h.Retained,
	}, h.Broker, l, links{h.Broker}, h.roster, func() area.Instant { return area.Instant(time.Since(start)) }, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.service.Run(ctx, h); err != nil {
			t.Error(err)
		}
	})
	h.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(h.stop)
	synctest.Wait()
	return h
}

// scripted is a leader that says what the test has it say, over real MQTT. Its
// own arbiter is a core that the hub never sees.
type scripted struct {
	t      *testing.T
	id     area.DeviceID
	life   string
	term   uint64
	serves []area.DeviceID
	owes   int
	c      mqtt.Client
	in     *brokertest.Inbox
	n      uint64
	hub    string // life of the hub that it speaks with; empty: whichever
}

func (h *town) leader(t *testing.T, id area.DeviceID, term uint64) *scripted {
	t.Helper()
	s := &scripted{t: t, id: id, life: "l-" + string(id), term: term, hub: "h1", c: h.Dial(t, string(id)+":trunk")}
	s.in = brokertest.Subscribe(t, s.c, area.TrunkDownTopic(id), 1)
	return s
}

func (s *scripted) say(m area.Trunk) {
	s.t.Helper()
	m.Area, m.Life, m.Term = "north", s.life, s.term
	s.c.Publish(area.TrunkUpTopic(s.id), 1, false, m.Encode()).Wait()
	synctest.Wait()
}

func (s *scripted) lead() {
	s.t.Helper()
	s.say(area.Trunk{Op: area.TrunkLead, Addr: "10.0.0.5:1883", Web: "http://:8080", AliveMs: 6250, Serves: s.serves, Owes: s.owes})
}

// heard is all that came down since the last call, by op.
func (s *scripted) heard() map[area.TrunkOp][]area.Trunk {
	s.t.Helper()
	synctest.Wait()
	all := map[area.TrunkOp][]area.Trunk{}
	for _, m := range s.in.Take(s.t, s.in.Len()) {
		msg, err := area.ParseTrunk(m.Payload)
		if err != nil {
			s.t.Fatal(err)
		}
		if msg.Area != "north" || s.hub != "" && msg.Life != s.hub {
			s.t.Errorf("from the hub: %+v", msg)
		}
		all[msg.Op] = append(all[msg.Op], msg)
	}
	return all
}

// for d it says each second that it leads.
func (s *scripted) leads(d time.Duration) {
	s.t.Helper()
	for range d / time.Second {
		time.Sleep(time.Second)
		s.lead()
	}
}

func (s *scripted) report(r area.Report, o *area.Order) {
	s.t.Helper()
	s.n++
	s.say(area.Trunk{Op: area.TrunkReport, N: s.n, Report: r.Reported(r.Ago), Order: o})
}

func (h *town) leaderTopic(t *testing.T) string {
	t.Helper()
	synctest.Wait()
	list := h.Retained(area.LeaderTopic("north"), 1)
	if len(list) != 1 {
		t.Fatalf("%d retained leaders", len(list))
	}
	return string(list[0].Payload)
}

// A device of the hub's has its turn through the leader: what it says goes down,
// what it is answered comes up; the public state is the leader's.
func TestClaimsGoThroughTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTown(t, newLedger(), &leaders{by: map[string][]byte{}})
		web := h.device(t, "web-1", "north", "1")
		s := h.leader(t, "gate-1", 80)
		s.lead()
		got := s.heard()
		if len(got[area.TrunkLed]) != 1 || len(got[area.TrunkUp]) != 1 || got[area.TrunkUp][0].Location != "1" {
			t.Fatalf("after the lead: %+v", got)
		}
		if l := h.leaderTopic(t); !strings.Contains(l, `"host":"gate-1"`) || !strings.Contains(l, `"mode":"local"`) || !strings.Contains(l, `"term":80`) || !strings.Contains(l, `"web":"http://:8080"`) {
			t.Errorf("leader is %s", l)
		}
		if b := h.busy(t, "north"); b.State != area.Settling || b.Term != 80 {
			t.Errorf("busy is %+v", b)
		}
		before := h.service.Stats().Grants
		web.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		down := s.heard()[area.TrunkHeard]
		if len(down) != 1 || down[0].Device != "web-1" || down[0].Claim.Op != area.OpWant {
			t.Fatalf("of the want went down %+v", down)
		}
		c := down[0].Claim
		busy, holder, token := area.IdleBusy("north", 80, 2, 6*time.Second), area.DeviceID("web-1"), area.MakeToken(80, 1)
		busy.State, busy.Holder, busy.Token = area.Held, &holder, &token
		s.say(area.Trunk{Op: area.TrunkBusy, Busy: &busy})
		s.say(area.Trunk{Op: area.TrunkSay, Device: "web-1", Answer: &area.Answer{Op: area.OpGrant, Boot: c.Boot, MID: c.MID, Claim: c.Claim, Ack: c.Seq, Token: token, Lease: 3 * time.Second, Term: 80, From: "gate-1"}})
		web.step(turn.Tick{})
		if web.turn.Phase() != turn.Playing {
			t.Errorf("the device is %s", web.turn.Phase())
		}
		if b := h.busy(t, "north"); b.State != area.Held || *b.Holder != "web-1" || b.Term != 80 {
			t.Errorf("busy is %+v", b)
		}
		if d, _ := h.roster.Player("web-1"); *d.State != "playing" {
			t.Errorf("the roster has it %s", *d.State)
		}
		if got := h.service.Stats(); got.Grants != before || got.Led != 1 {
			t.Errorf("the hub granted by itself, or does not know that it is led: %+v", got)
		}
		// The leader of another area, and a device that is no member, are not heard.
		s.say(area.Trunk{Op: area.TrunkSay, Device: "stranger", Answer: &area.Answer{Op: area.OpGrant}})
		other := h.leader(t, "web-9", 200)
		other.lead()
		if got := other.heard()[area.TrunkRefused]; len(got) != 1 || got[0].Reason != area.TrunkNotMember {
			t.Errorf("a stranger's lead: %+v", got)
		}
	})
}

// Devices of the leader's appear at the hub, are commanded through it, and are
// away when it is.
func TestDevicesOfTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTown(t, newLedger(), &leaders{by: map[string][]byte{}})
		op := h.Dial(t, "ann")
		op.Publish(area.CommandTopic("gate-2", "mute"), 1, true, "true").Wait()
		s := h.leader(t, "gate-1", 80)
		s.lead()
		s.say(area.Trunk{Op: area.TrunkStatus, Device: "gate-2", Status: &area.Status{Online: true, Boot: 3, Conn: 1, Area: "North Wing", Location: "2"}})
		p, ok := h.roster.Player("gate-2")
		if !ok || p.Presence != area.Online || p.Area != "north" || p.Boot != 3 {
			t.Fatalf("gate-2 is %+v", p)
		}
		if got := s.heard()[area.TrunkCommand]; len(got) != 1 || got[0].Topic != area.CommandTopic("gate-2", "mute") || string(got[0].Payload) != "true" {
			t.Errorf("what was retained for it: %+v", got)
		}
		op.Publish(area.CommandTopic("gate-2", "identify"), 1, false, "").Wait()
		op.Publish(area.CommandTopic("gate-7", "identify"), 1, false, "").Wait()
		if got := s.heard()[area.TrunkCommand]; len(got) != 1 || got[0].Topic != area.CommandTopic("gate-2", "identify") {
			t.Errorf("a command for it: %+v", got)
		}
		seen := brokertest.Subscribe(t, op, "tacet/device/gate-2/tele/#", 1)
		s.say(area.Trunk{Op: area.TrunkTele, Topic: "tacet/device/gate-2/tele/temperature", Payload: []byte("21.5")})
		s.say(area.Trunk{Op: area.TrunkTele, Topic: "tacet/device/gate-2/status", Payload: []byte("{}")})
		s.say(area.Trunk{Op: area.TrunkTele, Topic: "home/x", Payload: []byte("{}")})
		synctest.Wait()
		if n := seen.Len(); n != 1 {
			t.Errorf("%d readings came, want 1", n)
		}
		presence := func(d area.DeviceID, want area.Presence, reason string) {
			t.Helper()
			synctest.Wait()
			if p, _ := h.roster.Player(d); p.Presence != want || *p.Reason != reason {
				t.Errorf("%s is %s, %s, want %s, %s", d, p.Presence, *p.Reason, want, reason)
			}
		}
		s.say(area.Trunk{Op: area.TrunkStatus, Device: "gate-3", Status: &area.Status{Online: true, Boot: 1, Conn: 1, Area: "North Wing"}})
		s.say(area.Trunk{Op: area.TrunkGone, Device: "gate-3", Reason: area.PresentTimeout})
		presence("gate-3", area.Offline, area.PresentTimeout)
		s.say(area.Trunk{Op: area.TrunkStatus, Device: "gate-3", Status: &area.Status{Online: true, Boot: 1, Conn: 2, Area: "North Wing"}})
		presence("gate-3", area.Online, area.PresentConnected)
		s.say(area.Trunk{Op: area.TrunkStatus, Device: "gate-3", Status: &area.Status{Boot: 1, Conn: 2, Area: "North Wing"}}) // its will
		s.say(area.Trunk{Op: area.TrunkGone, Device: "gate-3", Reason: area.PresentWill})
		presence("gate-3", area.Offline, area.PresentWill)
		// One that is at the hub by now is the hub's to know.
		op.Publish(area.StatusTopic("gate-4"), 1, true, area.Status{Online: true, Boot: 1, Conn: 3, Area: "North Wing"}.Encode()).Wait()
		s.say(area.Trunk{Op: area.TrunkGone, Device: "gate-4", Reason: area.PresentWill})
		presence("gate-4", area.Online, area.PresentConnected)
		// What said that one has gone was lost: the next lead says it.
		s.say(area.Trunk{Op: area.TrunkStatus, Device: "gate-5", Status: &area.Status{Online: true, Boot: 1, Conn: 1, Area: "North Wing"}})
		s.serves = []area.DeviceID{"gate-2"}
		s.lead()
		presence("gate-5", area.Online, area.PresentConnected)
		s.leads(4 * time.Second)
		presence("gate-5", area.Offline, area.PresentTimeout)
		presence("gate-2", area.Online, area.PresentConnected)
		s.heard()
		s.leads(2 * time.Second)
		if got := s.heard(); len(got[area.TrunkUp]) != 0 {
			t.Errorf("its own device is told to it: %+v", got[area.TrunkUp])
		}
		time.Sleep(4 * time.Second)
		if p, _ := h.roster.Player("gate-2"); p.Presence != area.Offline {
			t.Errorf("while the leader is silent gate-2 is %s", p.Presence)
		}
	})
}

// The whole life of a work in the leader's hands, through a split: no second
// report ends it again, and the hub does not dispatch it meanwhile.
func TestAWorkInTheHandsOfALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger, led := newLedger(), &leaders{by: map[string][]byte{}}
		h := newTown(t, ledger, led)
		d := h.device(t, "web-1", "north", "1")
		offers := brokertest.Subscribe(t, d.c, area.AreaWorkTopic("north"), 1)
		s := h.leader(t, "gate-1", 80)
		s.lead()
		if err := h.service.Submit(t.Context(), area.Work{ID: "o-1", Area: "north", Prio: area.Normal, Dur: time.Second, Expires: time.Now().Add(20 * time.Second)}); err != nil {
			t.Fatal(err)
		}
		got := s.heard()[area.TrunkSubmit]
		if len(got) != 1 || got[0].Handed.Work != "o-1" || got[0].Handed.TTLMs != 20_000 {
			t.Fatalf("handed over: %+v", got)
		}
		s.say(area.Trunk{Op: area.TrunkSubmitted, N: got[0].N, Work: "o-1"})
		s.leads(2 * time.Second)
		if again := s.heard()[area.TrunkSubmit]; len(again) != 0 {
			t.Errorf("handed over again: %+v", again)
		}
		time.Sleep(40 * time.Second) // past its expiry, and past the takeover
		synctest.Wait()
		if b := h.busy(t, "north"); b.Term <= 80 || b.State == area.Held {
			t.Errorf("after the takeover busy is %+v", b)
		}
		if got := h.service.Stats(); got.Splits != 1 || got.Led != 0 {
			t.Errorf("stats %+v", got)
		}
		if n := offers.Len(); n != 0 {
			t.Errorf("the hub has offered a work that is in the leader's hands %d times", n)
		}
		d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		for range 10 {
			time.Sleep(time.Second)
			d.step(turn.Tick{})
		}
		if d.turn.Phase() != turn.Playing {
			t.Errorf("the hub arbitrates again, and the device is %s", d.turn.Phase())
		}
		if got := strings.Join(h.reports.states("o-1"), ", "); got != "assigned" {
			t.Errorf("reports: %s", got)
		}
		if got, want := h.wit.noted(proof.Split), (proof.Record{Is: proof.Split, Device: "gate-1", Term: 80, Own: 128}); len(got) != 1 || got[0] != want {
			t.Errorf("the split is noted as %+v, want %+v", got, want)
		}
		h.stop() // and the hub starts again
		h2 := newTown(t, ledger, led)
		_ = h2.service.Submit(t.Context(), area.Work{ID: "o-1", Area: "north", Prio: area.Normal, Dur: time.Second})
		s2 := h2.leader(t, "gate-1", 80)
		s2.report(area.Report{Work: "o-1", State: area.OrderPlayed, Device: "gate-2", Att: 1, Ago: 30 * time.Second}, nil)
		s2.report(area.Report{Work: "o-1", State: area.OrderPlayed, Device: "gate-2", Att: 1, Ago: 30 * time.Second}, nil)
		if got := s2.heard()[area.TrunkGot]; len(got) != 0 {
			t.Errorf("got before it is durable: %+v", got)
		}
		h2.service.Stored("north", "o-1")
		if got := s2.heard()[area.TrunkGot]; len(got) != 2 {
			t.Errorf("got %+v, want both", got)
		}
		h2.reports.mu.Lock()
		first := h2.reports.list[0]
		h2.reports.mu.Unlock()
		if first.State != area.OrderPlayed || first.Ago != 30*time.Second {
			t.Errorf("the report is %+v", first)
		}
		if kept := string(led.by["north"]); strings.Contains(kept, "works") || !strings.Contains(kept, `"split"`) {
			t.Errorf("kept: %s", kept)
		}
		s2.term = 208
		s2.lead()
		whole := h2.wit.noted(proof.Whole)
		if want := (proof.Record{Is: proof.Whole, Device: "gate-1", Term: 208}); len(whole) != 1 || whole[0] != want {
			t.Errorf("the end of the split is noted as %+v, want %+v", whole, want)
		}
	})
}

// The hub writes no record of its own of what a leader grants; the leader's comes
// over the trunk, once.
func TestTheRecordOfAReign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTown(t, newLedger(), &leaders{by: map[string][]byte{}})
		s := h.leader(t, "gate-1", 80)
		s.lead()
		before, _ := h.wit.counts()
		busy, holder, token := area.IdleBusy("north", 80, 2, 6*time.Second), area.DeviceID("gate-2"), area.MakeToken(80, 1)
		busy.State, busy.Holder, busy.Token = area.Held, &holder, &token
		s.say(area.Trunk{Op: area.TrunkBusy, Busy: &busy})
		line := area.Trunk{Op: area.TrunkRecord, N: 1, AgoMs: 10, Record: []byte(`{"t":5,"is":"grant","device":"gate-2","token":80000001}`)}
		s.say(line)
		s.say(line)
		notes, merged := h.wit.counts()
		if notes != before || merged != 1 {
			t.Errorf("%d notes of the hub's own, %d merged, want none and one", notes-before, merged)
		}
		if got := s.heard()[area.TrunkGot]; len(got) != 2 {
			t.Errorf("got %+v", got)
		}
		h.stop()
	})
}

// An area that was removed and made again is nobody's.
func TestARemovedAreaForgetsItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		led := &leaders{by: map[string][]byte{}}
		h := newTown(t, newLedger(), led)
		s := h.leader(t, "gate-1", 80)
		s.lead()
		if len(led.by) != 1 {
			t.Fatalf("kept: %v", led.by)
		}
		if err := h.roster.Create(arbiter.AreaConfig{ID: "extra", Source: area.SourceAPI, Volume: -1, Topology: area.TopologyLocal}); err != nil {
			t.Fatal(err)
		}
		if err := h.roster.Remove("extra"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, ok := led.by["extra"]; ok {
			t.Error("the leader of an area that is gone is kept")
		}
	})
}

// The area shows who arbitrates it, whether it is heard, what it owes, and a split.
func TestAnAreaShowsWhoLeadsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTown(t, newLedger(), &leaders{by: map[string][]byte{}})
		lead := func() area.Lead {
			t.Helper()
			synctest.Wait()
			a, _ := h.roster.Area("north")
			if a.Leader == nil {
				t.Fatal("nobody is shown")
			}
			return *a.Leader
		}
		began := area.At(time.Now())
		if want := (area.Lead{Mode: area.LeaderHub, Host: "hub-1", Term: 64, Since: &began, Live: true}); !lead().Same(want) {
			t.Errorf("at first %+v, want %+v", lead(), want)
		}
		time.Sleep(time.Minute)
		led := area.At(time.Now())
		s := h.leader(t, "gate-1", 80)
		s.owes = 3
		s.lead()
		want := area.Lead{Mode: area.LeaderLocal, Host: "gate-1", Addr: "10.0.0.5:1883", Web: "http://:8080", Term: 80, Since: &led, Live: true, Owes: 3}
		if !lead().Same(want) {
			t.Errorf("then %+v, want %+v", lead(), want)
		}
		time.Sleep(4 * time.Second)
		want.Live = false
		if !lead().Same(want) {
			t.Errorf("silent %+v, want %+v", lead(), want)
		}
		time.Sleep(26 * time.Second)
		split := area.At(time.Now())
		want = area.Lead{Mode: area.LeaderHub, Host: "hub-1", Term: 128, Since: &split, Live: true, Split: &area.Split{At: split, Leader: "gate-1", Term: 80, Own: 128}}
		if got := lead(); !got.Same(want) {
			t.Errorf("split %+v %+v, want %+v", got, got.Split, want)
		}
		s.term, s.owes = 144, 0
		s.lead()
		over := area.At(time.Now())
		if got := lead(); got.Host != "gate-1" || got.Split == nil || got.Split.Over == nil || !got.Split.Over.Equal(over.Time) {
			t.Errorf("afterwards %+v %+v", got, got.Split)
		}
	})
}

// A member that is at the hub hears the leader ask for votes, and is heard.
func TestMembersAtTheHubVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTown(t, newLedger(), &leaders{by: map[string][]byte{}})
		member := h.Dial(t, "gate-2")
		polls := brokertest.Subscribe(t, member, area.PollTopic("north"), 1)
		s := h.leader(t, "gate-1", 80)
		s.lead()
		asks := area.Poll{Area: "north", Arbiter: "gate-1", Term: 80, N: 7, Vote: 10 * time.Second}
		s.say(area.Trunk{Op: area.TrunkPoll, Poll: &asks})
		var got area.Poll
		for _, m := range polls.Take(t, polls.Len()) {
			got, _ = area.ParsePoll(m.Payload)
		}
		if got != asks {
			t.Fatalf("asked %+v, want %+v", got, asks)
		}
		vote := area.Vote{Arbiter: "gate-1", Term: 80, N: 7, MID: "m2"}
		member.Publish(area.VoteTopic("north", "gate-2"), 1, false, vote.Encode()).Wait()
		if votes := s.heard()[area.TrunkVote]; len(votes) != 1 || votes[0].Device != "gate-2" || *votes[0].Vote != vote {
			t.Errorf("the leader hears %+v", votes)
		}
	})
}

// A play that a leader reports is noted at once: its record may be to come.
func TestPlaysOfWhichALeaderTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTown(t, newLedger(), &leaders{by: map[string][]byte{}})
		s := h.leader(t, "gate-1", 80)
		s.lead()
		if err := h.service.Submit(t.Context(), area.Work{ID: "o-1", Area: "north", Prio: area.Normal, Dur: time.Second}); err != nil {
			t.Fatal(err)
		}
		s.say(area.Trunk{Op: area.TrunkSubmitted, N: s.heard()[area.TrunkSubmit][0].N, Work: "o-1"})
		for range 2 { // until it is got
			s.report(area.Report{Work: "o-1", State: area.OrderPlayed, Device: "gate-2", Att: 1}, nil)
		}
		if got := h.wit.noted(proof.Told); len(got) != 1 || got[0].Device != "gate-2" || got[0].Work != "o-1" {
			t.Errorf("noted %+v", got)
		}
	})
}
