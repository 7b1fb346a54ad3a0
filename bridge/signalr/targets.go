package signalr

import "slices"

// many is what a [Target] of several groups, connections, users or attributes
// consists of.
type many struct {
	groups  []string
	clients []string
	tags    []tag
}

// Groups is the members of several groups; who is in more than one gets an
// event once, and it counts in each.
func (s *Server) Groups(names ...string) Target { return Target{s: s, many: &many{groups: names}} }

// Clients is the connections with those ids.
func (s *Server) Clients(ids ...string) Target { return Target{s: s, many: &many{clients: ids}} }

// User is every connection of that user; see [Conn.User].
func (s *Server) User(id string) Target { return s.Users(id) }

// Users is every connection of those users.
func (s *Server) Users(ids ...string) Target {
	m := &many{}
	for _, id := range ids {
		if id != "" {
			m.tags = append(m.tags, userTag(id))
		}
	}
	return Target{s: s, many: m}
}

// Attribute is every connection that has the attribute with that value; see
// [Conn.SetAttribute].
func (s *Server) Attribute(key, value string) Target {
	return Target{s: s, many: &many{tags: []tag{{key: key, value: value}}}}
}

// Except is the target without the connections with the given ids. Events of
// groups count for the excepted, too.
func (t Target) Except(ids ...string) Target {
	t.except = append(slices.Clip(t.except), ids...)
	return t
}

// Target is this connection alone.
func (c *Conn) Target() Target { return c.s.Client(c.id) }

// Caller is the connection that calls.
func (c *Call) Caller() Target { return c.c.Target() }

// Others is every connection but the caller.
func (c *Call) Others() Target { return c.c.s.AllExcept(c.c.id) }

// OthersInGroup is the members of a group but the caller.
func (c *Call) OthersInGroup(g string) Target { return c.c.s.GroupExcept(g, c.c.id) }

// Conns lists the connections that the target consists of now, in no order.
func (t Target) Conns() []*Conn {
	var list []*Conn
	switch {
	case t.many != nil:
		list = t.s.gather(t.many)
	case t.client != "":
		list = t.s.gather(&many{clients: []string{t.client}})
	case t.all:
		list = slices.Clone(t.s.Conns())
	default:
		list = slices.Clone(t.s.Members(t.group))
	}
	return slices.DeleteFunc(list, func(c *Conn) bool { return slices.Contains(t.except, c.id) })
}

// gather lists each connection of m once.
func (s *Server) gather(m *many) []*Conn {
	var list []*Conn
	seen := make(map[*Conn]struct{})
	add := func(conns ...*Conn) {
		for _, c := range conns {
			if _, twice := seen[c]; !twice && c != nil {
				seen[c] = struct{}{}
				list = append(list, c)
			}
		}
	}
	for _, id := range m.clients {
		add(s.find(id))
	}
	for _, t := range m.tags {
		add(s.tags.find(t)...)
	}
	for _, g := range m.groups {
		add(s.Members(g)...)
	}
	return list
}

// sendMany sends to a target of several parts.
func (t Target) sendMany(e *event) (n int) {
	if len(t.many.groups) == 0 {
		conns := t.Conns()
		fan := t.s.writers.fan(len(conns))
		defer fan.end()
		for _, c := range conns {
			n += t.s.sendTo(c, e, fan)
		}
		return n
	}
	e.seen = make(map[*Conn]struct{})
	for _, name := range t.many.groups {
		if g := t.s.rooms.find(name); g != nil {
			t.s.count.groupSends.Add(1)
			n += t.s.broadcast(g, e, t.except)
		}
	}
	return n
}

// sendTo sends an event to one connection; 1 when it was queued.
func (s *Server) sendTo(c *Conn, e *event, fan *fanout) int {
	d := dialect(c.codec)
	if err := e.prepare(1 << d); err != nil {
		s.log.Error("event cannot be encoded", "err", err)
	}
	if e.frames[d] == nil || c.enqueueEvent(fan, e, e.frames[d]) != nil {
		return 0
	}
	return 1
}
