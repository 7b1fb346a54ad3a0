package audio

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jfreymuth/pulse/proto"
)

const (
	dialTime  = 500 * time.Millisecond // for a server on this machine
	replyTime = time.Second            // for each of its answers
)

// pulseLink is a connection to a sound server, with what it says about our one
// stream. The library's goroutine that reads it ends when it is closed.
type pulseLink struct {
	c     *proto.Client
	conn  net.Conn
	where string

	credit atomic.Int64  // bytes that the server has asked for
	asked  chan struct{} // it has said something

	mu   sync.Mutex
	lost error
	ran  []int64 // bytes after which it ran out, since somebody asked
}

// dialPulse connects to the first server that answers.
func dialPulse() (*pulseLink, error) {
	var faults []error
	for _, at := range pulseServers() {
		l, err := dialPulseAt(at)
		if err == nil {
			return l, nil
		}
		faults = append(faults, err)
	}
	if len(faults) == 0 {
		return nil, errors.New("there is no server: neither PULSE_SERVER nor XDG_RUNTIME_DIR is set")
	}
	return nil, errors.Join(faults...)
}

// pulseServers lists where servers may listen: paths, or tcp:HOST:PORT.
func pulseServers() []string {
	if s := os.Getenv("PULSE_SERVER"); s != "" {
		var list []string
		for _, f := range strings.Fields(s) {
			if i := strings.IndexByte(f, '}'); f[0] == '{' && i > 0 { // {HOST}, which has to be us
				f = f[i+1:]
			}
			list = append(list, strings.TrimPrefix(f, "unix:"))
		}
		return list
	}
	var list []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		list = append(list, filepath.Join(dir, "pulse/native"))
	}
	list = append(list, "/run/pulse/native")              // one for the whole machine
	users, _ := filepath.Glob("/run/user/*/pulse/native") // of who is logged in, if we may
	return append(list, users...)
}

func dialPulseAt(at string) (*pulseLink, error) {
	network, address := "unix", at
	if tcp, ok := strings.CutPrefix(at, "tcp:"); ok {
		network, address = "tcp", tcp
	}
	conn, err := net.DialTimeout(network, address, dialTime)
	if err != nil {
		return nil, err
	}
	l := &pulseLink{c: &proto.Client{}, where: at, asked: make(chan struct{}, 1)}
	l.conn = &bounded{Conn: conn}
	l.c.SetTimeout(replyTime)
	l.c.Callback = l.hear
	l.c.Open(l.conn)
	if err := l.greet(); err != nil {
		l.close()
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return l, nil
}

func (l *pulseLink) greet() error {
	cookie, err := pulseCookie()
	if err != nil {
		return err
	}
	var auth proto.AuthReply
	if err := l.c.Request(&proto.Auth{Version: l.c.Version(), Cookie: cookie}, &auth); err != nil {
		return err
	}
	l.c.SetVersion(auth.Version)
	name := proto.PropList{"application.name": proto.PropListString(program())}
	return l.c.Request(&proto.SetClientName{Props: name}, &proto.SetClientNameReply{})
}

// pulseCookie is the secret of the user; a server that knows him by his socket,
// or lets everybody in, takes any.
func pulseCookie() ([]byte, error) {
	path := os.Getenv("PULSE_COOKIE")
	if path == "" {
		path = filepath.Join(os.Getenv("HOME"), ".config/pulse/cookie")
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return make([]byte, 256), nil
	}
	return b, err
}

// hear is called by the library's goroutine; it only notes.
func (l *pulseLink) hear(m any) {
	switch m := m.(type) {
	case *proto.Request:
		l.credit.Add(int64(m.Length))
	case *proto.Underflow:
		l.ranOut(m.Offset)
	case *proto.PlaybackStreamKilled:
		l.lose(errors.New("the server has ended the stream: its sink is gone"))
	case *proto.ConnectionClosed:
		l.lose(errors.New("the server is gone"))
	}
	select {
	case l.asked <- struct{}{}:
	default: // the reader has not looked yet
	}
}

func (l *pulseLink) lose(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		l.lost = fmt.Errorf("%s: %w", l.where, err)
	}
}

// mostRan bounds what is kept of a server that runs out and is given nothing.
const mostRan = 100

func (l *pulseLink) ranOut(at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ran) < mostRan {
		l.ran = append(l.ran, at)
	}
}

// gaps counts, once each, how often the server has run out before it had been
// sent so many bytes: what it says of the end of a sound is none.
func (l *pulseLink) gaps(sent int64) (n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ran = slices.DeleteFunc(l.ran, func(at int64) bool {
		if at < sent {
			n++
		}
		return at < sent
	})
	return n
}

// err is why the connection can be used no more.
func (l *pulseLink) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// wait blocks until the server has said something, or for at most d.
func (l *pulseLink) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-l.asked:
	case <-t.C:
	}
}

func (l *pulseLink) close() { _ = l.conn.Close() } // nothing is owed to it

// bounded is a connection on which no write blocks for long. The library does
// not look at errors of writing: one ends the connection.
type bounded struct{ net.Conn }

func (b *bounded) Write(p []byte) (int, error) {
	if err := b.SetWriteDeadline(time.Now().Add(replyTime)); err != nil {
		return 0, err
	}
	n, err := b.Conn.Write(p)
	if err != nil {
		_ = b.Close()
	}
	return n, err
}
