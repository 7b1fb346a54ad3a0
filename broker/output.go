package broker

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	pieceBytes = 64 << 10    // written under one deadline: a slow peer may go on while it moves
	keepBytes  = 64 << 10    // a larger buffer is given back once it is empty
	linger     = time.Second // for what still waits when a connection closes
	partBytes  = 4 << 20     // taken from a peer meanwhile
)

// errSlow is what a write to a peer that does not read ends with.
var errSlow = errors.New("slow consumer")

// output is the sending half of a connection. Its write never blocks: what the
// peer does not take at once waits in a buffer, which a flusher empties. The
// buffer is bounded in bytes; the overflow policy is to fail the write, upon
// which the connection is closed (BROKER.md rows 4 and 5).
type output struct {
	raw   net.Conn
	fd    syscall.RawConn // to write without waiting; nil where the connection has no descriptor of ours
	limit int             // bytes that may wait
	wait  time.Duration   // for a peer to take a piece
	start func(func())    // starts the flusher
	slow  func()          // told when the peer has not taken a piece in time

	drained func() // told when what waited is out

	mu       sync.Mutex
	queue    []byte    // waits for the flusher
	spare    []byte    // the flusher's other buffer, while it has none in hand
	pending  int       // bytes in queue and in the flusher's hands
	flushing bool      // there is a flusher: nothing may be written past it
	closed   bool      // nothing more may be written
	end      time.Time // once closed: when the flusher gives up
	last     bool      // what was written last says why the connection ends
}

// write sends p, or keeps what the peer does not take at once. It fails with
// net.ErrClosed, errSlow, or what the peer's side says.
func (o *output) write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return 0, net.ErrClosed
	}
	n := 0
	if !o.flushing && o.fd != nil {
		var err error
		if n, err = tryWrite(o.fd, p); err != nil {
			return n, err
		}
	}
	rest := p[n:]
	if len(rest) == 0 {
		return n, nil
	}
	if o.pending+len(rest) > o.limit {
		return n, errSlow
	}
	o.queue = append(o.queue, rest...)
	o.pending += len(rest)
	if !o.flushing {
		o.flushing = true
		o.start(o.flush)
	}
	return len(p), nil
}

// flush writes what waits until nothing does.
func (o *output) flush() {
	for {
		chunk := o.take()
		if chunk == nil {
			o.drained()
			return
		}
		for rest := chunk; len(rest) > 0; {
			piece := rest[:min(len(rest), pieceBytes)]
			o.deadline()
			if _, err := o.raw.Write(piece); err != nil {
				o.fail(err)
				return
			}
			rest = rest[len(piece):]
			o.written(len(piece))
		}
		o.giveBack(chunk)
	}
}

// take hands everything that waits to the flusher; nil when that was all.
func (o *output) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		o.flushing = false
		if o.closed {
			o.hangUp()
		} else {
			_ = o.raw.SetWriteDeadline(time.Time{}) // an old one would fail the next direct write
		}
		return nil
	}
	chunk := o.queue
	o.queue, o.spare = o.spare[:0], nil
	return chunk
}

func (o *output) deadline() {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := time.Now().Add(o.wait)
	if o.closed {
		t = o.end
	}
	_ = o.raw.SetWriteDeadline(t)
}

func (o *output) written(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending -= n
}

func (o *output) giveBack(chunk []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if cap(chunk) <= keepBytes {
		o.spare = chunk[:0]
	}
}

// fail ends the connection: the peer is gone, or does not read.
func (o *output) fail(err error) {
	o.mu.Lock()
	lost := !o.closed
	o.closed, o.flushing, o.queue, o.pending = true, false, nil, 0
	o.mu.Unlock()
	if lost && errors.Is(err, os.ErrDeadlineExceeded) {
		o.slow()
	}
	_ = o.raw.Close()
}

// close ends the connection. What waits still has the linger time to go out;
// reading ends at once.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	now := time.Now()
	o.closed, o.end = true, now.Add(linger)
	_ = o.raw.SetReadDeadline(now)
	if !o.flushing {
		o.hangUp()
		return
	}
	_ = o.raw.SetWriteDeadline(o.end)
}

// says notes that what is written next are the last words to the peer.
func (o *output) says() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = true
}

// hangUp closes the connection, but after last words only for writing: a system
// that closes with bytes unread resets the connection, and the peer loses what
// it has not read. part does the rest. The lock is held.
func (o *output) hangUp() {
	if half, ok := o.raw.(interface{ CloseWrite() error }); ok && o.last && half.CloseWrite() == nil {
		return
	}
	_ = o.raw.Close()
}

// part waits a moment for the peer to close too, after the connection has been
// given up, and closes it.
func (o *output) part() {
	o.mu.Lock()
	waits := o.last && !o.flushing
	o.last = false // a flusher closes by itself
	if waits {
		_ = o.raw.SetReadDeadline(o.end)
	}
	o.mu.Unlock()
	if !waits {
		return
	}
	_, _ = io.CopyN(io.Discard, o.raw, partBytes)
	_ = o.raw.Close()
}

// readDeadline sets when reading ends, unless close has ended it already.
func (o *output) readDeadline(t time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return net.ErrClosed
	}
	return o.raw.SetReadDeadline(t)
}

// wrap puts c, which encrypts, in the place of the plain connection below it.
// Nothing may have been written yet.
func (o *output) wrap(c net.Conn) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return net.ErrClosed
	}
	o.raw, o.fd = c, nil
	return nil
}

// hasRoom tells whether there is place for messages that can as well wait.
func (o *output) hasRoom() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pending <= o.limit/2
}

func (o *output) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}
