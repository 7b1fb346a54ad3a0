package signalr

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// treadmill is a link on which the same message comes again and again, and that
// takes everything: what is left is what a call costs the hub itself.
type treadmill struct {
	hello, message []byte
	left           int
}

func (m *treadmill) Receive(take func([]byte) error) error {
	if m.hello != nil {
		hello := m.hello
		m.hello = nil
		return take(hello)
	}
	if m.left--; m.left < 0 {
		return io.EOF
	}
	return take(m.message)
}

func (m *treadmill) Instant() bool                                    { return true }
func (m *treadmill) WriteNow(_ *transport.Now, p []byte) (int, error) { return len(p), nil }
func (m *treadmill) Write(p []byte) (int, error)                      { return len(p), nil }
func (m *treadmill) SetReadDeadline(time.Time) error                  { return nil }
func (m *treadmill) SetWriteDeadline(time.Time) error                 { return nil }
func (m *treadmill) Close() error                                     { return nil }

// processorTime is what the process has used: the clock on the wall also counts
// what others do on the machine.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCall is a call and its answer without a network, on 50 connections.
func BenchmarkCall(b *testing.B) {
	for _, protocol := range []struct{ name, hello, message string }{
		{"json", `{"protocol":"json","version":1}` + "\x1e",
			`{"type":1,"invocationId":"1","target":"Echo","arguments":["` + strings.Repeat("x", 128) + `"]}` + "\x1e"},
		{"messagepack", `{"protocol":"messagepack","version":1}` + "\x1e",
			"\x8e\x01\x96\x01\x80\xa11\xa4Echo\x91\xd9\x80" + strings.Repeat("x", 128) + "\x90"},
	} {
		b.Run(protocol.name, func(b *testing.B) {
			const conns = 50
			s, err := New(Config{}, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			s.Handle("Echo", func(_ context.Context, c *Call) (any, error) {
				var text string
				return text, c.Bind(&text)
			})
			s.watch.start()
			b.ReportAllocs()
			b.ResetTimer()
			began := processorTime()
			for i := range conns {
				t, _ := s.desk.walkIn("")
				c := newConn(s, t, Principal{}, httptest.NewRequest("GET", "/hub", nil))
				l := newLine(c)
				l.link = &treadmill{[]byte(protocol.hello), []byte(protocol.message), (b.N + i) / conns}
				s.admit(c, l)
			}
			s.readers.Wait()
			b.ReportMetric(float64(processorTime()-began)/float64(b.N), "cpu-ns/op")
			if n := s.Stats().MessagesOut; n != uint64(b.N) {
				b.Fatalf("%d answers of %d calls", n, b.N)
			}
		})
	}
}
