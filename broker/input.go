package broker

import (
	"net"
	"sync"
	"syscall"
)

// inputBytes is how much is read at once.
const inputBytes = 8 << 10

// inputs are the buffers that connections read into. The library has one for
// each; here one is held only from when something has come until it is dealt
// with, and a connection that waits holds none: 2 KiB of memory that thousands
// of idle devices do not take.
type inputs struct{ pool sync.Pool } // of *[inputBytes]byte

func (i *inputs) get() *[inputBytes]byte {
	if b, ok := i.pool.Get().(*[inputBytes]byte); ok {
		return b
	}
	return new([inputBytes]byte)
}

func (i *inputs) put(b *[inputBytes]byte) { i.pool.Put(b) }

// input is the receiving half of a connection. It belongs to the connection's
// goroutine.
type input struct {
	fd   syscall.RawConn // nil: what encrypts or frames has a buffer of its own
	pool *inputs
	buf  *[inputBytes]byte // nil: nothing is left
	rest []byte            // of buf
}

// read takes what has come, or waits for something.
func (in *input) read(raw net.Conn, p []byte) (int, error) {
	if in.buf == nil {
		if in.fd == nil || len(p) >= inputBytes {
			return raw.Read(p)
		}
		if err := in.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, in.rest)
	if in.rest = in.rest[n:]; len(in.rest) == 0 {
		in.free()
	}
	return n, nil
}

// empty tells whether everything that was read has been taken: the next read may
// wait.
func (in *input) empty() bool { return in.buf == nil }

// free gives the buffer back, and with it what is left in it.
func (in *input) free() {
	if in.buf != nil {
		in.pool.put(in.buf)
		in.buf, in.rest = nil, nil
	}
}

// following reads what follows on a connection.
type following struct{ l *link }

func (r following) Read(p []byte) (int, error) { return r.l.in.read(r.l.raw, p) }
