package hubd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// oneConn is a listener with one connection.
type oneConn chan net.Conn

func (l oneConn) Accept() (net.Conn, error) {
	c, ok := <-l
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l oneConn) Close() error { return nil }

func (l oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// TestBodiesInTime: a body may be as long as it likes, but not as slow.
func TestBodiesInTime(t *testing.T) {
	for name, c := range map[string]struct {
		piece  int // bytes a second
		pieces int
		want   string
	}{
		"fast enough": {8 << 10, 60, "HTTP/1.1 200 OK"},
		"too slow":    {1 << 10, 60, "HTTP/1.1 408 Request Timeout"},
		"nothing":     {0, 60, "HTTP/1.1 408 Request Timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := make(oneConn, 1)
				srv := http.Server{Handler: timely(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						w.WriteHeader(http.StatusRequestTimeout)
						return
					}
					time.Sleep(time.Hour) // a long answer is nobody's fault
					w.WriteHeader(http.StatusOK)
				}))}
				var work sync.WaitGroup
				work.Go(func() { _ = srv.Serve(l) })
				near, far := net.Pipe()
				l <- far
				work.Go(func() {
					_, _ = fmt.Fprintf(near, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", max(1, c.piece*c.pieces))
					for range c.pieces {
						_, _ = io.WriteString(near, strings.Repeat("x", c.piece))
						time.Sleep(time.Second)
					}
				})
				if line, err := bufio.NewReader(near).ReadString('\n'); err != nil || strings.TrimSpace(line) != c.want {
					t.Errorf("%q %v, want %q", line, err, c.want)
				}
				_ = near.Close()
				close(l)
				_ = srv.Close()
				work.Wait()
			})
		})
	}
}
