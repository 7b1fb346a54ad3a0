package nets

import (
	"encoding/json"
	"fmt"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// peers is what key peers of device.yaml is where devices can do without their hub.
const peers = "{mode: auto, key_file: %s}"

// team is a site whose devices can do without their hub.
type team struct {
	*site
	ear *ear // at the hub
}

// newTeam is newSite with devices that lead themselves. In an area that is local, as
// those are by default whose devices are on one network, it waits until one leads.
func newTeam(t *testing.T, gates int, keys string) *team {
	t.Helper()
	s := newSiteOf(t, gates, keys, peers)
	return &team{site: s, ear: s.hub.listen(s.gates[0].id, secret)}
}

// led waits until the hub says that one of the gates leads, in a term after the
// given one, and answers which.
func (s *team) led(after uint64, among ...*gate) (leads *gate, term uint64) {
	s.t.Helper()
	l := s.ear.leads("a gate leads", func(l area.Leader) bool {
		if l.Mode != area.TopologyLocal || l.Term <= after {
			return false
		}
		for _, g := range among {
			if string(g.id) == l.Host {
				leads = g
				return true
			}
		}
		return false
	})
	return leads, l.Term
}

// leader waits until one of the gates leads by its own word and all of them have come
// to it, and answers which, with a connection to its broker.
func (s *team) leader(among ...*gate) (leads *gate, e *ear) {
	s.t.Helper()
	var ears []*ear
	for _, g := range among {
		ears = append(ears, s.at(g))
	}
	until(s.t, "a gate leads", func() (bool, string) {
		for i, g := range among {
			if l, ok := ears[i].leader(); ok && l.Host == string(g.id) {
				leads, e = g, ears[i]
				return true, ""
			}
		}
		return false, "not so"
	})
	for _, g := range among { // until then the leader knows of no such device
		came := regexp.MustCompile(`msg="device online" .*conn=mqtt/\S+ device=` + regexp.QuoteMeta(string(g.id)) + `\b`) // the keys are in order
		until(s.t, fmt.Sprintf("%s has come to %s", g.id, leads.id), func() (bool, string) {
			return came.MatchString(leads.p.errs.String()), leads.p.errs.last(20)
		})
	}
	return leads, e
}

// at is a connection to the broker of a gate that leads, as that gate.
func (s *team) at(g *gate) *ear {
	s.t.Helper()
	return g.listen(g.id, g.memberSecret())
}

// memberSecret is the password by which the gate signs in at whoever leads.
func (g *gate) memberSecret() string {
	g.t.Helper()
	p, _, known, err := leader.Kept(g.file("data/peers"), g.file("key"))
	if err != nil || !known {
		g.t.Fatalf("%s has no roster: %v", g.id, err)
	}
	return leader.Secret(p.Key, g.id)
}

// submitted hands a tone in at a leader, for one device alone. Its clip must have
// been played there before. It counts as an order of the hub's: that is where its
// end has to be known at last.
func (s *team) submitted(e *ear, id area.WorkID, to *gate, long time.Duration) {
	s.t.Helper()
	ms := long.Milliseconds()
	body, err := json.Marshal(map[string]any{"kind": "play", "clip": s.clip(long)})
	if err != nil {
		s.t.Fatal(err)
	}
	e.submit(area.Submit{Work: id, Device: &to.id, DurMs: &ms, Body: body})
	s.orders, s.lengths[id] = append(s.orders, id), long
}

// primed has every gate play a tone, so that all have its clip.
func (s *team) primed(long time.Duration) {
	s.t.Helper()
	for _, g := range s.gates {
		s.ended(s.order(g.alone(), long))
	}
}

// TestALeaderLeads: on a network of their own devices have a leader though the hub
// is there, and what is ordered at the hub is played through it.
func TestALeaderLeads(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 3, "")
	s.led(0, s.gates...)
	for _, g := range s.gates {
		s.order(g.at(), short)
	}
	s.order(anybody(), short)
	s.judge(allow{})
}

// TestTheLeaderIsKilled: while a neighbour plays. Another one leads, every order has
// its end, and the dead one comes back as one of them.
func TestTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 3, "")
	first, term := s.led(0, s.gates...)
	others := s.but(first)
	id := s.order(others[0].alone(), long8)
	s.playing(id, others[0])
	first.p.kill()
	s.led(term, others...)
	s.ended(s.order(others[1].alone(), short))
	s.lasts()
	first.start()
	s.order(first.alone(), short)
	s.judge(allow{})
}

// TestOfTwoTheLeaderIsKilled: the other one goes on alone.
func TestOfTwoTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 2, "")
	first, term := s.led(0, s.gates...)
	other := s.but(first)[0]
	id := s.order(other.alone(), medium)
	s.playing(id, other)
	first.p.kill()
	s.led(term, other)
	s.order(other.alone(), short)
	s.judge(allow{})
}

// TestTheLeaderStandsStill: the others go on with another one, and when it goes on
// it leads no more.
func TestTheLeaderStandsStill(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 3, "")
	first, term := s.led(0, s.gates...)
	others := s.but(first)
	id := s.order(others[0].alone(), medium)
	s.playing(id, others[0])
	first.p.signal(syscall.SIGSTOP)
	s.led(term, others...)
	s.ended(s.order(others[1].alone(), short))
	s.lasts()
	first.p.signal(syscall.SIGCONT)
	s.order(first.alone(), short)
	s.judge(allow{overlap: buffer})
}

