//go:build unix

package broker

import (
	"io"
	"os"
	"syscall"
)

// readerBytes is the library's own buffer for each connection; it must hold a
// packet's fixed header.
const readerBytes = 64

// fill waits until something has come, and takes a buffer only then.
func (in *input) fill() (err error) {
	werr := in.fd.Read(func(s uintptr) bool {
		in.buf = in.pool.get()
		var n int
		for {
			if n, err = syscall.Read(int(s), in.buf[:]); err != syscall.EINTR {
				break
			}
		}
		switch {
		case n > 0:
			in.rest, err = in.buf[:n], nil
			return true
		case n == 0 && err == nil:
			err = io.EOF
		case err == syscall.EAGAIN:
			in.free()
			return false // wait
		default:
			err = os.NewSyscallError("read", err)
		}
		in.free()
		return true
	})
	if werr != nil {
		return werr
	}
	return err
}
