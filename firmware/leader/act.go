package leader

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader/election"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// wantAsk is the reason for which the second connection is wanted to ask.
const wantAsk = "ask"

func jitter(d time.Duration) time.Duration { return rand.N(d) }

// step tells the election something, and does what it answers. The term is on the
// disk before anything is done.
func (s *Seat) step(ev election.Event) {
	actions := slices.Clone(s.elect.Step(ev, s.now()))
	err := s.keepTerm(s.elect.Self().Highest)
	for _, a := range actions {
		s.do(a, err)
	}
}

// keepTerm has a term on the disk. That it cannot is told once, until it can.
func (s *Seat) keepTerm(term uint64) error {
	err := s.keep.setTerm(term)
	if err != nil && !s.unkept {
		s.Log.Error("the term is not kept, so this member cannot lead", "area", s.roster.Area, "err", err)
	}
	s.unkept = err != nil
	return err
}

func (s *Seat) do(a election.Action, kept error) {
	switch a := a.(type) {
	case election.Aim:
		s.count.aims.Add(1)
		s.linked = false
		s.Log.Info("turning elsewhere", "area", s.roster.Area, "rule", a.To.String(), "who", string(a.Member))
	case election.Lead:
		if kept != nil {
			s.step(election.Ended{})
			return
		}
		s.lead(a.Above)
	case election.Stop:
		s.stop()
	case election.Ask:
		s.ask()
	case election.Rival:
		s.rival(a.Term)
	}
}

// settle brings what others see of this member, and where it turns to, into line.
func (s *Seat) settle() {
	if s.gossip != nil {
		s.gossip.set(s.meta())
	}
	if to, ok := s.target(s.elect.Aim()); ok {
		if err := s.Uplink.Aim(to); err != nil {
			s.Log.Error("cannot turn there", "err", err)
		}
	}
	if err := s.Link.Aim(s.upstream()); err != nil {
		s.Log.Error("cannot turn there", "err", err)
	}
	s.publish()
	s.pass()
}

// meta is what the others are told.
func (s *Seat) meta() meta {
	e := s.elect.Self()
	self, _ := s.roster.Member(s.cfg.Device)
	m := meta{Index: self.Index, Rev: s.roster.Rev, Priority: e.Priority, Uplink: e.Uplink, Highest: e.Highest, Served: e.Served, Unfit: e.Unfit, Relay: s.relayAt}
	if s.reign != nil && e.Term != 0 {
		m.Term, m.Broker, m.Web = e.Term, s.reign.addr, s.reign.web
	}
	return m
}

// target is where an aim leads; false: that is not known.
func (s *Seat) target(a election.Aim) (uplink.Target, bool) {
	home := s.Uplink.Home()
	switch a.To {
	case election.Via:
		return s.through(a.Member)
	case election.Leader:
		addr := ""
		if a.Member == s.cfg.Device && s.reign != nil {
			addr = s.reign.addr
		} else if p, ok := s.find(a.Member); ok {
			addr = p.Broker
		}
		return uplink.Target{Hubs: []string{"mqtt://" + addr}, Username: string(s.cfg.Device), Password: Secret(s.roster.Key, s.cfg.Device), Via: string(a.Member)}, addr != ""
	}
	return home, true
}

// through is the hub, carried by a member.
func (s *Seat) through(d area.DeviceID) (uplink.Target, bool) {
	to := s.Uplink.Home()
	to.Hubs, to.Via = carriable(to.Hubs), string(d)
	to.Open = func(ctx context.Context, hub *url.URL) (net.Conn, error) {
		s.mu.Lock()
		at, ok := s.ways[d]
		key := s.key
		s.mu.Unlock()
		if !ok {
			return nil, fmt.Errorf("member %s does not carry", d)
		}
		return carried(ctx, s.cfg.Device, d, key, at, hub)
	}
	return to, len(to.Hubs) > 0
}

// upstream is the way to the hub for the second connection.
func (s *Seat) upstream() uplink.Target {
	if !s.elect.Self().Uplink {
		for _, p := range s.alive {
			if p.Uplink && p.Relay != 0 {
				if to, ok := s.through(p.device); ok {
					return to
				}
			}
		}
	}
	return s.Uplink.Home()
}

// ask asks the hub whether somebody leads in another part.
func (s *Seat) ask() {
	if s.refused() {
		s.enqueue(s.outcast)
		return
	}
	s.count.asks.Add(1)
	s.askUntil = s.now().Add(askLinger)
	s.Link.Want(wantAsk, true)
	err := s.Link.Send(area.Trunk{Op: area.TrunkAsk, Area: s.roster.Area, Term: s.elect.Self().Highest})
	if err != nil {
		s.Log.Debug("the hub is not asked yet", "area", s.roster.Area, "err", err)
	}
}

// refused tells whether the hub does not take this device's credential.
func (s *Seat) refused() bool {
	l, ok := s.Link.(interface{ Refused() bool })
	return ok && l.Refused()
}

