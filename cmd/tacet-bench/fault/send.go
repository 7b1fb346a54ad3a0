package fault

import (
	"context"
	"slices"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

// sendWindow is how many publications of one session's publisher are under way.
const sendWindow = 8

// send publishes to the session, at most so many messages, until they are
// acknowledged or the connection or ctx ends. With QoS 2 it first takes up what
// is under way since the connection before, as the protocol has it; with QoS 1
// it lets go of that.
func (s *session) send(ctx context.Context, addr string, t *tally) error {
	c, err := dial(ctx, addr, wire.Options{ID: s.id + "-sender", Keep: s.qos == 2})
	if err != nil {
		return err
	}
	defer c.end()
	s.resume(c, t)
	for left := s.most; left > 0 || len(s.way) > 0; {
		for ; left > 0 && len(s.way) < sendWindow; left-- {
			s.publish(c)
		}
		if err := c.flush(); err != nil {
			return err
		}
		if err := s.hear(c); err != nil {
			return err
		}
	}
	return c.leave()
}

// resume sends again what has not come to its end.
func (s *session) resume(c *client, t *tally) {
	if s.qos < 2 {
		clear(s.way)
		s.ids = nil
		return
	}
	if len(s.way) > 0 && !c.Present {
		t.add(Lost, "session %s-sender", s.id)
	}
	for _, id := range s.ids {
		if u := s.way[id]; u.received {
			c.ack(wire.Pubrel, id)
		} else {
			c.publish(wire.Message{Topic: s.stream.topic, Payload: body(s.stream.topic, u.n, 0), QoS: 2, ID: id, Dup: true})
		}
	}
}

func (s *session) publish(c *client) {
	for {
		if s.last++; s.last == 0 {
			s.last = 1
		}
		if s.way[s.last] == nil {
			break
		}
	}
	n := s.stream.intend()
	s.way[s.last] = &underWay{n: n}
	s.ids = append(s.ids, s.last)
	c.publish(wire.Message{Topic: s.stream.topic, Payload: body(s.stream.topic, n, 0), QoS: s.qos, ID: s.last})
}

// hear takes what the broker says to the publisher, at least one packet.
func (s *session) hear(c *client) error {
	for {
		p, err := c.Next()
		if err != nil {
			return err
		}
		if u := s.way[p.ID]; u != nil {
			s.step(c, p, u)
		}
		if p.Type == wire.Disconnect {
			return wire.Refused(p.Code)
		}
		if !c.More() {
			return c.flush()
		}
	}
}

func (s *session) step(c *client, p wire.Packet, u *underWay) {
	switch p.Type {
	case wire.Puback, wire.Pubrec:
		if p.Code >= 0x80 {
			s.over(p.ID)
			return
		}
		s.stream.ack(u.n)
		if p.Type == wire.Puback {
			s.over(p.ID)
			return
		}
		u.received = true
		c.ack(wire.Pubrel, p.ID)
	case wire.Pubcomp:
		s.over(p.ID)
	}
}

func (s *session) over(id uint16) {
	delete(s.way, id)
	s.ids = slices.DeleteFunc(s.ids, func(other uint16) bool { return other == id })
}
