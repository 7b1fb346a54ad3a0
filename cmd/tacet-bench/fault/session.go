package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

// session is a persistent session that takes what is sent to it, and the
// publisher that sends: the one half may be away while the other works.
type session struct {
	id     string
	qos    byte
	most   int // messages that the publisher sends in one round
	stream *stream

	pending map[uint16]bool      // QoS 2: taken, and not released by the broker
	way     map[uint16]*underWay // of the publisher
	ids     []uint16             // of way, in the order in which they were sent
	last    uint16               // id of the newest
}

// underWay is a publication that has not come to its end.
type underWay struct {
	n        uint64
	received bool // QoS 2: the broker has it
}

func newSession(name string, qos byte, most int) *session {
	return &session{
		id: name, qos: qos, most: most, stream: newStream("bench/q/"+name+"/m", qos == 2),
		pending: make(map[uint16]bool), way: make(map[uint16]*underWay),
	}
}

// open connects the session; there must be one, unless it is new.
func (s *session) open(ctx context.Context, addr string, fresh bool, t *tally) (*client, error) {
	c, err := dial(ctx, addr, wire.Options{ID: s.id, Keep: true})
	if err != nil {
		return nil, err
	}
	if !fresh && !c.Present {
		t.add(Lost, "session %s", s.id)
		fresh = true
		clear(s.pending)
	}
	if fresh {
		_ = c.SetReadDeadline(time.Now().Add(answers))
		if err := c.Subscribe("bench/q/"+s.id+"/#", s.qos); err != nil {
			c.end()
			return nil, err
		}
		_ = c.SetReadDeadline(time.Time{})
	}
	return c, nil
}

// take answers a packet as a subscriber does, and notes what it delivers.
func (s *session) take(c *client, p wire.Packet, t *tally) {
	switch p.Type {
	case wire.Publish:
		if p.QoS == 2 {
			c.ack(wire.Pubrec, p.ID)
			if s.pending[p.ID] { // it has been taken, if it is the same
				s.same(p, t)
				return
			}
			s.pending[p.ID] = true
		} else if p.QoS == 1 {
			c.ack(wire.Puback, p.ID)
		}
		if string(p.Topic) == s.stream.topic {
			s.stream.arrive(number(s.stream.topic, p.Payload), t)
		}
	case wire.Pubrel:
		delete(s.pending, p.ID)
		c.ack(wire.Pubcomp, p.ID)
	}
}

// same says so where another message comes under the packet id of one that the
// broker has not released: a subscriber has to take it for that one, so it is
// going to be missing.
func (s *session) same(p wire.Packet, t *tally) {
	if n := number(s.stream.topic, p.Payload); string(p.Topic) == s.stream.topic && !s.stream.delivered(n) {
		t.note("%s: message %d under packet id %d of another", s.stream.topic, n, p.ID)
	}
}

// live takes what comes until the connection or ctx ends.
func (s *session) live(ctx context.Context, addr string, t *tally) error {
	c, err := s.open(ctx, addr, false, t)
	if err != nil {
		return err
	}
	defer c.end()
	for {
		p, err := c.Next()
		if err != nil {
			return err
		}
		if s.take(c, p, t); !c.More() {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
}

// drain takes what has waited, until nothing is owed and a message that is
// published now has come. What then is owed is lost.
func (s *session) drain(ctx context.Context, addr string, t *tally) error {
	c, err := s.open(ctx, addr, false, t)
	if err != nil {
		return err
	}
	defer c.end()
	end := fmt.Sprintf("bench/q/%s/end", s.id)
	mark := fmt.Sprint(time.Now().UnixNano())
	if err := tell(ctx, addr, end, mark); err != nil {
		return err
	}
	over := false
	err = c.until(func() bool { return over }, func() bool { return s.stream.owes() == 0 }, func(p wire.Packet) {
		if p.Type == wire.Publish && string(p.Topic) == end && strings.HasSuffix(string(p.Payload), mark) {
			over = true
		}
		s.take(c, p, t)
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded): // the server cannot go on with what it kept
		t.add(Lost, "session %s: %v", s.id, err)
	case !over && s.stream.owes() == 0:
		t.add(Lost, "session %s gets nothing new", s.id)
	}
	s.stream.settle(t)
	_ = c.leave() // an error means that the server has left
	return nil
}

// tell publishes one message with QoS 1 and waits until it is acknowledged.
func tell(ctx context.Context, addr, topic, text string) error {
	c, err := dial(ctx, addr, wire.Options{ID: "teller-" + topic})
	if err != nil {
		return err
	}
	defer c.end()
	_ = c.SetReadDeadline(time.Now().Add(answers))
	c.publish(wire.Message{Topic: topic, Payload: []byte(text), QoS: 1, ID: 1})
	if err := c.flush(); err != nil {
		return err
	}
	_, err = c.Await(wire.Puback, nil)
	return err
}
