package demo

import "syscall"

// apart has a child die with this process, and not of the Ctrl-C that is for this
// process: it is ended in its order.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
