package main

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// children reaps: PID 1 gets the processes that others leave behind, beside its
// own.
type children struct {
	mu   sync.Mutex
	ours map[int]chan<- unix.WaitStatus // by pid
}

func newChildren() *children { return &children{ours: map[int]chan<- unix.WaitStatus{}} }

// start starts a program, and answers where its end will be told.
func (c *children) start(path string, args, env []string) (*os.Process, <-chan unix.WaitStatus, error) {
	c.mu.Lock() // before the program can end and be reaped
	defer c.mu.Unlock()
	p, err := os.StartProcess(path, args, &os.ProcAttr{Dir: "/", Env: env, Files: []*os.File{nil, os.Stdout, os.Stderr}, Sys: &unix.SysProcAttr{Setsid: true}})
	if err != nil {
		return nil, nil, err
	}
	ended := make(chan unix.WaitStatus, 1)
	c.ours[p.Pid] = ended
	return p, ended, nil
}

// run reaps for ever.
func (c *children) run() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			time.Sleep(100 * time.Millisecond) // there is none
		case err == nil && (status.Exited() || status.Signaled()):
			c.reaped(pid, status)
		}
	}
}

func (c *children) reaped(pid int, status unix.WaitStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ended, ok := c.ours[pid]; ok {
		ended <- status
		delete(c.ours, pid)
	}
}
