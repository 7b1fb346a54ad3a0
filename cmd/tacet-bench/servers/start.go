package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

// Spec says what to start.
type Spec struct {
	Kind    Kind
	Dir     string   // of what the server keeps, and of its configuration; it must exist
	Program string   // of the hub: what [Build] has built
	Fast    bool     // of the hub: one client may send as much as it likes
	Wrap    []string // a command that starts the server, such as strace and its arguments; none: it is started as it is
	Files   int      // most descriptors that it may have; 0: as many as this process
	Log     io.Writer
}

// Process is a running server.
type Process struct {
	Spec
	MQTT  string        // host:port of the broker
	Web   string        // of a hub: host:port of the web listener
	Admin string        // of a hub: host:port of the admin listener
	Ready time.Duration // from its start until it had accepted a client

	cmd  *exec.Cmd
	in   io.WriteCloser
	once sync.Once
	done chan struct{}
	err  error // once done
}

// patience is how long a server may take to start. Machines are busy.
const patience = time.Minute

// Start starts a server and waits until it has accepted a client. It is killed
// when ctx ends. Stop or Kill must be called.
func Start(ctx context.Context, s Spec) (p *Process, err error) {
	for range 3 { // somebody may take the port that was chosen for Mosquitto, which cannot choose one
		if p, err = start(ctx, s); err == nil || !s.Kind.mosquitto() || ctx.Err() != nil {
			break
		}
	}
	return p, err
}

func start(ctx context.Context, s Spec) (*Process, error) {
	p, err := launch(ctx, s)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	c, err := p.knock(ctx)
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("start %s: %w", s.Kind, err)
	}
	p.Ready += time.Since(begin)
	_ = c.Close()
	return p, nil
}

// StartAndKill starts a server and kills it after so long, ready or not.
func StartAndKill(ctx context.Context, s Spec, after time.Duration) error {
	cmd, err := command(ctx, s, freePort())
	if err != nil {
		return err
	}
	in, err := cmd.StdinPipe() // a server that is a library ends with its input
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(after):
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	_ = in.Close()
	return ctx.Err()
}

// launch starts the process and learns where it listens.
func launch(ctx context.Context, s Spec) (*Process, error) {
	port := freePort()
	cmd, err := command(ctx, s, port)
	if err != nil {
		return nil, err
	}
	p := &Process{Spec: s, cmd: cmd, done: make(chan struct{})}
	p.MQTT = "127.0.0.1:" + port
	out, err1 := cmd.StdoutPipe()
	in, err2 := cmd.StdinPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	p.in = in
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Kind, err)
	}
	said := make(chan string, 1)
	go func() { // ends with the process; Stop and Kill wait for it
		lines := bufio.NewScanner(out)
		for first := true; lines.Scan(); first = false {
			if first {
				said <- lines.Text()
			}
		}
		close(said)
		p.err = cmd.Wait()
		close(p.done)
	}()
	if s.Kind.mosquitto() { // it says nothing
		return p, nil
	}
	select {
	case line, ok := <-said:
		if !ok {
			<-p.done
			return nil, fmt.Errorf("start %s: it ended: %w", s.Kind, p.err)
		}
		p.learn(line)
	case <-time.After(patience):
		p.Kill()
		return nil, fmt.Errorf("start %s: it says nothing for %s", s.Kind, patience)
	}
	p.Ready = time.Since(begin)
	return p, nil
}

// learn reads where a server listens: an address, or a hub's ready line.
func (p *Process) learn(line string) {
	if p.Kind != Hub {
		p.MQTT = strings.TrimSpace(line)
		return
	}
	for word := range strings.FieldsSeq(line) {
		name, url, _ := strings.Cut(word, "=")
		_, addr, _ := strings.Cut(url, "://")
		switch name {
		case "http":
			p.Web = addr
		case "mqtt":
			p.MQTT = addr
		}
	}
}

// knock connects until it is let in.
func (p *Process) knock(ctx context.Context) (*wire.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c, err := wire.Dial(ctx, p.MQTT, wire.Options{ID: User + ":knock", User: User, Password: Password})
		if err == nil {
			return c, nil
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("it ended: %w", p.err)
		case <-ctx.Done():
			return nil, err
		case <-time.After(time.Millisecond):
		}
	}
}

// command is what starts the server; those that cannot choose a port get one.
func command(ctx context.Context, s Spec, port string) (*exec.Cmd, error) {
	var args []string
	switch s.Kind {
	case Mosquitto, Autosave:
		file, err := mosquittoConfig(s.Dir, port, s.Kind == Autosave)
		if err != nil {
			return nil, err
		}
		args = []string{mosquittoPath(), "-c", file}
	case Hub:
		file, err := hubConfig(s.Dir, s.Fast)
		if err != nil {
			return nil, err
		}
		args = []string{s.Program, "serve", "--config", file, "--data", s.Dir, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"}
	default:
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		args = []string{self, ServeCommand, "--kind", string(s.Kind), "--dir", s.Dir}
	}
	if s.Files > 0 {
		args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, s.Files), "sh"}, args...)
	}
	args = append(append([]string{}, s.Wrap...), args...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "TACET_CONFIG=", "TACET_URL=", "TACET_DATA=")
	cmd.Stderr = s.Log
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}

// PID is the process' number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended, for whatever reason.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends it a signal; an error means that it has ended.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the process at once, as kill -9 does, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // an error means that it has ended
	p.wait()
}

// Stop lets the process end in its own way, and kills it if that takes 10 s.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
	}
	p.wait()
}

func (p *Process) wait() {
	<-p.done
	p.once.Do(func() { _ = p.in.Close() })
}

// Build builds the hub's program into a directory, by the Go tool, from the
// module that the working directory is in.
func Build(ctx context.Context, dir string) (program string, err error) {
	program = filepath.Join(dir, "tacet")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "github.com/tacet-hub/tacet/cmd/tacet")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build tacet: %w\n%s", err, out)
	}
	return program, nil
}
