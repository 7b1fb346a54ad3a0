//go:build linux

package rungs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/scope"
)

// Control is where guests call: each makes one connection on which it is told
// what to do, and one on which it sends what its sound card and its pins do. It
// listens on loopback. Its methods are safe for concurrent use.
type Control struct {
	listener net.Listener
	work     sync.WaitGroup

	mu     sync.Mutex
	guests map[string]*Puppet
	came   chan struct{} // closed and made again when a connection came
}

// Puppet is a device in a guest. Its methods are safe for concurrent use, but
// for Do, of which one may be under way.
type Puppet struct {
	name string

	mu       sync.Mutex
	commands net.Conn
	answers  *bufio.Reader
	scope    net.Conn
	trace    scope.Trace
	began    time.Time // on our clock, of the first sample
	err      error     // why the recording has ended
	more     chan struct{}
}

// Listen starts to listen; the Control must be closed.
func Listen() (*Control, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &Control{listener: l, guests: map[string]*Puppet{}, came: make(chan struct{})}
	c.work.Go(c.accept)
	return c, nil
}

// Addr is the address as a guest sees it: 10.0.2.2 is the loopback of the host.
func (c *Control) Addr() string {
	return fmt.Sprintf("10.0.2.2:%d", c.listener.Addr().(*net.TCPAddr).Port)
}

// Close ends all connections and waits for what reads them.
func (c *Control) Close() {
	_ = c.listener.Close() // there is nothing to lose
	c.mu.Lock()
	for _, p := range c.guests {
		p.close()
	}
	c.mu.Unlock()
	c.work.Wait()
}

func (c *Control) accept() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return // closed
		}
		c.work.Go(func() { c.greet(conn) })
	}
}

// greet reads what a connection is: "control NAME" or "scope NAME".
func (c *Control) greet(conn net.Conn) {
	r := bufio.NewReader(conn)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // a socket that cannot is closed
	line, err := r.ReadString('\n')
	_ = conn.SetReadDeadline(time.Time{})
	what, name, ok := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || !ok {
		_ = conn.Close() // nobody of ours
		return
	}
	p := c.guest(name)
	switch what {
	case "control":
		p.mu.Lock()
		p.commands, p.answers = conn, r
		p.mu.Unlock()
		c.tell()
	case "scope":
		p.mu.Lock()
		p.scope = conn
		p.mu.Unlock()
		c.tell()
		p.record(r)
	default:
		_ = conn.Close()
	}
}

func (c *Control) guest(name string) *Puppet {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.guests[name]
	if p == nil {
		p = &Puppet{name: name, more: make(chan struct{})}
		c.guests[name] = p
	}
	return p
}

func (c *Control) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.came)
	c.came = make(chan struct{})
}

// Await waits until a guest has called on both lines.
func (c *Control) Await(ctx context.Context, name string) (*Puppet, error) {
	p := c.guest(name)
	for {
		c.mu.Lock()
		came := c.came
		c.mu.Unlock()
		p.mu.Lock()
		there := p.commands != nil && p.scope != nil
		p.mu.Unlock()
		if there {
			return p, nil
		}
		select {
		case <-came:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s has not called: %w", name, ctx.Err())
		}
	}
}

// Do has the guest do something and answers what it says of it. It blocks until
// then, or ctx ends.
func (p *Puppet) Do(ctx context.Context, command string) (string, error) {
	p.mu.Lock()
	conn, answers := p.commands, p.answers
	p.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return "", fmt.Errorf("%s: %s: %w", p.name, command, err)
	}
	line, err := answers.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w", p.name, command, errors.Join(ctx.Err(), err))
	}
	word, detail, _ := strings.Cut(strings.TrimSpace(line), " ")
	if word != "ok" {
		return "", fmt.Errorf("%s: %s: %s", p.name, command, detail)
	}
	return detail, nil
}

// record keeps what the guest sends.
func (p *Puppet) record(from io.Reader) {
	for {
		b, err := scope.Decode(from)
		p.mu.Lock()
		if err != nil {
			p.err = err
		} else {
			p.trace.Add(b)
			// The block that was under way for the shortest time knows best when the
			// recording began.
			if began := time.Now().Add(-p.trace.Duration()); p.began.IsZero() || began.Before(p.began) {
				p.began = began
			}
		}
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Trace is a copy of the recording up to now, and when it began on our clock.
func (p *Puppet) Trace() (scope.Trace, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trace.Clone(), p.began
}

// Now is how much was recorded until now: what was recorded later has not
// happened yet. It waits until the recording is as far.
func (p *Puppet) Now(ctx context.Context) (time.Duration, error) {
	at := time.Now()
	var recorded time.Duration
	err := p.Until(ctx, "recording of now", func(t *scope.Trace) bool {
		recorded = at.Sub(p.began)
		return t.Duration() >= recorded
	})
	return recorded, err
}

// Until waits until the recording, which grows, is as wanted. wanted is called for
// each block and must be quick.
func (p *Puppet) Until(ctx context.Context, what string, wanted func(*scope.Trace) bool) error {
	for {
		p.mu.Lock()
		done, err, more := wanted(&p.trace), p.err, p.more
		p.mu.Unlock()
		switch {
		case done:
			return nil
		case err != nil:
			return fmt.Errorf("%s: no %s: the recording ended: %w", p.name, what, err)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("%s: no %s: %w", p.name, what, ctx.Err())
		}
	}
}

func (p *Puppet) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range []net.Conn{p.commands, p.scope} {
		if c != nil {
			_ = c.Close() // there is nothing to lose
		}
	}
}
