package office

import (
	"os/exec"
	"syscall"
)

// bind has the kernel end the program with the thread that starts it.
func bind(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
