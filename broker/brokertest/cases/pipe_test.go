package cases

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// piped is the client's end of a net.Pipe with a buffer on its way in, as a
// socket has: without one, two ends that write at once wait for each other.
type piped struct {
	net.Conn
	in     chan []byte // what has come, in pieces
	closed chan struct{}
	once   sync.Once
	deaf   atomic.Bool   // nothing more is taken
	again  chan struct{} // until this

	rest     []byte // of the piece in hand; these two belong to the reader
	deadline time.Time
}

// pipe makes a connection and gives both ends. The near one must be pumped.
func pipe() (near *piped, far net.Conn) {
	a, b := net.Pipe()
	return &piped{Conn: a, in: make(chan []byte, 4096), closed: make(chan struct{}), again: make(chan struct{})}, b
}

// pump fills the buffer until the connection ends.
func (p *piped) pump() {
	defer close(p.in)
	for {
		if p.deaf.Load() {
			select {
			case <-p.again:
				p.deaf.Store(false)
			case <-p.closed:
				return
			}
		}
		b := make([]byte, 1024)
		n, err := p.Conn.Read(b)
		if n > 0 {
			select {
			case p.in <- b[:n]:
			case <-p.closed:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *piped) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		late := time.NewTimer(time.Until(p.deadline))
		defer late.Stop()
		select {
		case piece, ok := <-p.in:
			if !ok {
				return 0, net.ErrClosed
			}
			p.rest = piece
		case <-late.C:
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// SetReadDeadline must be called before each Read.
func (p *piped) SetReadDeadline(t time.Time) error {
	p.deadline = t
	return nil
}

func (p *piped) Close() error {
	p.once.Do(func() { close(p.closed) })
	return p.Conn.Close()
}
