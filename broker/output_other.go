//go:build !unix

package broker

import (
	"net"
	"syscall"
)

// rawConn answers nil: every byte goes through the flusher.
func rawConn(net.Conn) syscall.RawConn { return nil }

func tryWrite(syscall.RawConn, []byte) (int, error) { return 0, nil }

func unread(syscall.RawConn) bool { return false }
