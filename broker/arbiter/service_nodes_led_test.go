package arbiter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/reign"
	"github.com/tacet-hub/tacet/broker/turn"
)

// ledSite is a hub of several nodes whose area north one of its devices may lead.
func ledSite(t *testing.T, mode string) *site {
	s := newSite(t)
	north := siteAreas[0]
	north.Topology, north.Mode = area.TopologyLocal, mode
	s.areas, s.led = []arbiter.AreaConfig{north}, map[string]*leaders{}
	return s
}

// leader is one whose trunk ends at this node.
func (n *siteNode) leader(t *testing.T, id area.DeviceID, term uint64) *scripted {
	t.Helper()
	l := &scripted{t: t, id: id, life: "l-" + string(id), term: term, c: n.Dial(t, string(id)+":trunk")}
	l.in = brokertest.Subscribe(t, l.c, area.TrunkDownTopic(id), 1)
	return l
}

// leading lets time go by, in which the leader says each 100 ms that it leads.
func (s *site) leading(d time.Duration, l *scripted, devices ...*device) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		l.lead()
		s.pass(100*time.Millisecond, devices...)
	}
}

// A leader whose trunk ends at a node that does not have its area arbitrates it for the
// devices of both, and does so on when the owner dies.
func TestALeaderAtAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := ledSite(t, area.ModeAvailable).pair()
		defer s.close()
		d := a.quick(t, "web-1", "1", 1)
		l := b.leader(t, "gate-1", 80)
		s.leading(time.Second, l, d)
		got := l.heard()
		if len(got[area.TrunkLed]) == 0 || len(got[area.TrunkUp]) != 1 || got[area.TrunkUp][0].Device != "web-1" {
			t.Fatalf("after the lead: %+v", got)
		}
		for _, n := range []*siteNode{a, b} {
			if x := n.lead(); x.Host != "gate-1" || x.Term != 80 || !x.Live || x.Mode != area.LeaderLocal {
				t.Errorf("%s shows %+v", n.name, x)
			}
			if busy := n.busy(t, "north"); busy.State != area.Settling || busy.Term != 80 {
				t.Errorf("%s shows %s", n.name, busy.Encode())
			}
		}

		d.step(turn.Wish{Prio: area.Normal, Dur: time.Minute})
		synctest.Wait()
		c := wantOf(t, l)
		busy, holder, token := area.IdleBusy("north", 80, 2, time.Second), area.DeviceID("web-1"), area.MakeToken(80, 1)
		busy.State, busy.Holder, busy.Token = area.Held, &holder, &token
		l.say(area.Trunk{Op: area.TrunkBusy, Busy: &busy})
		l.say(area.Trunk{Op: area.TrunkSay, Device: "web-1", Answer: &area.Answer{Op: area.OpGrant, Boot: c.Boot, MID: c.MID, Claim: c.Claim, Ack: c.Seq, Token: token, Lease: time.Second, Term: 80, From: "gate-1"}})
		s.pass(100*time.Millisecond, d)
		if d.turn.Phase() != turn.Playing {
			t.Fatalf("web-1 is %s", d.turn.Phase())
		}
		shown := b.busy(t, "north")
		if shown.State != area.Held || *shown.Holder != "web-1" {
			t.Errorf("hub-2 shows %s", shown.Encode())
		}

		a.kill()
		s.until("hub-2 has north", func() bool { l.lead(); return owner(b) })
		s.leading(3*time.Second, l)
		if got := l.heard()[area.TrunkLed]; len(got) == 0 {
			t.Error("hub-2 does not follow the leader")
		}
		if st := b.service.Stats(); st.Led != 1 || st.Grants != 0 || st.Splits != 0 || st.Settlings != 0 {
			t.Errorf("hub-2 %+v", st)
		}
		if now := b.busy(t, "north"); now.Term != 80 || now.Rev <= shown.Rev {
			t.Errorf("hub-2 shows %s after %s", now.Encode(), shown.Encode())
		}
	})
}

// wantOf is the newest want that has come down.
func wantOf(t *testing.T, l *scripted) *area.Claim {
	t.Helper()
	for _, m := range l.heard()[area.TrunkHeard] {
		if m.Claim.Op == area.OpWant {
			return m.Claim
		}
	}
	t.Fatal("no want came down")
	return nil
}

