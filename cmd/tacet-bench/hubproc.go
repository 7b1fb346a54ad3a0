package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// server is a server in a process of its own.
type server struct {
	kind string
	addr string
	path string // of the hub; empty: /hub
	cmd  *exec.Cmd
	in   io.WriteCloser
}

// startServer starts one, with more arguments where there are some; in profiles, if
// there is such a directory, it leaves a CPU profile.
func startServer(ctx context.Context, kind, profiles string, more ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := append([]string{"hub-serve", "--kind", kind}, more...)
	if profiles != "" {
		args = append(args, "--profile", filepath.Join(profiles, kind+".pprof"))
	}
	s := &server{kind: kind, cmd: exec.CommandContext(ctx, self, args...)}
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("start the %s server: %w", kind, err)
	}
	s.addr = strings.TrimSpace(line)
	return s, nil
}

// stop ends the process and waits for it.
func (s *server) stop() {
	_ = s.in.Close()
	_ = s.cmd.Wait()
}

// inside asks the server.
func (s *server) inside() (inside, error) {
	var is inside
	err := s.get("/inside", func(r io.Reader) error { return json.NewDecoder(r).Decode(&is) })
	return is, err
}

// heap asks the server, and how much it has reachable.
func (s *server) heap() (inside, error) {
	var is inside
	err := s.get("/heap", func(r io.Reader) error { return json.NewDecoder(r).Decode(&is) })
	return is, err
}

// joined waits until the server has n members.
func (s *server) joined(ctx context.Context, n int) error {
	return s.await(ctx, 30*time.Second, func(is inside) bool { return is.Members == n })
}

// await asks the server until it is as wanted.
func (s *server) await(ctx context.Context, patience time.Duration, wanted func(inside) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		is, err := s.inside()
		if err != nil || wanted(is) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the %s server has %+v after %v", s.kind, is, patience)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// settle makes the server give back the memory that it does not use.
func (s *server) settle() error {
	return s.get("/settle", func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
}

func (s *server) get(path string, take func(io.Reader) error) error {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: trusting}}
	scheme := "http://"
	if isSecure(s.kind) {
		scheme = "https://"
	}
	a, err := client.Get(scheme + s.addr + path)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	return take(a.Body)
}

// cpu is how much processor time the server has taken, in seconds.
func (s *server) cpu() (float64, error) { return servers.CPU(s.cmd.Process.Pid) }

// rss is how much memory of the server is resident, in bytes.
func (s *server) rss() (int, error) { return servers.RSS(s.cmd.Process.Pid) }

// raiseFiles lets the process have as many descriptors as it may.
func raiseFiles() {
	for _, want := range []uint64{1 << 17, 1 << 16, 1 << 15} {
		limit := syscall.Rlimit{Cur: want, Max: want}
		var now syscall.Rlimit
		if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now) == nil && now.Cur >= want {
			return
		}
		if now.Max >= want {
			limit.Max = now.Max
		}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
			return
		}
	}
}
