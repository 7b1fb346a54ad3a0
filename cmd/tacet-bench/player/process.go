package player

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that runs until it is stopped.
type process struct {
	cmd  *exec.Cmd
	said said // on standard error
}

// said is what a program has said.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write keeps more; it never fails.
func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start starts a program; ready is how the line on its standard output begins
// that says that it serves, empty where it says nothing.
func start(ctx context.Context, environ []string, ready, program string, args ...string) (*process, string, error) {
	p := &process{cmd: exec.CommandContext(ctx, program, args...)}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), environ...), &p.said
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 15 * time.Second
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, "", err
	}
	if ready == "" {
		return p, "", nil
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, ready) {
		p.stop()
		return nil, "", fmt.Errorf("%s is not ready, it says %q: %s", filepath.Base(program), line, p.said.String())
	}
	return p, line, nil
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait() // how it ends does not matter any more
}

func (p *process) proc(name string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name)
}

// field reads a number from one of its files of lines "Name: 12".
func (p *process) field(file, name string) (int64, error) { return fieldOf(p.proc(file), name) }

func fieldOf(path, name string) (int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}

// rss is the resident memory, in bytes.
func (p *process) rss() (int64, error) {
	kb, err := p.field("status", "VmRSS")
	return kb << 10, err
}

// written is what it has had written to the disk, in bytes.
func (p *process) written() (int64, error) { return p.field("io", "write_bytes") }

// files counts its descriptors.
func (p *process) files() (int, error) {
	list, err := os.ReadDir(p.proc("fd"))
	return len(list), err
}

// tick is the kernel's unit of processor time.
const tick = 10 * time.Millisecond

// busy is how much processor time it has taken.
func (p *process) busy() (time.Duration, error) {
	b, err := os.ReadFile(p.proc("stat"))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name may have spaces
	if len(fields) < 13 {
		return 0, fmt.Errorf("%q has no times", b)
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// build builds a program as it is shipped: static, without symbols and paths.
func build(ctx context.Context, pkg, out string, environ ...string) error {
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
	c.Env = append(append(os.Environ(), "CGO_ENABLED=0"), environ...)
	if said, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, said)
	}
	return nil
}

// bare is a program that does nothing.
const bare = "package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(1 << 62) }\n"

// buildBare builds it.
func buildBare(ctx context.Context, dir, out string, environ ...string) error {
	file := filepath.Join(dir, "bare.go")
	if err := os.WriteFile(file, []byte(bare), 0o600); err != nil {
		return err
	}
	return build(ctx, file, out, environ...)
}

// readByAplay is how long it takes from the start of aplay until it has read the
// first sound from a pipe.
func readByAplay(ctx context.Context, dir string) (time.Duration, error) {
	conf := filepath.Join(dir, "asound.conf")
	if err := os.WriteFile(conf, []byte("pcm.!default { type null }\n"), 0o600); err != nil {
		return 0, err
	}
	c := exec.CommandContext(ctx, "aplay", "-q", "-t", "raw", "-f", "S16_LE", "-r", "22050", "-c", "1")
	c.Env = append(os.Environ(), "ALSA_CONFIG_PATH="+conf)
	in, err := c.StdinPipe()
	if err != nil {
		return 0, err
	}
	const pipe = 64 << 10 // what it holds: the write after that returns when something was read
	began := time.Now()
	if err := c.Start(); err != nil {
		return 0, err
	}
	_, err = io.Copy(in, bytes.NewReader(make([]byte, pipe+1)))
	took := time.Since(began)
	return took, errors.Join(err, in.Close(), c.Wait())
}
