package hubd

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestNewcomersMakeRoom: the oldest that has not sent a whole request goes, and
// who has sent one stays, however long it says nothing then.
func TestNewcomersMakeRoom(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := newNewcomers()
	n.most = 2
	h := &Hub{log: slog.New(slog.DiscardHandler)}
	ended := make(chan error, 1)
	go func() {
		ended <- h.serve(t.Context(), l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), n)
	}()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	dial := func(say string) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(c, say); err != nil {
			t.Fatal(err)
		}
		return c
	}
	answered := func(c net.Conn) {
		t.Helper()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("answer %v, %v", resp, err)
		}
	}
	const request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
	stays := dial(request)
	answered(stays)
	oldest, half := dial(""), dial("GET / HTTP/1.1\r\nHost:")
	for range 3 {
		answered(dial(request)) // a newcomer too, until it has said what it wants
	}
	if _, err := oldest.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the oldest: %v, want the end", err)
	}
	if _, err := io.WriteString(half, " localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answered(half)
	if _, err := io.WriteString(stays, request); err != nil {
		t.Fatal(err)
	}
	answered(stays)
	if s := n.stats(); s.Evicted != 1 || s.Newcomers != 0 {
		t.Errorf("stats %+v; want one evicted, none left", s)
	}
}
