package signalr

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// serve is the reader's goroutine until the client has shaken hands. What the
// hub does then (hooks, joining) makes a stack grow, and a goroutine that waits
// for years would keep it: so another one reads on.
func (c *Conn) serve() {
	l := c.line.Load()
	for !c.greeted.Load() {
		if err := l.link.Receive(l.take); err != nil {
			c.serveOn(l, err)
			return
		}
	}
	c.s.readers.Go(func() { c.serveOn(l, l.read()) })
}

// serveOn owns the connection to its end, and reads one line after the other; err
// is how the first one ended.
func (c *Conn) serveOn(l *line, err error) {
	if err == errRelieved {
		return // somebody else owns it
	}
	c.settle()
	for c.resumable() {
		c.lose(l)
		next := c.await()
		if next == nil {
			break
		}
		l = next
		c.resume()
		if err = l.read(); err == errRelieved {
			return
		}
		c.settle()
	}
	if !c.greeted.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		c.refuse("Handshake was canceled.", err)
	}
	c.finish(err)
}

// read hands everything that comes on the line to the connection; it returns
// why there is nothing more.
func (l *line) read() (err error) {
	take := l.take
	for err == nil {
		if !l.c.runPending(l) {
			return errRelieved
		}
		err = l.link.Receive(take)
	}
	return err
}

// take drops what comes late on a line that another one has replaced: the client
// sends it again there.
func (l *line) take(p []byte) error {
	if l.old() {
		return errReplaced
	}
	return l.c.take(p)
}

// take gets the next bytes of the client. When the connection is ending they
// are read only to find the peer's close frame.
func (c *Conn) take(p []byte) error {
	c.tally.bytesIn.Add(uint64(len(p)))
	c.heard.Store(int64(c.s.now()))
	if c.ctx.Err() != nil {
		return nil
	}
	if err := c.split.Feed(p, c.each); err != nil {
		c.violation(err)
	}
	return nil
}

// record gets one record. The first is the handshake.
func (c *Conn) record(b []byte) error {
	switch {
	case c.ctx.Err() != nil:
		return nil
	case !c.greeted.Load():
		return c.greet(b)
	}
	c.spoken()
	c.tally.messagesIn.Add(1)
	m, err := c.codec.Parse(bytes.Clone(b)) // arguments outlive the buffer
	if err != nil {
		return err
	}
	return c.sort(&m)
}

// sort keeps what belongs to the transport from what the hub is told.
func (c *Conn) sort(m *protocol.Message) error {
	if !c.got.fresh(m.Type) {
		return nil
	}
	switch m.Type {
	case protocol.Ping:
		if !c.pings.Load() {
			c.pings.Store(true)
		}
	case protocol.Ack:
		if c.tape != nil {
			c.tape.ack(m.SequenceID)
			c.calm.relax()
		}
	case protocol.Sequence:
		return c.got.sequence(m.SequenceID)
	default:
		c.dispatch(m)
	}
	return nil
}

// greet answers the handshake and makes the connection a full one.
func (c *Conn) greet(b []byte) error {
	h, err := protocol.ParseHandshake(b)
	if err != nil {
		return err
	}
	reason := h.Refusal()
	if reason == "" && protocol.Find(h.Protocol).Binary() && c.ticket.by == ServerSentEvents {
		reason = fmt.Sprintf("Cannot use the '%s' protocol on the current transport. The transport does not support 'Binary' transfer format.", h.Protocol)
	}
	if reason != "" {
		c.s.count.faults.Add(1)
		c.refuse(reason, errors.New(reason))
		return nil
	}
	c.codec = protocol.Find(h.Protocol)
	c.split.Use(c.codec)
	if c.welcome(h) {
		c.s.count.connections.Add(1)
		c.s.log.Debug("client connected", "conn", c.id)
		c.s.tags.enter(c, c.User())
		c.listenForUser()
		c.guard(c.connected)
	}
	return nil
}

