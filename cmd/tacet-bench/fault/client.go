package fault

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

// answers is how long anything that must come may take to come. Machines are
// busy, and brokers are strained on purpose.
const answers = 20 * time.Second

// stragglers is how long nothing may come, when what was sent last has come,
// before the rest is given up.
const stragglers = 5 * time.Second

// client is a connection whose packets go out in batches. It is closed when the
// context of its dialling ends.
type client struct {
	*wire.Conn
	out  []byte
	stop func() bool
}

func dial(ctx context.Context, addr string, o wire.Options) (*client, error) {
	o.ID, o.User, o.Password = servers.User+":"+o.ID, servers.User, servers.Password
	limit, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
	c, err := wire.Dial(limit, addr, o)
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", o.ID, err)
	}
	return &client{Conn: c, stop: context.AfterFunc(ctx, func() { _ = c.Close() })}, nil
}

func (c *client) end() {
	c.stop()
	_ = c.Close()
}

// leave says goodbye and ends.
func (c *client) leave() error {
	c.out = wire.AppendEmpty(c.out, wire.Disconnect)
	err := c.flush()
	c.end()
	return err
}

func (c *client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	return err
}

func (c *client) publish(m wire.Message) { c.out = c.Version().AppendPublish(c.out, m) }

func (c *client) ack(kind byte, id uint16) { c.out = wire.AppendAck(c.out, kind, id) }

// body is a payload: a number, and the topic, so that one that is damaged or has
// got under another topic is known, and then as much more as is asked for.
func body(topic string, n uint64, more int) []byte {
	b := append(binary.BigEndian.AppendUint64(nil, n), topic...)
	return append(b, make([]byte, 1+more)...)
}

// number reads a payload; one that is not of this topic gives a number that was
// never sent.
func number(topic string, payload []byte) uint64 {
	if len(payload) < 8 || !bytes.HasPrefix(payload[8:], append([]byte(topic), 0)) {
		return 1<<64 - 1
	}
	return binary.BigEndian.Uint64(payload)
}
