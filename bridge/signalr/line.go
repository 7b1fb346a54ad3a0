package signalr

import "time"

// carrier is a transport's end for one connection. Write takes whole WebSocket
// frames whatever the transport is; those that are no WebSocket take the headers
// off.
type carrier interface {
	Receive(take func(p []byte) error) error
	Write(frames []byte) (int, error)
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	Close() error
}

// line is one transport below a connection, with the queue of what is written
// to it. A connection has one line for all its life, or one after the other
// when it can be resumed (stateful reconnect).
type line struct {
	c     *Conn
	link  carrier
	shard int // who writes it
	out   outbox
}

// newLine makes a line whose link is still to be set.
func newLine(c *Conn) *line {
	l := &line{c: c, shard: c.s.writers.choose()}
	l.out.limit, l.out.empty, l.out.calm = c.s.cfg.OutboxBytes, make(chan struct{}), &c.calm
	if c.tape != nil {
		l.out.limit = c.tape.limit // everything that is replayed must fit
	}
	return l
}

// put queues frames on this line and nowhere else, and has them written by
// somebody else: locks may be held. Everything but a replay goes through
// [Conn.post], which counts.
func (l *line) put(seal bool, frames ...*frame) verdict {
	v := l.out.put(seal, frames...)
	if v == starts {
		// The reader waits for the outbox to be empty before it waits for tasks, and
		// it is not empty before this drain has run.
		l.c.tasks.Go(l.drain)
	}
	return v
}

// broke is what happens when nothing can be written any more. A connection that
// can be resumed loses the line and no more: its reader waits for another.
func (l *line) broke(err error) {
	if l.c.resumable() {
		l.cut()
		return
	}
	l.c.fail(err)
}

// cut ends the line without a goodbye. It does not block: the deadlines wake
// reader and drain, and the reader closes the link.
func (l *line) cut() {
	if !l.out.abandon() {
		return
	}
	past := time.Unix(1, 0)
	_ = l.link.SetWriteDeadline(past)
	_ = l.link.SetReadDeadline(past)
}

// old says that another line has taken this one's place.
func (l *line) old() bool { return l.c.line.Load() != l }
