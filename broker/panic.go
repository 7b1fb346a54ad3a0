package broker

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// session runs the library on a connection until it ends. A panic closes this
// connection alone: the library's decoder has at least one that a client can
// cause, by a SUBSCRIBE of MQTT 5 that ends behind a filter.
func (b *Broker) session(l *link) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = b.panicked(l, p)
		}
	}()
	return b.server.EstablishConnection(listenerName, l)
}

// panicked does what the library would have done after the end of a connection.
func (b *Broker) panicked(l *link, p any) error {
	b.count.panics.Add(1)
	attrs := []any{"device", l.id, "conn", l.addr}
	if left, ok := b.lines.pass("panic on a connection, which is closed", time.Now(), attrs); ok { // whoever can cause one can cause many
		b.log.Error("panic on a connection, which is closed", "device", l.id, "conn", l.addr, "err", fmt.Sprintf("%v\n%s", p, debug.Stack()), "n", left+1)
	}
	cl := l.client.Load()
	if cl != nil && l.up {
		cl.Stop(packets.ErrMalformedPacket)
		expire := endsWithConnection(cl)
		b.hook.OnDisconnect(cl, packets.ErrMalformedPacket, expire)
		b.forget(cl)
	}
	return fmt.Errorf("panic: %v", p)
}
