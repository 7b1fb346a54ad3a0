package transport

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"syscall"
)

// quick is a TCP connection that is read without telling the scheduler of each
// system call: on a busy machine it would take the processor away from a
// goroutine that is about to go on. The descriptor does not block, so nobody
// waits in the call. One goroutine at a time may read.
type quick struct {
	*net.TCPConn
	raw  syscall.RawConn
	p    []byte
	n    int
	err  error
	once func(fd uintptr) bool
}

// Read implements net.Conn.
func (q *quick) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	q.p = p
	err := q.raw.Read(q.once)
	q.p = nil
	switch {
	case err != nil:
		return 0, err
	case q.err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: q.LocalAddr(), Addr: q.RemoteAddr(), Err: q.err}
	case q.n == 0:
		return 0, io.EOF
	}
	return q.n, nil
}

// quickly gives an upgrade connections that are quick, where they can be.
type quickly struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (w quickly) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	tcp, ok := c.(*net.TCPConn)
	if err != nil || !ok || !instant {
		return c, rw, err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c, rw, nil
	}
	q := &quick{TCPConn: tcp, raw: raw}
	q.once = q.read
	return q, rw, nil
}

// plain gives the TCP connection below c, if there is nothing between.
func plain(c net.Conn) (*net.TCPConn, bool) {
	if q, ok := c.(*quick); ok {
		return q.TCPConn, true
	}
	tcp, ok := c.(*net.TCPConn)
	return tcp, ok
}
