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

// flipper is a persistent session that subscribes and unsubscribes.
type flipper struct {
	id      string
	under   string
	filters []string
	ledger  *values // 1: subscribed
}

func newFlipper(n, filters int, ledger *values) *flipper {
	f := &flipper{id: fmt.Sprint("flipper-", n), under: fmt.Sprintf("bench/s/%d", n), ledger: ledger}
	for i := range filters {
		f.filters = append(f.filters, fmt.Sprintf("%s/%d", f.under, i))
	}
	return f
}

// settle makes the session and the subscription by which it is checked.
func (f *flipper) settle(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr, wire.Options{ID: f.id, Keep: true})
	if err != nil {
		return err
	}
	defer c.end()
	if err := c.Subscribe(f.under+"/end", 1); err != nil {
		return err
	}
	return c.leave()
}

// run flips until its connection or ctx ends; the error is why. One operation is
// under way at a time.
func (f *flipper) run(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr, wire.Options{ID: f.id, Keep: true})
	if err != nil {
		return err
	}
	defer c.end()
	for id := uint16(1); ; id = id%65535 + 1 {
		filter, value, answer := f.filters[rand.IntN(len(f.filters))], uint64(rand.IntN(2)), wire.Unsuback
		n := f.ledger.intend(filter, value)
		if value == 1 {
			answer = wire.Suback
			c.out = c.Version().AppendSubscribe(c.out, id, filter, 1)
		} else {
			c.out = c.Version().AppendUnsubscribe(c.out, id, filter)
		}
		if err := c.flush(); err != nil {
			return err
		}
		p, err := c.Await(answer, nil)
		if err != nil {
			return err
		}
		if len(p.Payload) == 0 || p.Payload[0] < 0x80 { // UNSUBACK has codes in MQTT 5 alone
			f.ledger.ack(filter, n)
		}
	}
}

// check publishes to every filter and looks which of it the session gets.
func (f *flipper) check(ctx context.Context, addr string, t *tally) error {
	c, err := dial(ctx, addr, wire.Options{ID: f.id, Keep: true})
	if err != nil {
		return err
	}
	defer c.end()
	if !c.Present {
		t.add(Lost, "session %s", f.id)
		if err := c.Subscribe(f.under+"/end", 1); err != nil {
			return err
		}
	}
	mark := fmt.Sprint(time.Now().UnixNano())
	for _, topic := range append(f.filters, f.under+"/end") {
		if err := tell(ctx, addr, topic, mark); err != nil {
			return err
		}
	}
	found := make(map[string]uint64)
	over := false
	err = c.until(func() bool { return over }, func() bool { return true }, func(p wire.Packet) {
		if p.Type != wire.Publish {
			return
		}
		c.ack(wire.Puback, p.ID)
		switch topic := string(p.Topic); {
		case string(p.Payload) != mark: // of an earlier look
		case topic == f.under+"/end":
			over = true
		default:
			found[topic] = 1
		}
	})
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("check %s: %w", f.id, err)
	}
	f.ledger.judge(found, func(filter string) bool { return len(filter) > len(f.under) && filter[:len(f.under)+1] == f.under+"/" }, t)
	return c.leave()
}
