package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is a process outside; the lines of its standard output are kept.
type program struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *journal[string]
	errs  *journal[string]
	ended chan struct{}
	err   error // once ended
}

// run starts a program that lives until the test ends, or until it ends itself.
func run(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, name: filepath.Base(name), cmd: exec.Command(name, args...), out: newJournal[string](), errs: newJournal[string](), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "TACET_CONFIG=", "TACET_URL=", "TACET_DATA=")
	p.cmd.WaitDelay = 5 * time.Second // for pipes that a grandchild keeps open
	stdout, err1 := p.cmd.StdoutPipe()
	stderr, err2 := p.cmd.StderrPipe()
	stdin, err3 := p.cmd.StdinPipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pipes sync.WaitGroup
	pipes.Go(func() { keep(stdout, p.out) })
	pipes.Go(func() { keep(stderr, p.errs) })
	go func() { // ends with the process; the clean-up waits for it
		pipes.Wait()
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // an error means that it has ended
		<-p.ended
		if t.Failed() {
			t.Logf("%s %s\nsaid %s\nand complained %s", p.name, strings.Join(args, " "), brief(p.out.since(0)), brief(p.errs.since(0)))
		}
	})
	return p
}

func keep(from io.Reader, to *journal[string]) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		to.add(lines.Text())
	}
	to.end()
}

// line waits for a line that fits.
func (p *program) line(mark int, what string, fits func(string) bool) (string, int) {
	p.t.Helper()
	return p.out.await(p.t, mark, p.name+": "+what, fits)
}

// wait waits for the end and answers the exit code.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("%s did not end in %s", p.name, patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: signal %s: %v", p.name, s, err)
	}
}

// script starts a script of js/ with Node. Each line that it prints is a JSON
// object.
func script(t *testing.T, name string, args ...string) *program {
	t.Helper()
	node := tool(t, "node", "nodejs")
	if _, err := os.Stat("node_modules/@microsoft/signalr/package.json"); err != nil {
		t.Fatalf("the npm packages of cmd/internal/e2e are missing: run npm ci there (make test does)")
	}
	return run(t, node, append([]string{filepath.Join("js", name)}, args...)...)
}

// say sends a script one JSON line.
func (p *program) say(v any) {
	p.t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		_, err = p.stdin.Write(append(b, '\n'))
	}
	if err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// heard waits for a JSON line that fits and reads it.
func heard[T any](p *program, mark int, what string, fits func(T) bool) (v T, after int) {
	p.t.Helper()
	_, after = p.line(mark, what, func(s string) bool {
		var got T
		if json.Unmarshal([]byte(s), &got) != nil || !fits(got) {
			return false
		}
		v = got
		return true
	})
	return v, after
}
