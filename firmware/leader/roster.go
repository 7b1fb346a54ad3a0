package leader

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader/election"
)

// pass is when a member was last given the roster, and which one.
type pass struct {
	rev uint64
	at  area.Instant
}

// document takes in a roster that has come from the hub, or from another member.
// From the hub it may be of another hub or another area, for which revisions count
// anew.
func (s *Seat) document(b []byte, fromHub bool) {
	p, err := area.ParsePeers(b)
	if err != nil {
		s.count.badDocuments.Add(1)
		s.Log.Warn("roster not understood", "n", len(b), "err", err)
		return
	}
	same := s.known && p.Hub == s.roster.Hub && p.Area == s.roster.Area
	if same && p.Rev <= s.roster.Rev || !same && !fromHub {
		if !same || p.Rev < s.roster.Rev {
			s.count.badDocuments.Add(1)
		}
		return
	}
	s.count.documents.Add(1)
	if err := s.keep.setRoster(p); err != nil {
		s.Log.Error("the roster is not kept", "area", p.Area, "err", err)
	}
	s.take(p)
}

// take goes by another roster.
func (s *Seat) take(p area.Peers) {
	before, knew := s.roster, s.known
	s.roster, s.known = p, true
	s.Log.Info("the members of the area are", "area", p.Area, "n", len(p.Members), "rule", p.Topology)
	if !knew || before.Area != p.Area {
		s.closeGossip()
		s.hearTerms(p.Area)
	}
	if s.isMember() {
		s.relay.admit(p)
		s.changeKey(before.Key)
		s.takePart()
	} else {
		s.Log.Info("this device is no member of its area", "area", p.Area)
		s.relay.admit(area.Peers{})
		s.closeGossip()
	}
	s.remember()
	if s.reign != nil {
		select {
		case <-s.reign.changed:
		default:
		}
		s.reign.changed <- p // this goroutine alone sends
	}
	s.step(election.Roster{Topology: p.Topology, Member: s.isMember(), Priority: s.cfg.Priority})
	s.seeOthers()
	s.settle()
}

// isMember tells whether this device, on this machine, is on the roster.
func (s *Seat) isMember() bool {
	m, ok := s.roster.Member(s.cfg.Device)
	return ok && (m.MID == "" || m.MID == s.cfg.MID)
}

// hearTerms subscribes by which term an area is arbitrated.
func (s *Seat) hearTerms(a area.Name) {
	s.unhear()
	s.unhear = func() {}
	cancel, err := s.Uplink.Subscribe(area.LeaderTopic(a), func(m area.Message) {
		var l area.Leader
		if err := json.Unmarshal(m.Payload, &l); err == nil && l.Term <= area.MaxCounter {
			s.enqueue(func() { s.step(election.Heard{Term: l.Term}); s.settle() })
		}
	})
	if err != nil {
		s.Log.Error("the terms of the area are not heard", "area", a, "err", err)
		return
	}
	s.unhear = cancel
}

// takePart begins with the membership, where that is possible and not done.
func (s *Seat) takePart() {
	if s.gossip != nil || !s.at.IsValid() || !s.known || !s.isMember() {
		return
	}
	s.held.release()
	s.held = nil
	g, err := newGossip(s.cfg.Device, s.roster, s.meta(), s.net, s.at, s.logs, &s.count, s.look,
		func(b []byte) { s.enqueue(func() { s.document(b, false) }) })
	if err != nil {
		s.Log.Warn("no part in the membership, trying again", "area", s.roster.Area, "err", err)
		s.at, s.locateAt = netip.AddrPort{}, s.now().Add(time.Second)
		return
	}
	s.gossip, s.callAt = g, s.now()
	s.seek()
}

// seek announces this member, and looks for others, by the roster as it is now.
func (s *Seat) seek() {
	s.unseek()
	s.unseek = func() {}
	if s.cfg.Quiet || s.gossip == nil {
		return
	}
	ctx, end := context.WithCancel(s.ctx)
	s.unseek = end
	p, at := s.roster, s.at
	s.work.Go(func() { s.discovery(ctx, p, at) })
}

// closeGossip ends it.
func (s *Seat) closeGossip() {
	if s.gossip == nil {
		return
	}
	s.unseek()
	s.gossip.close()
	s.gossip, s.oldKey, s.useKeyAt, s.dropKeyAt = nil, nil, area.Never, area.Never
	s.look()
}

// changeKey begins with another key: it is heard at once, spoken when the others
// have it, and the old one is heard for a while more.
func (s *Seat) changeKey(before []byte) {
	if s.gossip == nil || bytes.Equal(before, s.roster.Key) {
		return
	}
	if err := s.gossip.addKey(s.roster.Key); err != nil {
		s.Log.Error("the key of the area is not taken", "area", s.roster.Area, "err", err)
		return
	}
	s.oldKey = before
	s.useKeyAt = s.now().Add(keySettles)
}

