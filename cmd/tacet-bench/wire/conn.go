package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"
)

// Options say how a client connects.
type Options struct {
	ID        string
	Version   Version       // 0: V311
	Keep      bool          // the session outlives the connection, for a day in MQTT 5
	KeepAlive time.Duration // in whole seconds, up to 18 hours; 0: none
	User      string        // empty: no user name and no password
	Password  string
}

// Conn is a connection that a broker has accepted. One goroutine may read and
// one may write at the same time. Close ends both.
type Conn struct {
	net.Conn
	Present bool // the broker had a session

	version Version
	buf     []byte
	from    int // of what has been read and not been given
	to      int
}

// Refused is a CONNACK that says no, with its code.
type Refused byte

func (r Refused) Error() string { return fmt.Sprintf("connection refused with code %#x", byte(r)) }

// Dial connects over TCP and waits for the CONNACK, until ctx ends. Its error is
// a [Refused] where that says no.
func Dial(ctx context.Context, addr string, o Options) (*Conn, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	c := &Conn{Conn: raw, version: o.Version, buf: make([]byte, 2<<10)}
	err = c.open(o)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

func (c *Conn) open(o Options) error {
	if _, err := c.Write(appendConnect(nil, o)); err != nil {
		return err
	}
	p, err := c.Next()
	switch {
	case err != nil:
		return err
	case p.Type != Connack:
		return fmt.Errorf("wire: packet of type %d instead of CONNACK", p.Type)
	case p.Code != 0:
		return Refused(p.Code)
	}
	c.Present = p.Present
	return nil
}

// day is for how long MQTT 5 keeps a session, in seconds.
const day = 24 * 60 * 60

func appendConnect(b []byte, o Options) []byte {
	v := max(o.Version, V311)
	flags := byte(0)
	if !o.Keep {
		flags |= 2
	}
	if o.User != "" {
		flags |= 0xc0
	}
	body := append(appendString(nil, "MQTT"), byte(v), flags)
	body = binary.BigEndian.AppendUint16(body, uint16(o.KeepAlive/time.Second))
	switch {
	case v == V5 && o.Keep:
		body = binary.BigEndian.AppendUint32(append(body, 5, 0x11), day)
	case v == V5:
		body = append(body, 0)
	}
	body = appendString(body, o.ID)
	if o.User != "" {
		body = appendString(appendString(body, o.User), o.Password)
	}
	b = binary.AppendUvarint(append(b, Connect<<4), uint64(len(body)))
	return append(b, body...)
}

// Next gives the next packet, for which it waits.
func (c *Conn) Next() (Packet, error) {
	for {
		p, n, err := parse(c.buf[c.from:c.to], c.version)
		if n > 0 || err != nil {
			c.from += n
			return p, err
		}
		if err := c.fill(); err != nil {
			return p, err
		}
	}
}

// More tells whether Next will answer without waiting.
func (c *Conn) More() bool {
	_, n, err := parse(c.buf[c.from:c.to], c.version)
	return n > 0 || err != nil
}

// fill reads on, behind what has not been given yet.
func (c *Conn) fill() error {
	c.to = copy(c.buf, c.buf[c.from:c.to])
	c.from = 0
	if c.to == len(c.buf) {
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
	n, err := c.Read(c.buf[c.to:])
	c.to += n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// Grow makes room for n bytes of packets that come in one read.
func (c *Conn) Grow(n int) {
	if n > len(c.buf) {
		c.buf = append(c.buf, make([]byte, n-len(c.buf))...)
	}
}

// Await reads until a packet of a type has come; others gets what comes before
// it, nil drops that.
func (c *Conn) Await(kind byte, others func(Packet)) (Packet, error) {
	for {
		p, err := c.Next()
		if err != nil || p.Type == kind {
			return p, err
		}
		if others != nil {
			others(p)
		}
	}
}

// Subscribe subscribes to a filter and waits for the SUBACK; what comes before
// it is dropped. A filter that is refused is an error.
func (c *Conn) Subscribe(filter string, qos byte) error {
	if _, err := c.Write(c.version.AppendSubscribe(nil, 1, filter, qos)); err != nil {
		return err
	}
	p, err := c.Await(Suback, nil)
	if err != nil {
		return err
	}
	if len(p.Payload) != 1 || p.Payload[0] > 2 {
		return fmt.Errorf("subscribe to %s: refused with % x", filter, p.Payload)
	}
	return nil
}

// Version is the one that the connection speaks.
func (c *Conn) Version() Version { return max(c.version, V311) }
