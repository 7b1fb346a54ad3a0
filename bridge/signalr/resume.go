package signalr

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// errReplaced ends the reading of a line when the client has opened another.
var errReplaced = errors.New("taken over by a new transport")

// reception is the receiving half of a connection that survives its transport.
// It belongs to the reader, except what is atomic.
type reception struct {
	on    bool          // the client speaks version 2
	spoke bool          // it has sent something since its handshake
	next  uint64        // id of the next message that counts
	seen  atomic.Uint64 // highest id so far
	acked atomic.Uint64 // what the client was told of
}

// stateful is the lowest version of the hub protocol with Ack and Sequence.
const stateful = 2

// fresh numbers a message and says whether it comes for the first time.
func (r *reception) fresh(t protocol.Type) bool {
	if !r.on || !t.Counted() {
		return true
	}
	id := r.next
	r.next++
	seen := r.seen.Load()
	switch {
	case id > seen:
		r.seen.Store(id)
		return true
	case id == seen:
		r.acked.Store(0) // the client missed what it was told
	}
	return false
}

// sequence is the client's word which message comes next.
func (r *reception) sequence(id uint64) error {
	if !r.on {
		return nil
	}
	if most := r.seen.Load() + 1; id == 0 || id > most {
		return fmt.Errorf("%w: sequence %d, expected at most %d", protocol.ErrInvalid, id, most)
	}
	r.next = id
	return nil
}

// due answers which id the client is to be told of, if any.
func (r *reception) due() (uint64, bool) {
	seen := r.seen.Load()
	return seen, seen > r.acked.Swap(seen)
}

// begins sets the connection's first line.
func (c *Conn) begins(l *line) {
	c.line.Store(l)
	if c.tape != nil {
		c.tape.start(l)
	}
}

// agree makes the connection one that can be resumed, when it was negotiated so
// and the client speaks the version that it needs.
func (c *Conn) agree(version int) {
	if c.tape == nil || version < stateful {
		return
	}
	c.got.on, c.got.next = true, 1
	c.tape.enable()
}

// spoken notes that the client has sent something since its handshake.
func (c *Conn) spoken() {
	if c.got.on && !c.got.spoke {
		c.got.spoke = true
		c.tape.speak()
	}
}

// resumable says whether the connection outlives its line.
func (c *Conn) resumable() bool {
	return c.tape != nil && c.ctx.Err() == nil && c.tape.enabled()
}

// takeOver gives the connection another line and ends the one before, dead or
// not; false when the connection has ended.
func (c *Conn) takeOver(l *line) bool {
	before, ok := c.tape.attach(l)
	if !ok {
		return false
	}
	c.s.count.resumed.Add(1)
	if before != nil {
		before.cut() // wakes its reader, who closes it
	}
	return true
}

// lose ends a line, and waits for who writes to it.
func (c *Conn) lose(l *line) {
	if c.tape != nil {
		c.tape.lose(l)
	}
	l.cut()
	_ = l.link.Close()
	<-l.out.empty
}

// await waits for another line; nil when none came in time or the connection
// has ended.
func (c *Conn) await() *line {
	patience := time.NewTimer(c.s.cfg.DisconnectTimeout)
	defer patience.Stop()
	c.listening.Store(false)
	c.s.count.detached.Add(1)
	defer c.s.count.detached.Add(-1)
	for {
		next, unread := c.tape.take()
		for _, l := range unread {
			c.lose(l)
		}
		if next != nil {
			return next
		}
		select {
		case <-c.tape.wake:
		case <-patience.C:
			return nil
		case <-c.ctx.Done():
			return nil
		}
	}
}

// resume begins to read a new line; half a message that came on the old one is
// forgotten, because the client sends whole messages again.
func (c *Conn) resume() {
	c.split.Reset()
	c.heard.Store(int64(c.s.now()))
	c.listening.Store(true)
}

// hangUp ends the last line and refuses every other.
func (c *Conn) hangUp(last *line) {
	if c.tape != nil {
		c.tape.end()
		next, unread := c.tape.take()
		for _, l := range unread {
			c.lose(l)
		}
		if next != nil {
			c.lose(next)
		}
	}
	last.out.abandon()
	_ = last.link.Close()
	<-last.out.empty
}

// acknowledge tells the client what it need not keep any more.
func (c *Conn) acknowledge() {
	if !c.resumable() {
		return
	}
	if id, news := c.got.due(); news {
		_ = c.enqueue(c.ack(id)) // an error means that the connection is ending
	}
}