func (s *Seat) useKey(now area.Instant) {
	s.useKeyAt = area.Never
	if s.gossip == nil {
		return
	}
	if err := s.gossip.useKey(s.roster.Key); err != nil {
		s.Log.Error("the key of the area is not taken", "area", s.roster.Area, "err", err)
		return
	}
	s.dropKeyAt = now.Add(keyLives)
	s.seek()
	s.Log.Info("the key of the area has changed", "area", s.roster.Area)
}

func (s *Seat) dropKey() {
	s.dropKeyAt = area.Never
	if s.gossip != nil && !bytes.Equal(s.oldKey, s.roster.Key) {
		if err := s.gossip.dropKey(s.oldKey); err != nil {
			s.Log.Warn("an old key of the area is still heard", "area", s.roster.Area, "err", err)
		}
	}
}

// pass gives the roster to members that have an older one: those behind a leader
// do not hear the hub. Of those who have the newest the first by name does it.
func (s *Seat) pass() {
	if s.gossip == nil {
		return
	}
	for _, p := range s.alive {
		if p.Rev == s.roster.Rev && p.device < s.cfg.Device || p.Rev > s.roster.Rev {
			return
		}
	}
	now := s.now()
	for _, p := range s.alive {
		last := s.passed[p.device]
		if p.Rev >= s.roster.Rev || last.rev == s.roster.Rev && now < last.at.Add(docEvery) {
			continue
		}
		s.passed[p.device] = pass{s.roster.Rev, now}
		g, text := s.gossip, s.roster.Encode()
		s.count.passedOn.Add(1)
		s.work.Go(func() {
			if err := g.send(p.device, text); err != nil {
				s.Log.Debug("roster not passed on", "who", string(p.device), "err", err)
			}
		})
	}
}

// publish has status and self-test see how it stands.
func (s *Seat) publish() {
	e, aim := s.elect.Self(), s.elect.Aim()
	st := State{Area: s.roster.Area, Rev: s.roster.Rev, Topology: s.roster.Topology, Member: s.known && s.isMember(), Follows: aim.To.String(), Who: aim.Member,
		Term: e.Term, Highest: e.Highest, Members: len(s.roster.Members), Alive: len(s.alive), Hub: s.elect.Reaches()}
	if st.Member {
		st.Alive++
	}
	var p *area.Peer
	if s.at.IsValid() {
		p = &area.Peer{Rev: s.roster.Rev, Addr: s.at.String(), Net: s.lan, Priority: s.cfg.Priority}
	}
	s.mu.Lock()
	s.shown = s.roster
	if p != nil {
		p.Clips = s.gives
	}
	same := s.state == st && (p == nil) == (s.peer == nil) && (p == nil || *p == *s.peer)
	s.state, s.peer = st, p
	s.mu.Unlock()
	if !same {
		s.Changed()
	}
}

// State is how a member stands among the others.
type State struct {
	Area     area.Name
	Rev      uint64 // of the roster; 0: there is none
	Topology string
	Member   bool          // this device is on the roster
	Follows  string        // hub, via or leader: where the device turns to
	Who      area.DeviceID // who carries, or leads
	Term     uint64        // by which this device leads; 0: it does not
	Highest  uint64        // that was heard of
	Members  int           // on the roster
	Alive    int           // of these, with this one
	Hub      bool          // the hub can be reached, from here or through another
}

// State tells how the member stands.
func (s *Seat) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Roster is the newest roster of the area; false: there is none, or this device is
// no member. What it points to must not be changed.
func (s *Seat) Roster() (area.Peers, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown, s.state.Member
}

// Gives has the status, and so the roster, say where this device gives its clips
// to the others: an address and a port; empty: nowhere.
func (s *Seat) Gives(addr string) {
	s.mu.Lock()
	s.gives = addr
	s.mu.Unlock()
	s.enqueue(s.publish)
}

// Gauge fills in what the device's health says of it.
func (s *Seat) Gauge(h *area.Health) {
	st := s.State()
	if !st.Member {
		return
	}
	h.Peers = &area.PeersHealth{Follows: st.Follows, Who: st.Who, Term: st.Term, Members: st.Members, Alive: st.Alive, Hub: st.Hub,
		Reigns: s.count.reigns.Load(), Carried: s.count.carried.Load()}
}

// Alone tells whether the area goes on without its hub.
func (s *Seat) Alone() bool {
	st := s.State()
	return st.Member && st.Follows == election.Leader.String() && !st.Hub
}

// Peer is what the device's status says of it; nil: nothing yet.
func (s *Seat) Peer() *area.Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peer
}