// What a device of the leader's says of itself is published where the area is had, and
// goes on from broker to broker; the other node knows from it who is live, and does not
// publish it again.
func TestDevicesOfALeaderAtTwoNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, a, b := ledSite(t, area.ModeAvailable).pair()
		defer s.close()
		l := b.leader(t, "gate-1", 80)
		s.leading(time.Second, l)
		at := map[*siteNode]*brokertest.Inbox{}
		for _, n := range []*siteNode{a, b} {
			at[n] = brokertest.Subscribe(t, n.Dial(t, "ann"), "tacet/device/gate-2/#", 1)
		}
		l.say(area.Trunk{Op: area.TrunkStatus, Device: "gate-2", Status: &area.Status{Online: true, Boot: 3, Conn: 1, Area: "north", Location: "2"}})
		l.say(area.Trunk{Op: area.TrunkTele, Topic: "tacet/device/gate-2/tele/temperature", Payload: []byte("21.5")})
		synctest.Wait()
		if one, two := at[a].Len(), at[b].Len(); one != 2 || two != 0 {
			t.Errorf("%d messages at hub-1, %d at hub-2", one, two)
		}
		for _, n := range []*siteNode{a, b} {
			if p, _ := n.roster.Player("gate-2"); p.Presence != area.Online || p.Boot != 3 {
				t.Errorf("at %s it is %+v", n.name, p)
			}
		}
		if !a.service.SendsTo("gate-2") || b.service.SendsTo("gate-2") {
			t.Error("who sends to it is not hub-1 alone")
		}
		op := b.Dial(t, "op")
		op.Publish(area.CommandTopic("gate-2", "identify"), 1, false, "").Wait()
		synctest.Wait()
		if got := l.heard()[area.TrunkCommand]; len(got) != 1 || got[0].Topic != area.CommandTopic("gate-2", "identify") {
			t.Errorf("a command of hub-2 for it: %+v", got)
		}
		op.Publish(area.CommandTopic("gate-2", "mute"), 1, true, "true").Wait() // as hub-1's broker would have it by then, too
		synctest.Wait()
		a.kill()
		s.until("hub-2 has north", func() bool { l.lead(); return owner(b) })
		s.leading(time.Second, l)
		l.heard()
		l.say(area.Trunk{Op: area.TrunkStatus, Device: "gate-2", Status: &area.Status{Online: true, Boot: 3, Conn: 1, Area: "north", Location: "2"}})
		if got := l.heard()[area.TrunkCommand]; len(got) != 1 || got[0].Topic != area.CommandTopic("gate-2", "mute") {
			t.Errorf("what is retained for it, by the next owner: %+v", got)
		}
		if two := at[b].Len(); two != 3 { // with the two commands
			t.Errorf("%d messages at hub-2", two)
		}
	})
}

// mute is a ledger of areas that says what the test has it say.
type mute struct{ told func(reign.State) }

func (m *mute) Follow(_ area.Name, _ time.Duration, _ uint64, told func(reign.State)) { m.told = told }
func (m *mute) Drop(area.Name)                                                        {}
func (m *mute) Commit(_ area.Name, _ reign.Commit, done func(error))                  { done(nil) }
func (m *mute) GiveUp(_ area.Name, done func(error))                                  { done(nil) }

// An owner whose reign is over by its clock answers no leader, also before it has heard
// that it is over.
func TestAReignThatIsOverAnswersNoLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledSite(t, area.ModeStrict)
		defer s.close()
		m := &mute{}
		s.reigns = m
		a := s.join("hub-1", 0, newLedger())
		now := area.Instant(time.Since(s.start)) + 1
		m.told(reign.State{Mine: true, Begun: true, Owner: "hub-1", Term: 64, Until: now.Add(5 * time.Second)})
		l := a.leader(t, "gate-1", 80)
		s.leading(4*time.Second, l)
		if got := len(l.heard()[area.TrunkLed]); got < 30 {
			t.Errorf("while it reigns it has answered %d times", got)
		}
		time.Sleep(time.Second)
		l.lead()
		if got := l.heard(); len(got[area.TrunkLed]) != 0 {
			t.Errorf("after its reign it answers %+v", got)
		}
		m.told(reign.State{Mine: true, Owner: "hub-1", Term: 64, Until: now.Add(time.Minute)})
		l.lead()
		if got := l.heard(); len(got[area.TrunkLed]) != 1 {
			t.Errorf("after all it reigns, and answers %+v", got)
		}
	})
}

// In a strict area the hub's vote stands for 30 s from when it last followed a leader:
// whichever node has the area next, and also where the ledger has forgotten the leader,
// it grants nothing before.
func TestALedgerForgetsALeader(t *testing.T) {
	for name, what := range map[string]func(s *site, a, b *siteNode) *siteNode{
		"and the owner dies":        func(s *site, a, b *siteNode) *siteNode { a.kill(); return b },
		"and the owner begins anew": func(s *site, a, b *siteNode) *siteNode { b.kill(); return a },
		"and both nodes die": func(s *site, a, b *siteNode) *siteNode {
			a.kill()
			b.kill()
			return s.join("hub-2", 1, b.disk)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, a, b := ledSite(t, area.ModeStrict).pair()
				defer s.close()
				l := b.leader(t, "gate-1", 80)
				s.leading(3*time.Second, l)
				if a.lead().Host != "gate-1" || b.lead().Host != "gate-1" {
					t.Fatalf("hub-1 shows %+v, hub-2 %+v", a.lead(), b.lead())
				}
				l.lead()
				last := time.Now()
				s.ledger.Flush()
				n := what(s, a, b)
				d := n.quick(t, "gate-2", "2", 1)
				d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
				s.until("gate-2 plays", func() bool { return d.turn.Phase() == turn.Playing }, d)
				if took := time.Since(last); took < 30*time.Second {
					t.Errorf("it plays %v after the leader was followed", took)
				}
				if busy := n.busy(t, "north"); busy.Term <= 80 {
					t.Errorf("the term is %d", busy.Term)
				}
			})
		})
	}
}
