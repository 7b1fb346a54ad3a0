package transport

import "net"

// Now is what [Socket.WriteNow] works with. It may be used again and again, for
// any socket, by one goroutine at a time. The zero value is ready.
type Now struct {
	p    []byte
	n    int
	err  error
	once func(fd uintptr) bool
}

// Instant says whether [Socket.WriteNow] works: on a plain TCP connection of an
// operating system that we know how to ask.
func (s *Socket) Instant() bool { return s.fd != nil }

// WriteNow writes as much of p as the kernel takes at once, which may be nothing,
// and never waits. A write deadline that has passed makes it fail.
func (s *Socket) WriteNow(w *Now, p []byte) (int, error) {
	if w.once == nil {
		w.once = w.write
	}
	w.p = p
	err := s.fd.Write(w.once)
	w.p = nil
	if err != nil {
		return 0, err
	}
	return w.n, w.err
}

// direct gives c's descriptor, nil when what is written to c is not what goes
// over the wire.
func direct(c net.Conn) descriptor {
	tcp, ok := plain(c)
	if !ok || !instant {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// descriptor is the part of syscall.RawConn that is used.
type descriptor interface {
	Write(f func(fd uintptr) (done bool)) error
}
