package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/redis/rueidis"
)

// Program is the server that is run where none is named.
const Program = "redis-server"

// patience bounds how long a server may take to be ready.
const patience = time.Minute

// Server is one process. Its methods are for one goroutine at a time.
type Server struct {
	Dir     string // a socket's path has at most 107 bytes, so it is not the test's
	Port    int    // on 127.0.0.1
	program string
	args    []string
	seats   seats
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has
}

// Start runs a server that keeps nothing on disk, with more arguments where there are
// some, and waits until it answers. No program is [Program].
func Start(program string, args ...string) (*Server, error) {
	if program == "" {
		program = Program
	}
	dir, err := os.MkdirTemp("", "tacet-redis-")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, program: program, args: args}
	if s.Port, err = s.seats.take(); err == nil {
		err = s.Start()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Start runs a server again that was killed, at its old place.
func (s *Server) Start() error {
	_ = os.Remove(s.Socket())
	s.cmd = exec.Command(s.program, append([]string{"--bind", "127.0.0.1", "--port", strconv.Itoa(s.Port), "--unixsocket", s.Socket(),
		"--save", "", "--appendonly", "no", "--dir", s.Dir, "--logfile", filepath.Join(s.Dir, "log")}, s.args...)...)
	return s.run()
}

// run starts the command and waits until it answers.
func (s *Server) run() error {
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.program, err)
	}
	cmd, ended := s.cmd, make(chan struct{})
	s.ended = ended
	go func() { _ = cmd.Wait(); close(ended) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		if s.Info("server", "process_id") == strconv.Itoa(s.Pid()) {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s has ended: %s", s.program, s.Log())
		case <-late:
			_ = cmd.Process.Kill()
			return fmt.Errorf("%s does not answer: %s", s.program, s.Log())
		case <-tick.C:
		}
	}
}

// Log is the end of what the server has written to its log.
func (s *Server) Log() string {
	b, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return string(b[max(0, len(b)-500):])
}

// Socket is the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.Dir, "s") }

// Addr is the server's host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// URL names the server by its socket.
func (s *Server) URL() string { return "unix://" + s.Socket() }

// TCP names the server by its port.
func (s *Server) TCP() string { return "redis://" + s.Addr() }

// Pid is that of the process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Kill ends the process at once, as kill -9 does, and returns when it has ended.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// Signal sends a signal to the process.
func (s *Server) Signal(sig syscall.Signal) error { return s.cmd.Process.Signal(sig) }

// Close ends the process and removes what it kept.
func (s *Server) Close() {
	if s.ended != nil {
		s.Kill()
	}
	s.seats.leave()
	_ = os.RemoveAll(s.Dir)
}

// Do runs a command and gives its answer as text.
func (s *Server) Do(command ...string) (string, error) {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr()}, ForceSingleClient: true, DisableCache: true, AlwaysRESP2: true,
		DisableRetry: true, Dialer: net.Dialer{Timeout: patience}, ConnWriteTimeout: patience, ClientName: "redistest", ClientSetInfo: rueidis.DisableClientSetInfo})
	if err != nil {
		return "", err
	}
	defer c.Close()
	m, err := c.Do(context.Background(), c.B().Arbitrary(command...).Build()).ToMessage()
	if err != nil {
		if rueidis.IsRedisNil(err) {
			return "", nil
		}
		return "", fmt.Errorf("%s: %w", command[0], err)
	}
	return textOf(m)
}

// textOf is an answer of one line, or the lines of a list.
func textOf(m rueidis.RedisMessage) (string, error) {
	if m.IsInt64() {
		n, err := m.AsInt64()
		return strconv.FormatInt(n, 10), err
	}
	if !m.IsArray() {
		return m.ToString()
	}
	list, err := m.ToArray()
	text := ""
	for _, x := range list {
		line, more := textOf(x)
		text, err = text+line+"\n", errors.Join(err, more)
	}
	return text, err
}
