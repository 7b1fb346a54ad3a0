package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// A child that has ended mostQuick times, each within quick of its start, is given up.
const (
	quick     = 2 * time.Second
	mostQuick = 5
)

// endTime is how long a child may take to end when it is asked to; a hub drains for
// at most 10 s.
const endTime = 12 * time.Second

// child is a program that is started again whenever it ends.
type child struct {
	name, program string
	args          []string
	pause         time.Duration // before it is started again
	log           string        // file that gets what it says
	said          *lines
	must          bool // it has to answer once before it is started again

	up  atomic.Bool  // it has answered
	pid atomic.Int64 // of the process that runs; 0: none has yet
}

// run keeps the program up until ctx ends; it then ends in order. Its error says that
// the program does not stay.
func (c *child) run(ctx context.Context) error {
	file, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	for short, again := 0, false; ; again = true {
		began := time.Now()
		err := c.once(ctx, file, again)
		if ctx.Err() != nil {
			return nil
		}
		if c.must && !c.up.Load() {
			return fmt.Errorf("demo: %s does not start (%w): %s; see %s", c.name, err, lastLine(c.log), c.log)
		}
		if short++; time.Since(began) > quick {
			short = 0
		}
		if short == mostQuick {
			return fmt.Errorf("demo: %s ends as soon as it has begun (%w): %s; see %s", c.name, err, lastLine(c.log), c.log)
		}
		c.said.print(fmt.Sprintf("%s has ended (%v) and is started again in %s\n", c.name, err, c.pause))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(c.pause):
		}
	}
}

// lastLine is what a log ends with: why the program has ended.
func lastLine(log string) string {
	b, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	list := strings.Split(strings.TrimSpace(string(b)), "\n")
	return list[len(list)-1]
}

// once runs the program until it ends.
func (c *child) once(ctx context.Context, log io.Writer, again bool) error {
	cmd := exec.CommandContext(ctx, c.program, c.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TACET_") }) // the file says all
	cmd.SysProcAttr = apart()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endTime
	if err := cmd.Start(); err != nil {
		return err
	}
	c.pid.Store(int64(cmd.Process.Pid))
	if again {
		c.said.print(fmt.Sprintf("%s is process %d now\n", c.name, cmd.Process.Pid))
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	return errors.New("without an error")
}

// crew is programs that are started and ended together.
type crew struct {
	group errgroup.Group
	stop  context.CancelFunc
}

// newCrew keeps the programs up until end. bad is called when one does not stay.
func newCrew(ctx context.Context, bad func(), list ...*child) *crew {
	ctx, stop := context.WithCancel(ctx)
	c := &crew{stop: stop}
	for _, one := range list {
		c.group.Go(func() error {
			err := one.run(ctx)
			if err != nil {
				bad()
			}
			return err
		})
	}
	return c
}

// end ends the programs and waits for them.
func (c *crew) end() error {
	c.stop()
	return c.group.Wait()
}

// lines is an output that several write to.
type lines struct {
	mu sync.Mutex
	to io.Writer
}

func (l *lines) print(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.to, s) // nobody reads it any more
}

// lookPath finds a program, which may be where no path leads.
func lookPath(name, elsewhere string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath(elsewhere)
}
