package leader

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader/election"
)

// see looks at everything that may have changed, and tells the election.
func (s *Seat) see() {
	now := s.now()
	s.able()
	at, up := s.Uplink.At()
	home := s.Uplink.Home()
	if direct := up && at.Same(home); direct != s.reach.mqtt {
		s.reach.connected(direct, now)
		s.dialAt = now // whether it is the hub that is gone
	}
	s.reached()
	aimed, ok := s.target(s.elect.Aim())
	if linked := up && ok && at.Same(aimed); linked != s.linked {
		s.linked = linked
		s.step(election.Linked{Up: linked})
	}
	s.seeOthers()
	s.settle()
}

// able tells the election whether this member can lead, where that has changed.
func (s *Seat) able() {
	if barred := s.Able() != nil; barred != s.barred {
		s.barred = barred
		s.step(election.Able{Can: !barred})
	}
}

// seeOthers takes in who is alive.
func (s *Seat) seeOthers() {
	var alive []peer
	if s.gossip != nil {
		alive = s.gossip.peers(s.roster)
	}
	if slices.Equal(alive, s.alive) {
		return
	}
	s.alive = alive
	s.remember()
	var others []election.Member
	for _, p := range alive {
		others = append(others, p.member())
	}
	s.step(election.Seen{Others: others})
}

// remember has the relays of the others known to connections that are made.
func (s *Seat) remember() {
	ways := make(map[area.DeviceID]netip.AddrPort, len(s.alive))
	var carriers []area.DeviceID
	for _, p := range s.alive {
		if p.Relay != 0 {
			ways[p.device] = netip.AddrPortFrom(p.at.Addr(), p.Relay)
			if p.Uplink {
				carriers = append(carriers, p.device)
			}
		}
		s.found[p.device] = []string{p.at.String()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ways, s.key, s.carriers = ways, s.roster.Key, carriers
}

// find finds a member that is alive.
func (s *Seat) find(d area.DeviceID) (peer, bool) {
	i := slices.IndexFunc(s.alive, func(p peer) bool { return p.device == d })
	if i < 0 {
		return peer{}, false
	}
	return s.alive[i], true
}

// reached tells the election whether the hub can be, where that has changed.
func (s *Seat) reached() {
	if s.reach.up != s.hoped {
		s.hoped = s.reach.up
		s.mu.Lock()
		s.away = !s.reach.up
		s.mu.Unlock()
		s.Log.Info("uplink changed", "area", s.roster.Area, "rule", map[bool]string{true: "up", false: "lost"}[s.reach.up])
		s.step(election.Uplink{Up: s.reach.up})
	}
}

// dial tries whether the hub can be reached, since no connection shows it.
func (s *Seat) dial(now area.Instant) {
	s.dialing = true
	s.work.Go(func() {
		at, ok := s.net.dial(s.ctx, s.hosts)
		s.post(func() {
			s.dialing = false
			s.reach.dialed(ok, now, s.now())
			s.dialAt = s.now().Add(s.reach.pause(s.now()))
			if ok && s.at.IsValid() && at != s.at.Addr() {
				s.locateAt = s.now()
			}
			s.reached()
			s.settle()
		})
	})
}

// dialAny makes a connection to the first host that takes one, and closes it; at
// is the address from which it was made.
func dialAny(ctx context.Context, hosts []string) (at netip.Addr, ok bool) {
	for _, h := range hosts {
		d := net.Dialer{Timeout: dialTime}
		c, err := d.DialContext(ctx, "tcp", h)
		if err != nil {
			continue
		}
		local, err := netip.ParseAddrPort(c.LocalAddr().String())
		_ = c.Close() // nothing was said
		return local.Addr().Unmap(), err == nil
	}
	return netip.Addr{}, false
}

// locate finds out at which address this member is, and listens there.
func (s *Seat) locate(now area.Instant) {
	s.locateAt = now.Add(locateEvery)
	ip, port, _ := ParseBind(s.cfg.Bind) // Validate has
	if port == 0 {
		port = DefaultPort
	}
	if ip.IsValid() && !ip.IsUnspecified() {
		s.located(ip, port)
		return
	}
	was := s.at.Addr()
	s.work.Go(func() {
		ip, ok := hubAddr(s.hosts) // a name may take its time
		if !ok && was.IsValid() && here(was) {
			ip, ok = was, true
		}
		if !ok {
			ip = anyAddr()
		}
		s.post(func() { s.located(ip, port) })
	})
}

// located listens at an address, where it does not yet.
func (s *Seat) located(ip netip.Addr, port uint16) {
	if s.at.IsValid() && s.at.Addr() == ip {
		return
	}
	s.closeGossip()
	s.held.release()
	s.unserve()
	h, at, err := s.net.hold(ip, port)
	if err != nil {
		s.held, s.at = nil, netip.AddrPort{}
		s.Log.Warn("the membership cannot listen, trying again", "err", err)
		return
	}
	s.held, s.at, s.lan = h, at, netOf(ip)
	s.serve(ip)
	s.Log.Info("the membership listens", "node", at.String())
	s.takePart()
	s.settle()
}

// serve carries for others, where there is a hub to which that can be done.
func (s *Seat) serve(ip netip.Addr) {
	s.relayAt = 0
	if len(s.relay.hubs) == 0 {
		return
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(ip, 0).String())
	if err != nil {
		s.Log.Warn("nobody can be carried to the hub", "err", err)
		return
	}
	s.relayAt = netip.MustParseAddrPort(l.Addr().String()).Port()
	ctx, end := context.WithCancel(s.ctx)
	s.unserve = end
	s.work.Go(func() { s.relay.serve(ctx, l) })
}

// call says hello to the members that are missing.
func (s *Seat) call(now area.Instant) {
	missing := s.missing()
	s.callAt = now.Add(joinEvery + jitter(joinEvery/2))
	if len(missing) == 0 {
		return
	}
	s.calling = true
	g := s.gossip
	s.work.Go(func() {
		g.call(s.ctx, missing)
		s.post(func() { s.calling = false; s.look() })
	})
}

// missing is the members of the roster that are not alive, and where they may be.
func (s *Seat) missing() map[area.DeviceID][]string {
	missing, lonely := map[area.DeviceID][]string{}, false
	for _, m := range s.roster.Members {
		if _, alive := s.find(m.Device); alive || m.Device == s.cfg.Device {
			continue
		}
		addrs := slices.Clone(s.found[m.Device])
		if m.Addr != "" && !slices.Contains(addrs, m.Addr) {
			addrs = append(addrs, m.Addr)
		}
		lonely = true
		if len(addrs) > 0 {
			missing[m.Device] = addrs
		}
	}
	s.lonely.Store(lonely)
	return missing
}
