package signalr

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// The ways in which a connection ends:
//
//	part, dismiss  say goodbye: what is queued, a last message, a close frame;
//	               then wait CloseTimeout for the peer's close frame
//	fail           at once: the peer is too slow or gone
//
// All of them end the context, so that no call goes on: after the goodbye is
// queued, so that no answer of a cancelled call comes before it.

// enqueue sends a frame, in order. An overflow ends the connection.
func (c *Conn) enqueue(f *frame) error {
	err := c.post(false, f)
	if err == ErrClosed {
		c.s.count.dropped.Add(1)
	}
	return err
}

func (c *Conn) post(seal bool, frames ...*frame) error {
	switch c.out.put(seal, frames...) {
	case refused:
		return ErrClosed
	case overflow:
		c.fail(fmt.Errorf("%w: more than %d bytes waiting", ErrSlow, c.out.limit))
		return ErrSlow
	case starts:
		// The reader waits for the outbox to be empty before it waits for tasks, and
		// it is not empty before this drain has run.
		c.tasks.Go(c.drain)
	}
	return nil
}

// drain writes what is queued until nothing is.
func (c *Conn) drain() {
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	wrote := 0
	for {
		batch, messages := c.out.next(wrote, *scratch)
		if batch == nil {
			return
		}
		if err := c.write(batch); err != nil {
			c.fail(err)
			wrote = 0
			continue
		}
		wrote = len(batch)
		c.s.count.bytesOut.Add(uint64(wrote))
		c.s.count.messagesOut.Add(messages)
	}
}

func (c *Conn) write(batch []byte) error {
	_ = c.link.SetWriteDeadline(time.Now().Add(c.s.cfg.TransportSendTimeout))
	_, err := c.link.Write(batch)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: nothing taken for %v", ErrSlow, c.s.cfg.TransportSendTimeout)
	}
	if err == nil {
		c.wrote.Store(int64(c.s.now()))
	}
	return err
}

// fail cuts the connection without a goodbye. It does not block: the deadlines
// wake reader and drain, and the reader closes the link.
func (c *Conn) fail(err error) {
	if !c.out.abandon() {
		return
	}
	if c.stop(err) && errors.Is(err, ErrSlow) {
		c.s.count.slow.Add(1)
	}
	past := time.Unix(1, 0)
	_ = c.link.SetWriteDeadline(past)
	_ = c.link.SetReadDeadline(past)
}

// dismiss ends the connection with the hub's Close message.
func (c *Conn) dismiss(cause error, reason string, allowReconnect bool) {
	if !c.greeted.Load() {
		c.refuse("Handshake was canceled.", cause)
		return
	}
	c.part(cause, transport.CloseNormal, closeFrame(reason, allowReconnect))
}

// part ends the connection in good order with last messages and a close frame;
// false when it was ending already.
func (c *Conn) part(cause error, code int, last ...*frame) bool {
	if !c.begin(cause) {
		return false
	}
	if c.post(true, append(last, control(transport.CloseFrame(code)))...) == nil {
		_ = c.link.SetReadDeadline(time.Now().Add(c.s.cfg.CloseTimeout))
	}
	c.halt()
	return true
}

// stop is an end without a goodbye; false when the connection was ending
// already.
func (c *Conn) stop(cause error) bool {
	if !c.begin(cause) {
		return false
	}
	c.halt()
	return true
}

// begin notes why the connection ends; the first cause counts. nil is an end in
// good order.
func (c *Conn) begin(cause error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.ended, c.cause = true, cause
	return true
}

// halt ends the calls.
func (c *Conn) halt() {
	c.cancel(cmp.Or(c.reason(), ErrClosed))
	c.in.close()
}

// reason says why the connection ended, nil for a client that left in good
// order.
func (c *Conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// look is what the server does for a connection once per sweep: ping it when
// nothing was written for long, end it when nothing was heard.
func (c *Conn) look(now time.Duration) {
	cfg := &c.s.cfg
	if c.listening.Load() && now-time.Duration(c.heard.Load()) >= cfg.ClientTimeoutInterval {
		if c.part(ErrSilent, transport.CloseNormal, closeFrame("Connection closed with an error.", true)) {
			c.s.count.silent.Add(1)
		}
		return
	}
	if now-time.Duration(c.wrote.Load()) >= cfg.KeepAliveInterval && c.out.idle() {
		_ = c.enqueue(pingFrame) // an error means that the connection is ending
	}
}