// outcast takes this device off the roster that it has, on the disk too: its
// credential was taken back, and what it would lead is not the area any more. A
// newer roster of the hub's brings it back.
func (s *Seat) outcast() {
	if !s.known || !s.isMember() {
		return
	}
	s.Log.Error("the hub takes this device's credential no more, it is no member of its area: enrol it again", "area", s.roster.Area)
	p := s.roster
	p.Members = slices.DeleteFunc(slices.Clone(p.Members), func(m area.Member) bool { return m.Device == s.cfg.Device })
	if err := s.keep.setRoster(p); err != nil {
		s.Log.Error("the roster is not kept", "area", p.Area, "err", err)
	}
	s.take(p)
}

// heard takes in what the hub says; the rest is the host's.
func (s *Seat) heard(t area.Trunk) {
	if t.Op != area.TrunkWitness && t.Op != area.TrunkRefused {
		return
	}
	s.enqueue(func() {
		switch {
		case t.Area != s.roster.Area:
		case t.Op == area.TrunkWitness:
			s.step(election.Witness{Live: t.Live, Leader: t.Leader, Term: t.Term})
		default:
			s.step(election.Heard{Term: t.Term})
		}
		s.settle()
	})
}

// reign is a time of office of this member.
type reign struct {
	n       uint64
	cancel  context.CancelFunc
	changed chan area.Peers
	rivals  chan uint64
	addr    string
	web     string
}

// reignEnd is how one has ended.
type reignEnd struct {
	n   uint64
	err error
}

// lead begins a reign, once the one before has ended.
func (s *Seat) lead(above uint64) {
	if s.ending {
		s.above = &above
		return
	}
	s.count.reigns.Add(1)
	ctx, cancel := context.WithCancel(s.ctx)
	r := &reign{n: s.count.reigns.Load(), cancel: cancel, changed: make(chan area.Peers, 1), rivals: make(chan uint64, 1)}
	s.reign, s.readyBy = r, s.now().Add(readyTime)
	s.Log.Debug("about to lead the area", "area", s.roster.Area, "n", above)
	office := Reign{Peers: s.roster, Term: above, At: s.at.Addr(), Changed: r.changed, Rivals: r.rivals,
		Ready:    func(addr, web string, term uint64) { s.enqueueFor(r, func() { s.ready(r, addr, web, term) }) },
		Heard:    func(term uint64) { s.enqueue(func() { s.step(election.Heard{Term: term}); s.settle() }) },
		Document: func(b []byte) { s.enqueue(func() { s.document(b, true) }) },
	}
	s.work.Go(func() { s.ended <- reignEnd{r.n, s.Host.Lead(ctx, office)} })
}

// enqueueFor has the owner do f while the reign goes on.
func (s *Seat) enqueueFor(r *reign, f func()) {
	s.post(func() {
		if s.reign == r {
			f()
		}
	})
}

// ready takes in where the leader can be reached.
func (s *Seat) ready(r *reign, addr, web string, term uint64) {
	if err := checkPlace(addr, web); err != nil || addr == "" || term == 0 {
		s.Log.Error("the leader cannot be reached", "area", s.roster.Area, "err", fmt.Errorf("term %d: %w", term, errors.Join(err, errors.New("no address"))))
		r.cancel()
		return
	}
	if s.keepTerm(term) != nil {
		r.cancel() // Lead has ended then, and this member is unfit
		return
	}
	s.readyBy = area.Never
	r.addr, r.web = addr, web
	s.step(election.Ready{Term: term})
	s.settle()
}

// notReady ends a reign that does not begin.
func (s *Seat) notReady() {
	s.readyBy = area.Never
	if s.reign != nil {
		s.Log.Error("this member does not come to lead", "area", s.roster.Area)
		s.reign.cancel()
	}
}

// stop ends the reign.
func (s *Seat) stop() {
	s.above = nil
	if s.reign == nil {
		return
	}
	s.Log.Info("no longer leading the area", "area", s.roster.Area)
	s.reign.cancel()
	s.reign, s.readyBy, s.ending = nil, area.Never, true
}

// reignEnded takes in that a reign has left nothing running.
func (s *Seat) reignEnded(e reignEnd) {
	switch {
	case s.reign != nil && s.reign.n == e.n: // not by our wish
		s.reign.cancel()
		s.reign, s.readyBy = nil, area.Never
		byHub := errors.Is(e.err, ErrHubLeads)
		if !byHub {
			s.count.unfit.Add(1)
		}
		s.Log.Warn("the reign of this member has ended", "area", s.roster.Area, "err", e.err)
		s.step(election.Ended{HubLeads: byHub})
	case s.ending:
		s.ending = false
		if e.err != nil {
			s.Log.Warn("the reign of this member has ended", "area", s.roster.Area, "err", e.err)
		}
		if above := s.above; above != nil {
			s.above = nil
			s.lead(*above)
		}
	}
	s.settle()
}

// rival tells the host of another leader; the highest term is kept.
func (s *Seat) rival(term uint64) {
	if s.reign == nil {
		return
	}
	select {
	case old := <-s.reign.rivals:
		term = max(term, old)
	default:
	}
	s.reign.rivals <- term // this goroutine alone sends
}
