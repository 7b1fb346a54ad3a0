//go:build linux

package rungs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

// Machine is a process outside, mostly a kernel in one: what it prints is read
// line by line, and it is killed, with all that it started, when its time is
// over. Its methods are safe for concurrent use.
type Machine struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{}
	show  bool
	when  string // see When
	do    func()

	mu    sync.Mutex
	err   error // once ended
	said  []string
	alarm func(line string) // see Alarm; nil: it is off
	lines chan string
}

// showConsole is the variable of the environment that has the consoles of all
// machines shown on standard error.
const showConsole = "HW_CONSOLE"

const (
	maxSaid  = 200             // lines that are kept for a report of what went wrong
	maxLines = 4096            // lines that may wait for a reader; more are dropped, and are in said
	killWait = 5 * time.Second // for pipes that a grandchild keeps open
)

// Start starts a process whose standard output and standard error are its
// console. It ends with ctx.
func Start(ctx context.Context, name string, argv ...string) (*Machine, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killWait
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	m := &Machine{name: name, cmd: cmd, ended: make(chan struct{}), lines: make(chan string, maxLines), show: os.Getenv(showConsole) != ""}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var reader sync.WaitGroup
	reader.Go(func() { m.read(out) })
	go func() { // ends with the process; Kill and Wait wait for it
		err := cmd.Wait()
		_ = in.Close() // an io.Pipe has no error
		reader.Wait()
		m.mu.Lock()
		m.err = err
		m.mu.Unlock()
		close(m.lines)
		close(m.ended)
	}()
	return m, nil
}

func (m *Machine) read(from io.Reader) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			if m.show {
				fmt.Fprintf(os.Stderr, "%s: %s\n", m.name, line)
			}
			m.mu.Lock()
			if m.said = append(m.said, line); len(m.said) > maxSaid {
				m.said = m.said[1:]
			}
			alarm := m.alarm
			m.mu.Unlock()
			if alarm != nil {
				alarm(line)
			}
			select {
			case m.lines <- line:
			default:
			}
		}
		if err != nil {
			return
		}
	}
}

// Lines are the lines of the console; closed when the process has ended.
func (m *Machine) Lines() <-chan string { return m.lines }

// Said is the end of the console.
func (m *Machine) Said() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.said, "\n")
}

// Alarm has do called with each line from now on that has one of the texts in it.
// It is called by the goroutine that reads the console, so it must be quick.
func (m *Machine) Alarm(do func(line string), texts ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.alarm = func(line string) {
		if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(line, text) }) {
			do(line)
		}
	}
}

// Await waits for a line that has the text in it, and answers the line. It fails
// when the process ends, or ctx.
func (m *Machine) Await(ctx context.Context, text string) (string, error) {
	for {
		select {
		case line, open := <-m.lines:
			if !open {
				return "", fmt.Errorf("%s ended without a line with %q: %s", m.name, text, tail(m.Said(), 2000))
			}
			if strings.Contains(line, text) {
				return line, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%s: no line with %q: %w: %s", m.name, text, ctx.Err(), tail(m.Said(), 2000))
		}
	}
}

// Signal sends a signal to the process itself.
func (m *Machine) Signal(s syscall.Signal) error { return m.cmd.Process.Signal(s) }

// Kill kills the process and all that it started, and waits for its end.
func (m *Machine) Kill() {
	_ = syscall.Kill(-m.cmd.Process.Pid, syscall.SIGKILL) // an error means that it has ended
	<-m.ended
}

// Wait waits for the end.
func (m *Machine) Wait(ctx context.Context) error {
	select {
	case <-m.ended:
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.err
	case <-ctx.Done():
		return fmt.Errorf("%s did not end: %w", m.name, ctx.Err())
	}
}

// When has do called by Follow when a line has the text in it.
func (m *Machine) When(text string, do func()) { m.when, m.do = text, do }

// Follow reads the report of a program inside into r until its last line. What
// it printed is in the error where that does not come, or tells of another
// number of failures than came.
func (m *Machine) Follow(ctx context.Context, r *proof.Sheet) error {
	fails := 0
	for {
		line, err := m.next(ctx)
		if err != nil {
			return err
		}
		if m.when != "" && strings.Contains(line, m.when) {
			m.do()
		}
		if l, ok := proof.ParseLine(line); ok {
			r.Add(l)
			if !l.OK {
				fails++
			}
			continue
		}
		if n, ok := proof.ParseResult(line); ok {
			if n != fails {
				return fmt.Errorf("%s counted %d failures, %d came", m.name, n, fails)
			}
			return nil
		}
	}
}

func (m *Machine) next(ctx context.Context) (string, error) {
	select {
	case line, open := <-m.lines:
		if open {
			return line, nil
		}
		return "", fmt.Errorf("%s ended early: %s", m.name, tail(m.Said(), 3000))
	case <-ctx.Done():
		err := ctx.Err()
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("its time is over")
		}
		return "", fmt.Errorf("%s: %w: %s", m.name, err, tail(m.Said(), 3000))
	}
}
