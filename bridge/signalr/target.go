package signalr

import "slices"

// Target is one or several connections to which events are sent. It is a small
// value; it finds its connections anew with every event.
type Target struct {
	s      *Server
	all    bool
	group  string
	client string
	except []string
	many   *many
	burst  *Burst // nil: each event is written by itself
	here   bool   // this server's own connections alone
}

// Here is those connections of the target that are this server's own, in a cluster
// too.
func (t Target) Here() Target { t.here = true; return t }

// Group is the members of a group.
func (s *Server) Group(g string) Target { return Target{s: s, group: g} }

// GroupExcept is the members of a group but the connections with the given ids.
// Its events count for the excepted, too.
func (s *Server) GroupExcept(g string, ids ...string) Target {
	return Target{s: s, group: g, except: ids}
}

// All is every connection.
func (s *Server) All() Target { return Target{s: s, all: true} }

// AllExcept is every connection but those with the given ids.
func (s *Server) AllExcept(ids ...string) Target { return Target{s: s, all: true, except: ids} }

// Client is the connection with that id.
func (s *Server) Client(id string) Target {
	if id == "" {
		return s.Clients()
	}
	return Target{s: s, client: id}
}

// Send queues an event for each connection of the target and returns for how
// many of this server's own. In a cluster the other nodes are handed the event for
// theirs. It encodes once and never blocks. An argument that has no JSON is an
// error of the program: it is logged and nothing is sent.
func (t Target) Send(event string, args ...any) (n int) {
	if t.s.cfg.Cluster == nil && t.many == nil && t.client != "" {
		return t.sendOne(event, args)
	}
	return t.send(newEvent(event, args))
}

// send sends an event to the target, wherever it is.
func (t Target) send(e *event) (all int) {
	if t.s.scribe != nil && !t.here {
		n, rest := t.sendNumbered(e)
		if all = n; rest == nil {
			return all
		}
		t = *rest
	}
	e.burst = t.burst
	all += t.deliver(e)
	if t.burst != nil {
		t.burst.sent(e)
	}
	if t.s.cfg.Cluster != nil && !t.here {
		t.s.spread(t, e)
	}
	return all
}

// deliver queues an event for the target's connections of this server.
func (t Target) deliver(e *event) (n int) {
	if t.many != nil {
		return t.sendMany(e)
	}
	if t.client != "" {
		c := t.s.find(t.client)
		if c == nil || slices.Contains(t.except, t.client) {
			return 0
		}
		fan := t.s.writers.fan(1)
		defer fan.end()
		return t.s.sendTo(c, e, fan)
	}
	g := t.s.rooms.all
	if !t.all {
		g = t.s.rooms.find(t.group)
	}
	if g == nil {
		return 0 // nobody ever joined, or so long ago that the epoch is forgotten
	}
	t.s.count.groupSends.Add(1)
	return t.s.broadcast(g, e, t.except)
}

func (t Target) sendOne(event string, args []any) int {
	c := t.s.find(t.client)
	if c == nil || slices.Contains(t.except, t.client) {
		return 0
	}
	f, err := c.eventFrame(event, args)
	if err != nil {
		t.s.log.Error("event cannot be encoded", "err", err)
		return 0
	}
	if c.enqueue(f) != nil {
		return 0
	}
	return 1
}

// broadcast encodes the event in the protocols that the group's members speak,
// and sends it. When members of another protocol join meanwhile it begins anew,
// because encoding calls the program's own methods and no lock may be held.
func (s *Server) broadcast(g *group, e *event, except []string) (n int) {
	if g.num != nil { // only this server's own are meant: the log does not count it
		fan := s.writers.fan(1)
		defer fan.end()
		for _, c := range s.rooms.members(g) {
			if !slices.Contains(except, c.id) {
				n += s.sendTo(c, e, fan)
			}
		}
		return n
	}
	keep := s.remember(g, e)
	for {
		if err := e.prepare(s.rooms.spoken(g)); err != nil {
			s.log.Error("event cannot be encoded", "err", err)
		}
		if n, ok := s.rooms.send(g, e, except, keep); ok {
			return n
		}
	}
}

// Members returns the connections of a group, in no order. The slice is shared:
// it must not be changed.
func (s *Server) Members(g string) []*Conn { return s.rooms.members(s.rooms.find(g)) }

// Position returns where a group is; false when nobody ever joined it, or so
// long ago that it is forgotten.
func (s *Server) Position(g string) (Position, bool) { return s.rooms.position(g) }

// Conn returns the connection with that id, nil when there is none.
func (s *Server) Conn(id string) *Conn { return s.find(id) }

// Conns returns every connection, in no order. The slice is shared: it must not
// be changed.
func (s *Server) Conns() []*Conn { return s.rooms.everybody() }
