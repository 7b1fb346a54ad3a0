package e2e

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// seat is an address on loopback that is the test's until it ends, also while whoever is
// to listen there does not run: it is bound here and not listened at, so that nobody else
// is given its port, connections to it are refused, and a server that lets addresses be
// used again, as all do, may listen.
func seat(t *testing.T) (port int, addr string) {
	t.Helper()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(os.NewSyscallError(what, err))
		}
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must("socket", err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	must("setsockopt", syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	must("bind", syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := syscall.Getsockname(fd)
	must("getsockname", err)
	port = at.(*syscall.SockaddrInet4).Port
	return port, fmt.Sprint("127.0.0.1:", port)
}
