package redistest

import (
	"os"
	"syscall"
)

// seats are ports of one server, which stay its own while it does not run: each is bound
// here and not listened at, so that nobody is given it, connections to it are refused,
// and the server may listen, which lets addresses be used again as this does.
type seats []int

// take takes one more, on loopback.
func (s *seats) take() (port int, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	*s = append(*s, fd)
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	return at.(*syscall.SockaddrInet4).Port, nil
}

// leave gives all of them up.
func (s *seats) leave() {
	for _, fd := range *s {
		_ = syscall.Close(fd)
	}
	*s = nil
}
