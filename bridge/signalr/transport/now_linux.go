package transport

import (
	"syscall"
	"unsafe"
)

const instant = true

// write is one system call that cannot block, because the descriptor does not:
// the scheduler need not know of it. It reports true whatever came of it, so
// that nobody waits until the descriptor can be written to.
func (w *Now) write(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(w.p))), uintptr(len(w.p)))
		switch errno {
		case 0:
			w.n, w.err = int(n), nil
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			w.n, w.err = 0, nil
		default:
			w.n, w.err = 0, errno
		}
		return true
	}
}

// read is write for the other direction; false waits until there is something to
// read.
func (q *quick) read(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(q.p))), uintptr(len(q.p)))
		switch errno {
		case 0:
			q.n, q.err = int(n), nil
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		default:
			q.n, q.err = 0, errno
		}
		return true
	}
}