// TestTheLeaderIsCutOff: from everybody. Two lead for a while, each in its part; when
// the cable is back one does.
func TestTheLeaderIsCutOff(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 3, "")
	first, term := s.led(0, s.gates...)
	others := s.but(first)
	id := s.order(others[0].alone(), medium)
	s.playing(id, others[0])
	s.lan.isolate(first.host)
	s.led(term, others...)
	s.ended(s.order(others[1].alone(), short))
	s.lasts()
	s.lan.heal()
	s.ended(s.order(first.alone(), short))
	s.judge(allow{})
}

// TestTheLeaderLosesItsUplink: it stays, and goes through a neighbour.
func TestTheLeaderLosesItsUplink(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 3, "")
	first, _ := s.led(0, s.gates...)
	s.primed(short)
	s.lan.cut([]*host{first.host}, []*host{s.hub.host})
	for _, g := range s.gates {
		s.ended(s.order(g.alone(), short))
	}
	s.lasts()
	s.lan.heal()
	s.order(anybody(), short)
	s.judge(allow{})
}

// TestTheUplinkIsGone: of all. What is handed in at the leader is played, and when
// the hub is back it knows of it, once.
func TestTheUplinkIsGone(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 3, "")
	s.led(0, s.gates...)
	s.primed(short)
	s.lan.isolate(s.hub.host)
	_, e := s.leader(s.gates...)
	for i, g := range s.gates {
		id := area.WorkID(fmt.Sprintf("w-%d", i+1))
		s.submitted(e, id, g, short)
		g.heardFor(id, short*95/100)
	}
	s.lasts()
	s.lan.heal()
	s.order(anybody(), short)
	s.judge(allow{})
}

// TestTheHubDiesAboveALeader: it makes no difference to the area, and the hub that
// starts again finds who leads.
func TestTheHubDiesAboveALeader(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 3, "")
	_, term := s.led(0, s.gates...)
	id := s.order(s.gates[1].alone(), long8)
	s.playing(id, s.gates[1])
	s.hub.p.kill()
	s.gates[1].heardFor(id, long8*95/100)
	s.hub.start()
	s.led(term-1, s.gates...)
	s.order(anybody(), short)
	s.judge(allow{})
}

// TestWithoutUplinkOneLeads: in an area whose devices speak to the hub as long as
// they can, one leads when nobody can, and none when somebody can again.
func TestWithoutUplinkOneLeads(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 3, ", topology: direct")
	s.primed(short)
	s.lan.isolate(s.hub.host)
	first, e := s.leader(s.gates...)
	for i, g := range s.gates {
		id := area.WorkID(fmt.Sprintf("w-%d", i+1))
		s.submitted(e, id, g, short)
		g.heardFor(id, short*95/100)
	}
	s.lasts()
	s.lan.heal()
	s.ear.leads("the hub arbitrates", func(l area.Leader) bool { return l.Mode == "hub" })
	s.ended(s.order(first.alone(), short))
	s.order(anybody(), short)
	s.judge(allow{})
}

// TestANeighbourCarries: one device without an uplink goes to the hub through
// another one, and nobody leads.
func TestANeighbourCarries(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 3, ", topology: direct")
	s.primed(short)
	s.lan.cut([]*host{s.gates[0].host}, []*host{s.hub.host})
	for _, g := range s.gates {
		s.ended(s.order(g.alone(), short))
	}
	s.lasts()
	s.lan.heal()
	s.order(s.gates[0].alone(), short)
	s.judge(allow{})
}

// TestTheAreaIsSplit: in two and two, the hub on one side. Each part has one voice,
// and when it is one again the whole has.
func TestTheAreaIsSplit(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 4, "")
	first, _ := s.led(0, s.gates...)
	s.primed(short)
	others := s.but(first)
	here, there := []*gate{first, others[0]}, others[1:]
	cut := &split{part: there, from: time.Now()}
	s.lan.cut([]*host{here[0].host, here[1].host, s.hub.host}, []*host{there[0].host, there[1].host})
	_, e := s.leader(there...)
	var ids []area.WorkID
	for i, g := range []*gate{there[0], there[1], there[0], there[1]} {
		id := area.WorkID(fmt.Sprintf("w-%d", i+1))
		s.submitted(e, id, g, short)
		ids = append(ids, s.order(here[i%2].alone(), short))
		defer g.heardFor(id, short*95/100)
	}
	for _, id := range ids {
		s.ended(id)
	}
	s.lasts()
	s.lan.heal()
	cut.heal = time.Now() // of the last cable
	for _, g := range s.gates {
		s.order(g.alone(), short)
	}
	s.judge(allow{split: cut})
}

// TestStrictMinorityIsSilent: in a strict area a device that is cut off says nothing,
// whatever it is asked to; the others go on.
func TestStrictMinorityIsSilent(t *testing.T) {
	t.Parallel()
	s := newTeam(t, 3, ", mode: strict")
	first, _ := s.led(0, s.gates...)
	s.primed(short)
	away := s.but(first)[0]
	s.lan.isolate(away.host)
	_, e := s.leader(away)
	s.submitted(e, "w-1", away, short)
	for _, g := range s.but(away) {
		s.ended(s.order(g.alone(), short))
	}
	s.lasts()
	healed := time.Now()
	s.lan.heal()
	s.order(away.alone(), short)
	s.judge(allow{})
	for _, p := range away.plays() {
		if p.Work == "w-1" && p.From.Before(healed) {
			t.Errorf("alone it said %v, the cable was back at %v", p, healed)
		}
	}
}
