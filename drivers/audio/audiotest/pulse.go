package audiotest

import (
	"bytes"
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

// Rate is the samples a second of recordings.
const Rate = 48000

// A sink that renders anew what it had rendered ahead cannot take that back from
// who records it: his recording loses the first 20 ms.
const config = `load-module module-null-sink sink_name=speaker rate=48000 norewinds=1
load-module module-null-sink sink_name=other rate=48000 norewinds=1
load-module module-native-protocol-unix socket=SOCKET auth-anonymous=1
set-default-sink speaker
`

// Server is a PulseAudio server with the sinks "speaker", its default, and
// "other".
type Server struct {
	Socket string // path

	dir string
	cmd *exec.Cmd
	out bytes.Buffer
}

// Pulse starts a server, and sets PULSE_SERVER to it for the time of the test. It
// needs Debian's packages pulseaudio and pulseaudio-utils.
func Pulse(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "pulse") // short: the name of a socket has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{Socket: filepath.Join(dir, "native"), dir: dir}
	t.Setenv("PULSE_SERVER", "unix:"+s.Socket)
	t.Setenv("PULSE_COOKIE", filepath.Join(dir, "none"))
	s.Start(t)
	t.Cleanup(s.Kill)
	return s
}

// Start starts the server, again after Kill, and waits until it listens.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	conf := filepath.Join(s.dir, "pa.pa")
	if err := os.WriteFile(conf, []byte(strings.ReplaceAll(config, "SOCKET", s.Socket)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command("pulseaudio", "-n", "-F", conf, "--exit-idle-time=-1", "--daemonize=no", "--use-pid-file=no", "--disable-shm=yes", "--realtime=no", "--high-priority=no")
	s.cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+s.dir, "HOME="+s.dir)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("%v (packages pulseaudio and pulseaudio-utils)", err)
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", s.Socket)
		if err == nil {
			conn.Close()
			return
		}
		if time.Since(began) > time.Minute {
			s.Kill()
			t.Fatalf("pulseaudio does not listen: %s", s.out.String())
		}
	}
}

// Kill ends the server at once.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // "signal: killed"
		s.cmd = nil
		_ = os.Remove(s.Socket)
	}
}

// Recording is what a sink plays, as it plays it.
type Recording struct {
	t   testing.TB
	cmd *exec.Cmd

	mu    sync.Mutex
	bytes []byte
	came  []arrival
	first chan struct{} // closed with the first byte
}

// arrival is when so many bytes had come.
type arrival struct {
	bytes int
	at    time.Time
}

// Record begins to record what the sink plays, silence included: when it returns
// the recording runs.
func (s *Server) Record(t testing.TB, sink string) *Recording {
	t.Helper()
	r := &Recording{t: t, first: make(chan struct{})}
	r.cmd = exec.Command("parec", "--raw", "-d", sink+".monitor", "--rate=48000", "--channels=1", "--format=s16le", "--latency-msec=20")
	r.cmd.Stdout = r
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("%v (package pulseaudio-utils)", err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() })
	select {
	case <-r.first:
	case <-time.After(time.Minute):
		t.Fatal("parec records nothing")
	}
	return r
}

// Write takes what the program has recorded.
func (r *Recording) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.bytes) == 0 && len(b) > 0 {
		close(r.first)
	}
	r.bytes = append(r.bytes, b...)
	r.came = append(r.came, arrival{len(r.bytes), time.Now()})
	return len(b), nil
}

// Samples is what was recorded so far.
func (r *Recording) Samples() []int16 {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := make([]int16, len(r.bytes)/2)
	for i := range s {
		s[i] = int16(binary.LittleEndian.Uint16(r.bytes[2*i:]))
	}
	return s
}

// Arrived is when a sample that was recorded had come: a little later than it
// sounded.
func (r *Recording) Arrived(sample int) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := sort.Search(len(r.came), func(i int) bool { return r.came[i].bytes >= 2*sample+2 })
	return r.came[i].at
}

// Wait waits until what was recorded fits, at most a minute, and answers it.
func (r *Recording) Wait(what string, fits func([]int16) bool) []int16 {
	r.t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		s := r.Samples()
		if fits(s) {
			return s
		}
		if time.Since(began) > time.Minute {
			r.t.Fatalf("the recording has no %s", what)
		}
	}
}

// Until waits until silence has followed the last sound for as long as given, and
// answers everything that was recorded.
func (r *Recording) Until(silence time.Duration) []int16 {
	r.t.Helper()
	return r.Wait("end", func(s []int16) bool {
		spans := Spans(s, Rate)
		return len(spans) > 0 && len(s)-spans[len(spans)-1].End >= int(silence.Seconds()*Rate)
	})
}

// First waits for sound at or after a sample, and answers where it is.
func (r *Recording) First(from int) (at int) {
	r.t.Helper()
	r.Wait("sound", func(s []int16) bool {
		at = slices.IndexFunc(s[from:], func(v int16) bool { return v >= Heard || v <= -Heard })
		return at >= 0
	})
	return from + at
}
