package nets

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must come. It is long since it is
// spent by failing tests alone.
const patience = 90 * time.Second

// often is how often is asked for what must come.
const often = 25 * time.Millisecond

// until asks again and again until it is so; is answers how it is, for the failure.
func until(t testing.TB, what string, is func() (so bool, now string)) {
	t.Helper()
	again := time.NewTicker(often)
	defer again.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		so, now := is()
		if so {
			return
		}
		select {
		case <-again.C:
		case <-late.C:
			t.Fatalf("%s: not in %s; it is %s", what, patience, now)
		}
	}
}

// said is what a program says; it keeps the newest MiB.
type said struct {
	mu sync.Mutex
	b  []byte
}

// Write keeps more; it never fails.
func (s *said) Write(b []byte) (int, error) {
	const most = 1 << 20
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b = append(s.b, b...)
	if over := len(s.b) - most; over > 0 {
		s.b = bytes.Clone(s.b[over:])
	}
	return len(b), nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.b)
}

// last is the end of what was said.
func (s *said) last(lines int) string {
	all := strings.SplitAfter(s.String(), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}

// process is a program on a host.
type process struct {
	t         *testing.T
	cmd       *exec.Cmd
	out, errs said
	ended     chan struct{}
}

// run starts a program on the host, which lives until the test ends at most.
func (h *host) run(name string, args ...string) *process {
	h.t.Helper()
	p := &process{t: h.t, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "TACET_CONFIG=", "TACET_URL=", "TACET_DATA=")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errs
	if err := h.within(p.cmd.Start); err != nil {
		h.t.Fatalf("%s: %v", name, err)
	}
	go func() { // ends with the process; the clean-up waits for it
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	h.t.Cleanup(func() {
		p.kill()
		if h.t.Failed() {
			h.t.Logf("%s on %s said\n%s", filepath.Base(name), h.name, p.errs.last(60))
		}
	})
	return p
}

// ready waits for the line that says that the program serves.
func (p *process) ready() {
	p.t.Helper()
	until(p.t, filepath.Base(p.cmd.Path)+" is ready", func() (bool, string) {
		select {
		case <-p.ended:
			p.t.Fatalf("it ended: %s", p.errs.last(20))
		default:
		}
		return strings.HasPrefix(p.out.String(), "ready "), p.errs.last(20)
	})
}

// signal sends a signal, if the program still lives.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// kill ends the program at once and waits for that.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}
