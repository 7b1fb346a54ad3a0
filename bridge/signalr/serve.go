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

// serve is the reader's goroutine: it owns the connection from the upgrade to
// its end.
func (c *Conn) serve() {
	var err error
	for err == nil {
		err = c.link.Receive(c.take)
	}
	if !c.greeted.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		c.refuse("Handshake was canceled.", err)
	}
	c.finish(err)
}

// take gets the next bytes of the client. When the connection is ending they
// are read only to find the peer's close frame.
func (c *Conn) take(p []byte) error {
	c.s.count.bytesIn.Add(uint64(len(p)))
	c.heard.Store(int64(c.s.now()))
	if c.ctx.Err() != nil {
		return nil
	}
	if err := c.split.Feed(p, c.record); err != nil {
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
	c.s.count.messagesIn.Add(1)
	m, err := protocol.Parse(bytes.Clone(b)) // arguments outlive the buffer
	if err != nil {
		return err
	}
	c.dispatch(m)
	return nil
}

// greet answers the handshake and makes the connection a full one.
func (c *Conn) greet(b []byte) error {
	h, err := protocol.ParseHandshake(b)
	if err != nil {
		return err
	}
	if reason := h.Refusal(); reason != "" {
		c.s.count.faults.Add(1)
		c.refuse(reason, errors.New(reason))
		return nil
	}
	if c.enqueue(helloFrame("")) != nil || !c.disarm() {
		return nil
	}
	c.greeted.Store(true)
	if c.s.rooms.enter(c) {
		c.s.count.connections.Add(1)
		c.s.log.Debug("client connected", "conn", c.id)
		c.guard(func() { c.s.up(c) })
	}
	return nil
}

// disarm ends the handshake's deadline, unless the connection is ending.
func (c *Conn) disarm() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	_ = c.link.SetReadDeadline(time.Time{})
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
	c.part(cause, code, closeFrame("Connection closed with an error. InvalidDataException: "+text, false))
}

// refuse ends a connection that did not get through the handshake.
func (c *Conn) refuse(reason string, err error) {
	c.part(fmt.Errorf("%w: %w", ErrHandshake, err), transport.CloseNormal, helloFrame(reason))
}

// pinged answers a WebSocket ping, in order with everything else.
func (c *Conn) pinged(data string) {
	c.heard.Store(int64(c.s.now()))
	_ = c.enqueue(control(transport.PongFrame(data))) // an error means that the end is near anyway
}

// closing answers the peer's close frame; when we closed first, that frame was
// the answer.
func (c *Conn) closing(code int) {
	_ = c.post(true, control(transport.CloseReply(code))) // an error means that ours went out first
	c.stop(nil)
}

// finish is the end of the reader: err is why there is nothing more to read.
func (c *Conn) finish(err error) {
	c.stop(err)
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		c.flush()
	}
	c.out.abandon()
	_ = c.link.Close()
	<-c.out.empty
	c.s.rooms.leaveAll(c)
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
	c.guard(func() { c.s.down(c, cause) })
}

// flush lets what is queued go out, including the close frame, and takes
// nothing more.
func (c *Conn) flush() {
	c.out.seal()
	patience := time.NewTimer(c.s.cfg.TransportSendTimeout)
	defer patience.Stop()
	select {
	case <-c.out.empty:
	case <-patience.C:
	}
}

// guard calls a hook; a panic in it ends this connection and no other.
func (c *Conn) guard(hook func()) {
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("panic in hook: %v\n%s", p, debug.Stack())
			c.s.log.Error("hub hook panicked", "conn", c.id, "err", err)
			c.part(err, transport.CloseInternal, closeFrame("Connection closed with an error.", false))
		}
	}()
	hook()
}