// welcome answers the handshake and makes the connection one of all; false when
// it is ending. The answer goes out last: who has it gets every event from then
// on.
func (c *Conn) welcome(h protocol.Handshake) bool {
	fan := c.s.writers.fan(1)
	defer fan.end()
	if c.enqueueIn(fan, helloFrame(c.codec, "")) != nil || !c.disarm() {
		return false
	}
	c.agree(h.Version)
	c.greeted.Store(true)
	return c.s.rooms.enter(c)
}

// disarm ends the handshake's deadline, unless the connection is ending.
func (c *Conn) disarm() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	_ = c.line.Load().link.SetReadDeadline(time.Time{})
	return true
}

// violation ends the connection because of what the client sent. The text
// speaks of the client's own bytes, so it is no secret.
func (c *Conn) violation(err error) {
	c.s.count.faults.Add(1)
	c.s.log.Info("client broke the protocol", "conn", c.id, "err", err)
	text, code := err.Error(), transport.CloseNormal
	if errors.Is(err, protocol.ErrTooLarge) {
		text = fmt.Sprintf("The maximum message size of %dB was exceeded.", c.s.cfg.MaximumReceiveMessageSize)
		code = transport.CloseTooBig
	}
	cause := fmt.Errorf("%w: %w", ErrProtocol, err)
	if !c.greeted.Load() {
		c.refuse("An unexpected error occurred during connection handshake. InvalidDataException: "+text, cause)
		return
	}
	c.part(cause, code, c.closeFrame("Connection closed with an error. InvalidDataException: "+text, false))
}

// refuse ends a connection that did not get through the handshake.
func (c *Conn) refuse(reason string, err error) {
	c.part(fmt.Errorf("%w: %w", ErrHandshake, err), transport.CloseNormal, helloFrame(protocol.JSON, reason))
}

// pinged answers a WebSocket ping, in order with everything else.
func (l *line) pinged(data string) {
	l.c.heard.Store(int64(l.c.s.now()))
	_ = l.put(false, control(transport.PongFrame(data))) // it does not matter when the end is near
}

// closing answers the peer's close frame; when we closed first, that frame was
// the answer. A client that can resume ends with its connection only when it
// says that it leaves: otherwise something between the two has ended.
func (l *line) closing(code int) {
	reply := control(transport.CloseReply(code))
	if l.old() || l.c.resumable() && !transport.Leaving(code) {
		_ = l.put(true, reply)
		return
	}
	_ = l.c.post(true, reply) // an error means that ours went out first
	l.c.stop(nil)
}

// finish is the end of the reader: err is why there is nothing more to read.
func (c *Conn) finish(err error) {
	c.stop(err)
	l := c.line.Load()
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		c.flush(l)
	}
	c.hangUp(l)
	c.s.rooms.leaveAll(c)
	c.s.tags.leave(c)
	c.s.forget(c)
	c.tasks.Wait()
	if !c.greeted.Load() {
		return
	}
	c.s.count.connections.Add(-1)
	cause := c.reason()
	if errors.Is(cause, ErrSlow) {
		c.s.log.Warn("slow client cut", "conn", c.id, "err", cause)
	}
	c.s.log.Debug("client disconnected", "conn", c.id, "err", cause)
	c.guard(func() { c.s.disconnected(c, cause) })
}

// flush lets what is queued go out, including the close frame, and takes
// nothing more.
func (c *Conn) flush(l *line) {
	l.out.seal()
	patience := time.NewTimer(c.s.cfg.TransportSendTimeout)
	defer patience.Stop()
	select {
	case <-l.out.empty:
	case <-patience.C:
	}
}

// guard calls a hook; a panic in it ends this connection and no other.
func (c *Conn) guard(hook func()) {
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("panic in hook: %v\n%s", p, debug.Stack())
			c.s.log.Error("hub hook panicked", "conn", c.id, "err", err)
			c.part(err, transport.CloseInternal, c.closeFrame("Connection closed with an error.", false))
		}
	}()
	hook()
}
