package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

// keeper sets and clears retained topics of its own, as fast as it may.
type keeper struct {
	id     string
	topics []string
	ledger *values
	next   uint64 // number of the next value
	window int    // operations that are under way
	size   int    // bytes that a value is filled up with
	sets   bool   // nothing is cleared

	acked, refused func() // called for each answer; nil: nothing
}

func newKeeper(n, topics int, ledger *values) *keeper {
	k := &keeper{id: fmt.Sprint("keeper-", n), ledger: ledger, window: 8}
	for i := range topics {
		k.topics = append(k.topics, fmt.Sprintf("bench/r/%d/%d", n, i))
	}
	return k
}

// sent is an operation under way.
type sent struct {
	topic string
	n     int // of the ledger
}

// run works until its connection or ctx ends; the error is why.
func (k *keeper) run(ctx context.Context, addr string, version wire.Version) error {
	c, err := dial(ctx, addr, wire.Options{ID: k.id, Version: version})
	if err != nil {
		return err
	}
	defer c.end()
	way := make(map[uint16]sent)
	id := uint16(0)
	for {
		for len(way) < k.window {
			if id++; id == 0 {
				id = 1
			}
			way[id] = k.operate(c, id)
		}
		if err := c.flush(); err != nil {
			return err
		}
		if err := k.hear(c, way); err != nil {
			return err
		}
	}
}

// operate sends a value or a clear of one of the topics.
func (k *keeper) operate(c *client, id uint16) sent {
	topic := k.topics[rand.IntN(len(k.topics))]
	m := wire.Message{Topic: topic, QoS: 1, Retain: true, ID: id}
	value := uint64(0)
	if k.sets || rand.IntN(3) > 0 {
		k.next++
		value = k.next
		m.Payload = body(topic, value, k.size)
	}
	s := sent{topic, k.ledger.intend(topic, value)}
	c.publish(m)
	return s
}

// hear takes acknowledgements, at least one.
func (k *keeper) hear(c *client, way map[uint16]sent) error {
	for {
		p, err := c.Next()
		if err != nil {
			return err
		}
		switch {
		case p.Type == wire.Disconnect:
			return wire.Refused(p.Code)
		case p.Type != wire.Puback:
			continue
		}
		if s, ok := way[p.ID]; ok {
			delete(way, p.ID)
			k.answer(s, p.Code < 0x80)
		}
		if !c.More() {
			return nil
		}
	}
}

// answer notes what became of an operation. One that is refused stays an intent
// that was not acknowledged.
func (k *keeper) answer(s sent, ok bool) {
	told := k.refused
	if ok {
		k.ledger.ack(s.topic, s.n)
		told = k.acked
	}
	if told != nil {
		told()
	}
}

// readKept reads the retained messages of a filter: until all that must be there
// have come, and a message that is published after the subscription.
func readKept(ctx context.Context, addr, under string, must map[string]bool) (map[string]uint64, error) {
	c, err := dial(ctx, addr, wire.Options{ID: "reader-" + under})
	if err != nil {
		return nil, err
	}
	defer c.end()
	c.Grow(64 << 10)
	end := under + "/end"
	found := make(map[string]uint64)
	over, left := false, len(must)
	take := func(p wire.Packet) {
		if p.Type != wire.Publish {
			return
		}
		topic := string(p.Topic)
		if topic == end {
			over = true
			return
		}
		if _, again := found[topic]; !again && must[topic] {
			left--
		}
		found[topic] = number(topic, p.Payload)
		if p.QoS > 0 {
			c.ack(wire.Puback, p.ID)
		}
	}
	c.out = c.Version().AppendSubscribe(c.out, 1, under+"/#", 1)
	if err := c.flush(); err != nil {
		return nil, err
	}
	_ = c.SetReadDeadline(time.Now().Add(answers))
	if _, err := c.Await(wire.Suback, take); err != nil {
		return nil, fmt.Errorf("read %s: %w", under, err)
	}
	c.publish(wire.Message{Topic: end, QoS: 1, ID: 1})
	err = c.until(func() bool { return over }, func() bool { return left == 0 }, take)
	if errors.Is(err, os.ErrDeadlineExceeded) && over {
		err = nil // what has not come is lost
	}
	return found, err
}

// until reads until the mark has come, nothing more is owed, and the broker has
// answered a ping after that. Where nothing comes for too long it gives
// os.ErrDeadlineExceeded.
func (c *client) until(marked, all func() bool, take func(wire.Packet)) error {
	pinged := false
	for {
		patience := answers
		if marked() {
			patience = stragglers
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if marked() && all() && !pinged {
			pinged = true
			c.out = wire.AppendEmpty(c.out, wire.Pingreq)
		}
		if err := c.flush(); err != nil {
			return err
		}
		p, err := c.Next()
		if err != nil {
			return err
		}
		if p.Type == wire.Pingresp && pinged {
			return nil
		}
		take(p)
	}
}
