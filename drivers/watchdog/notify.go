package watchdog

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Notifier tells systemd how the program is. Nil is one that nobody listens to:
// its methods do nothing. They are safe for concurrent use and do not block.
type Notifier struct {
	conn  *net.UnixConn
	every time.Duration

	mu     sync.Mutex
	status string // as last said
}

// Systemd finds systemd by the environment, which getenv reads as os.Getenv
// does. It answers nil where the program was not started by it as a service of
// Type=notify.
func Systemd(getenv func(string) string) (*Notifier, error) {
	path := getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil, nil
	}
	if path[0] != '/' && path[0] != '@' { // vsock and others of the newest systemd
		return nil, fmt.Errorf("NOTIFY_SOCKET %q is no Unix socket", path)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	n := &Notifier{conn: conn}
	if pid := getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		us, _ := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64) // none: it is not watched
		n.every = time.Duration(max(us, 0)) * time.Microsecond
	}
	return n, nil
}

// Timeout is how long systemd waits for [Notifier.Feed] before it kills the
// program; 0: it does not watch.
func (n *Notifier) Timeout() time.Duration {
	if n == nil {
		return 0
	}
	return n.every
}

// Ready says that the program is up.
func (n *Notifier) Ready() error { return n.say("READY=1") }

// Stopping says that the program is about to end in order.
func (n *Notifier) Stopping() error { return n.say("STOPPING=1") }

// Feed says that all is well. It does nothing where systemd does not watch.
func (n *Notifier) Feed() error {
	if n.Timeout() == 0 {
		return nil
	}
	return n.say("WATCHDOG=1")
}

// Status says in a line what the program does, for systemctl status; what was
// said last is not said again.
func (n *Notifier) Status(text string) error {
	if n == nil {
		return nil
	}
	text = strings.ReplaceAll(text, "\n", "; ")
	n.mu.Lock()
	same := n.status == text
	n.status = text
	n.mu.Unlock()
	if same {
		return nil
	}
	return n.say("STATUS=" + text)
}

// Close ends the conversation; the program is not stopped by it.
func (n *Notifier) Close() error {
	if n == nil {
		return nil
	}
	return n.conn.Close()
}

func (n *Notifier) say(line string) error {
	if n == nil {
		return nil
	}
	_, err := n.conn.Write([]byte(line))
	return err
}
