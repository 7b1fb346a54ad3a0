package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// leastTLS is the oldest version that is spoken: 1.0 and 1.1 are broken
// (RFC 8996).
const leastTLS = tls.VersionTLS12

// errHandshake is the error of a TLS handshake that came to nothing.
var errHandshake = errors.New("tls handshake")

// secured is the configuration that the TLS listener uses.
func secured(cfg *tls.Config) *tls.Config {
	if cfg == nil {
		return nil
	}
	cfg = cfg.Clone()
	cfg.MinVersion = max(cfg.MinVersion, leastTLS)
	return cfg
}

// encrypt shakes hands with the peer, on the connection's own goroutine and
// under the deadline that admit has set, and puts the session in the place of
// the plain connection. Until it is done the connection is half-open.
func (l *link) encrypt(cfg *tls.Config) error {
	under := &calm{Conn: l.raw, fd: rawConn(l.raw), heard: &l.heard}
	session := &session{Conn: tls.Server(under, cfg), under: under}
	_ = l.raw.SetWriteDeadline(time.Now().Add(l.b.cfg.ConnectTimeout)) // a peer that does not read our half of it
	if err := session.Handshake(); err != nil {
		l.lost = errors.Is(err, os.ErrDeadlineExceeded)
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
	_ = l.raw.SetWriteDeadline(time.Time{})
	state := session.ConnectionState()
	l.raw, l.tls = session, &state
	return l.out.wrap(session)
}

// session is a TLS connection whose Close does not wait for the peer to take
// the goodbye: closing must block nobody (BROKER.md row 5).
type session struct {
	*tls.Conn
	under *calm
}

// Close says goodbye if the peer takes it at once, and closes.
func (s *session) Close() error {
	s.under.closing.Store(true)
	return s.Conn.Close()
}

// calm is the connection below a session.
type calm struct {
	net.Conn
	fd      syscall.RawConn // nil: not a plain socket
	heard   *atomic.Bool    // told of the first byte
	closing atomic.Bool     // nothing may be waited for any more
}

// Read implements net.Conn.
func (c *calm) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	return n, err
}

// Write implements net.Conn.
func (c *calm) Write(p []byte) (int, error) {
	if !c.closing.Load() {
		return c.Conn.Write(p)
	}
	if c.fd == nil {
		return 0, net.ErrClosed
	}
	n, err := tryWrite(c.fd, p)
	if err == nil && n < len(p) {
		err = net.ErrClosed
	}
	return n, err
}
