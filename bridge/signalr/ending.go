package signalr

import (
	"cmp"
	"errors"
	"fmt"
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
func (c *Conn) enqueue(f *frame) error { return c.enqueueIn(nil, f) }

// enqueueIn is enqueue for one of many: fan has it written.
func (c *Conn) enqueueIn(fan *fanout, f *frame) error {
	err := c.postIn(fan, false, f)
	if err == ErrClosed {
		c.s.count.dropped.Add(1)
	}
	return err
}

// enqueueEvent is enqueueIn for an event, which may replace an older one.
func (c *Conn) enqueueEvent(fan *fanout, e *event, f *frame) error {
	if e.latest {
		return c.enqueueLatest(fan, e, f)
	}
	return c.enqueueIn(fan, f)
}

// reply is enqueue for what is still a draft: it is copied only when it cannot be
// written at once.
func (c *Conn) reply(d *draft) error {
	l := c.line.Load()
	if c.tape != nil || !l.instant() || !l.out.lend(len(d.b)) {
		return c.enqueue(d.frame())
	}
	l.beginWith(&d.now, d.b)
	return nil
}

// post is the one way to a connection: it queues frames on the current line,
// and where the connection can be resumed it numbers and keeps those that count.
func (c *Conn) post(seal bool, frames ...*frame) error { return c.postIn(nil, seal, frames...) }

func (c *Conn) postIn(fan *fanout, seal bool, frames ...*frame) error {
	l, v := c.hand(seal, frames...)
	switch v {
	case starts:
		if fan != nil {
			fan.begin(l)
		} else {
			l.begin()
		}
	case refused:
		return ErrClosed
	case overflow:
		c.fail(fmt.Errorf("%w: more than %d bytes waiting", ErrSlow, c.line.Load().out.limit))
		return ErrSlow
	}
	return nil
}

// hand queues frames; of a verdict starts the caller must see to the writing.
func (c *Conn) hand(seal bool, frames ...*frame) (l *line, v verdict) {
	if c.tape != nil {
		v, l = c.tape.post(seal, frames)
		return l, v
	}
	l = c.line.Load()
	return l, l.out.put(seal, frames...)
}

// fail cuts the connection without a goodbye. It does not block.
func (c *Conn) fail(err error) {
	if c.stop(err) && errors.Is(err, ErrSlow) {
		c.s.count.slow.Add(1)
	}
	c.line.Load().cut()
}

// dismiss ends the connection with the hub's Close message.
func (c *Conn) dismiss(cause error, reason string, allowReconnect bool) {
	if !c.greeted.Load() {
		c.refuse("Handshake was canceled.", cause)
		return
	}
	c.part(cause, transport.CloseNormal, c.closeFrame(reason, allowReconnect))
}

// part ends the connection in good order with last messages and a close frame;
// false when it was ending already.
func (c *Conn) part(cause error, code int, last ...*frame) bool {
	if !c.begin(cause) {
		return false
	}
	if c.post(true, append(last, control(transport.CloseFrame(code)))...) == nil {
		_ = c.line.Load().link.SetReadDeadline(time.Now().Add(c.s.cfg.CloseTimeout))
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

// look is what the server does for a connection once per sweep: wait no more for a
// client that does not speak, acknowledge what came, ping the client when nothing was
// written for long, and end the connection when the client is silent or its token too
// old.
func (c *Conn) look(now time.Duration) {
	if c.tape != nil && now-time.Duration(c.heard.Load()) >= quietest {
		c.tape.speak()
	}
	c.acknowledge()
	if at := c.expires.Load(); at != 0 && int64(now) >= at {
		c.dismiss(ErrExpired, "", true)
		return
	}
	if polls, ok := c.line.Load().link.(*transport.Polls); ok {
		c.lookAtPolls(polls)
		return
	}
	cfg := &c.s.cfg
	// As with the vendor's server, silence counts from the first ping on: there
	// are clients that never ping (DefaultHubDispatcher.cs, PingMessage).
	if c.pings.Load() && c.listening.Load() && now-time.Duration(c.heard.Load()) >= cfg.ClientTimeoutInterval {
		if c.part(ErrSilent, transport.CloseNormal, c.closeFrame("Connection closed with an error.", true)) {
			c.s.count.silent.Add(1)
		}
		return
	}
	if now-time.Duration(c.wrote.Load()) >= cfg.KeepAliveInterval && c.line.Load().out.idle() {
		_ = c.enqueue(c.pingFrame()) // an error means that the connection is ending
	}
}

// lookAtPolls: polls are their own keep-alive, so there are no pings.
func (c *Conn) lookAtPolls(polls *transport.Polls) {
	if polls.Absent() < c.s.cfg.DisconnectTimeout {
		return
	}
	c.s.count.silent.Add(1)
	c.fail(ErrAbsent)
}
