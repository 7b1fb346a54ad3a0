//go:build unix

package broker

import (
	"net"
	"syscall"
)

// rawConn gives the descriptor of a plain socket, nil of anything else: what
// encrypts or frames its bytes must not be written past.
func rawConn(c net.Conn) syscall.RawConn {
	var s syscall.Conn
	switch c := c.(type) {
	case *net.TCPConn:
		s = c
	case *net.UnixConn:
		s = c
	default:
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// tryWrite writes as much of p as the kernel takes without waiting.
func tryWrite(fd syscall.RawConn, p []byte) (n int, err error) {
	werr := fd.Write(func(s uintptr) bool {
		for {
			n, err = syscall.Write(int(s), p)
			if err != syscall.EINTR {
				return true // also when it would block: the flusher waits, not we
			}
		}
	})
	if werr != nil {
		return 0, werr
	}
	if err == syscall.EAGAIN {
		return 0, nil
	}
	return max(n, 0), err
}

// unread tells whether bytes wait in the kernel. It goes past the lock that a
// Read holds while it waits.
func unread(fd syscall.RawConn) (some bool) {
	_ = fd.Control(func(s uintptr) { // fails where it is closed
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(s), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		some = err == nil && n > 0
	})
	return some
}
