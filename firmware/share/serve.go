package share

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The way in: HTTP/1.1, for requests without a body. The server of net/http would be
// 0.3 MB of the device's program, which has no other use for one.

// Run answers what comes to the listener until ctx ends; it closes it, leaves
// nothing running and returns nil then. It can be called again, with
// another listener.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	var work sync.WaitGroup
	defer work.Wait()
	late, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(ctx, func() {
		_ = l.Close()                  // nobody else comes
		time.AfterFunc(closeTime, end) // what is under way is asked for again
	})()
	left := make(chan struct{}, s.cfg.Conns)
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			work.Wait()
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // such as no descriptor to be had
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		select {
		case left <- struct{}{}:
			work.Go(func() {
				defer func() { <-left }()
				s.answer(late, c)
			})
		default:
			s.count.many.Add(1)
			_ = c.Close() // it comes again
		}
	}
}

// acceptPause is how long nobody is let in after a connection could not be taken.
const acceptPause = 100 * time.Millisecond

// answer answers the requests of a connection, one after the other, and closes it.
func (s *Server) answer(ctx context.Context, c net.Conn) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	bound := &io.LimitedReader{R: c}
	in, out := bufio.NewReader(bound), bufio.NewWriter(c)
	for first := true; ; first = false {
		bound.N = mostHead
		wait := headTime
		if !first {
			wait = idleTime
		}
		if c.SetDeadline(time.Now().Add(wait)) != nil {
			return
		}
		r, err := http.ReadRequest(in)
		if err != nil || r.ContentLength != 0 {
			return // nobody who knows us says that
		}
		_ = c.SetDeadline(time.Now().Add(headTime)) // a connection has it; pieces have their own
		w := &answer{conn: c, out: out, head: http.Header{}, bare: r.Method == http.MethodHead, last: r.Close}
		s.web.ServeHTTP(w, r.WithContext(ctx))
		w.WriteHeader(http.StatusOK) // where nothing was said
		if out.Flush() != nil || w.last || w.short() {
			return
		}
	}
}

// answer is the answer to one request.
type answer struct {
	conn net.Conn
	out  *bufio.Writer
	head http.Header
	bare bool // nothing but the head is sent
	said bool // the head is
	last bool // the connection ends with it
	sent int64
}

// Header is http.ResponseWriter.
func (a *answer) Header() http.Header { return a.head }

// WriteHeader is http.ResponseWriter.
func (a *answer) WriteHeader(code int) {
	if a.said {
		return
	}
	a.said = true
	if !a.bare && a.head.Get("Content-Length") == "" { // else it is known where it ends
		a.last = true
	}
	if a.last {
		a.head.Set("Connection", "close")
	}
	fmt.Fprintf(a.out, "HTTP/1.1 %d %s\r\n", code, http.StatusText(code))
	_ = a.head.Write(a.out) // a failure stays in out
	_, _ = a.out.WriteString("\r\n")
}

// Write is http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.bare {
		return len(b), nil
	}
	n, err := a.out.Write(b)
	a.sent += int64(n)
	if err == nil {
		err = a.out.Flush()
	}
	a.last = a.last || err != nil
	return n, err
}

// short tells whether less was sent than the head says.
func (a *answer) short() bool {
	return !a.bare && a.head.Get("Content-Length") != strconv.FormatInt(a.sent, 10)
}

// SetWriteDeadline is how long the next piece may take.
func (a *answer) SetWriteDeadline(t time.Time) error { return a.conn.SetWriteDeadline(t) }
