package broker

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	pieceBytes = 64 << 10    // written under one deadline: a slow peer may go on while it moves
	linger     = time.Second // for what still waits when a connection closes
	partBytes  = 4 << 20     // taken from a peer meanwhile
)

// errSlow is what a write to a peer that does not read ends with.
var errSlow = errors.New("slow consumer")

// output is the sending half of a connection. It never blocks who writes. What is
// put into it goes out in one of three ways: now, as far as the peer takes it;
// soon, by the sweep, together with what others put meanwhile; or with the next
// rest, which is when the connection's goroutine has dealt with all that it had
// read. What the peer does not take waits in a buffer, which a flusher empties.
// The buffer is bounded in bytes; the overflow policy is to fail the put, upon
// which the connection is closed (BROKER.md rows 4 and 5).
type output struct {
	raw   net.Conn
	fd    syscall.RawConn // to write without waiting; nil where the connection has no descriptor of ours
	limit int             // bytes that may wait
	wait  time.Duration   // for a peer to take a piece
	start func(func())    // starts the flusher
	sweep *sweep
	slow  func() // told when the peer has not taken a piece in time

	drained func() // told when what waited for the peer is out

	closed atomic.Bool // nothing more may be put in; set with the lock, before the peer can see it

	mu       sync.Mutex
	queue    []byte    // waits to be written
	pending  int       // bytes in queue and in the flusher's hands
	swept    bool      // stands in the sweep's list
	flushing bool      // there is a flusher: nothing may be written past it
	corked   bool      // nothing goes out before rest
	timed    bool      // raw has a write deadline
	end      time.Time // once closed: when the flusher gives up
	last     bool      // what was put in last says why the connection ends
}

// when says how soon something goes out.
type when uint8

const (
	atRest when = iota // at the latest when rest is called
	soon
	now
)

// directBytes is how much is gathered before who puts more in writes it: so
// nobody is taken for slow before its socket was tried.
const directBytes = 64 << 10

// put takes p, a copy of it where it waits. It fails with net.ErrClosed,
// errSlow, or what the peer's side says.
func (o *output) put(p []byte, w when) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed.Load() {
		return net.ErrClosed
	}
	direct := !o.flushing && o.fd != nil && (w == now || o.pending+len(p) > directBytes)
	if direct && o.pending == 0 {
		n, err := tryWrite(o.fd, p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	if len(p) == 0 {
		return nil
	}
	if o.pending+len(p) > o.limit {
		return errSlow
	}
	if o.queue == nil {
		o.queue = o.sweep.buffer()
	}
	o.queue = append(o.queue, p...)
	o.pending += len(p)
	switch {
	case o.flushing || !direct && (o.corked || w == atRest):
		return nil
	case o.fd == nil || direct:
		return o.empty()
	case !o.swept:
		o.swept = true
		o.sweep.add(o)
	}
	return nil
}

// cork keeps everything until rest, but for what is too much to wait.
func (o *output) cork() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = true
}

func (o *output) isCorked() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.corked
}

// rest writes what waits.
func (o *output) rest() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = false
	if o.flushing || o.pending == 0 {
		return nil
	}
	return o.empty()
}

// empty writes what the peer takes of what waits, and leaves the rest to a
// flusher. The lock is held, and there is none.
func (o *output) empty() error {
	if o.fd != nil && !o.closed.Load() {
		n, err := tryWrite(o.fd, o.queue)
		if err != nil {
			return err
		}
		if o.pending -= n; o.pending == 0 {
			o.sweep.giveBack(o.queue)
			o.queue = nil
			return nil
		}
		o.queue = o.queue[:copy(o.queue, o.queue[n:])]
	}
	o.flushing = true
	o.start(o.flush)
	return nil
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
		o.sweep.giveBack(chunk)
	}
}

// take hands everything that waits to the flusher; nil when that was all.
func (o *output) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 || o.corked && !o.closed.Load() {
		o.flushing = false
		if o.closed.Load() {
			o.hangUp()
		} else if o.timed {
			o.timed = false
			_ = o.raw.SetWriteDeadline(time.Time{}) // an old one would fail the next direct write
		}
		return nil
	}
	chunk := o.queue
	o.queue = nil
	return chunk
}

func (o *output) deadline() {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := time.Now().Add(o.wait)
	if o.closed.Load() {
		t = o.end
	}
	o.timed = true
	_ = o.raw.SetWriteDeadline(t)
}

func (o *output) written(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending -= n
}

// fail ends the connection: the peer is gone, or does not read.
func (o *output) fail(err error) {
	o.mu.Lock()
	lost := !o.closed.Swap(true)
	o.flushing, o.queue, o.pending = false, nil, 0
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
	if o.closed.Load() {
		return
	}
	at := time.Now()
	if !o.flushing && o.pending > 0 && o.empty() != nil {
		o.pending, o.queue = 0, nil // the peer is gone
	}
	o.closed.Store(true)
	o.end = at.Add(linger)
	_ = o.raw.SetReadDeadline(at)
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
	if o.closed.Load() {
		return net.ErrClosed
	}
	return o.raw.SetReadDeadline(t)
}

// wrap puts c, which encrypts, in the place of the plain connection below it.
// Nothing may have been written yet.
func (o *output) wrap(c net.Conn) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed.Load() {
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

// unread tells whether the peer has said what nobody has read yet. Of what is
// no plain socket it is not known.
func (o *output) unread() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.closed.Load() && o.fd != nil && unread(o.fd)
}

// isClosed tells whether the connection has been given up. Who has seen its end from
// outside sees it here too, which is before the library knows.
func (o *output) isClosed() bool { return o.closed.Load() }
