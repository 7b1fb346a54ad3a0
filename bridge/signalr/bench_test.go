package signalr_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// wire is the cheapest client there is: what it costs is not measured.
type wire struct {
	net.Conn
	r *bufio.Reader
}

// benchSite serves a hub over TCP.
func benchSite(b *testing.B, set func(*signalr.Server)) (s *signalr.Server, dial func() wire) {
	b.Helper()
	s, err := signalr.New(signalr.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	set(s)
	ctx, stop := context.WithCancel(context.Background())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	web := &http.Server{Handler: s}
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = web.Serve(l) })
	tasks.Go(func() { _ = s.Run(ctx) })
	b.Cleanup(func() { stop(); _ = web.Close(); tasks.Wait() })
	return s, func() wire { return dialWire(b, l.Addr().String()) }
}

func dialWire(b *testing.B, addr string) wire {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	w := wire{c, bufio.NewReaderSize(c, 64<<10)}
	_, _ = fmt.Fprintf(c, "GET /hub HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if _, err := http.ReadResponse(w.r, nil); err != nil {
		b.Fatal(err)
	}
	w.send(hello)
	if _, err := w.next(); err != nil {
		b.Fatal(err)
	}
	return w
}

// send writes a short text message with a mask of zeros.
func (w wire) send(text string) {
	head := []byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}
	if len(text) > 125 {
		head = []byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0}
	}
	_, _ = w.Write(append(head, text...))
}

// next skips one message and gives its length.
func (w wire) next() (int, error) {
	var head [4]byte
	if _, err := io.ReadFull(w.r, head[:2]); err != nil {
		return 0, err
	}
	n := int(head[1])
	if n == 126 {
		if _, err := io.ReadFull(w.r, head[2:]); err != nil {
			return 0, err
		}
		n = int(binary.BigEndian.Uint16(head[2:]))
	}
	return w.r.Discard(n)
}

// BenchmarkEcho is a call and its answer on each of 50 connections.
func BenchmarkEcho(b *testing.B) {
	_, dial := benchSite(b, func(s *signalr.Server) {
		s.Handle("Echo", func(_ context.Context, c *signalr.Call) (any, error) {
			var text string
			return text, c.Bind(&text)
		})
	})
	var left atomic.Int64
	var tasks sync.WaitGroup
	question := `{"type":1,"invocationId":"1","target":"Echo","arguments":["` + strings.Repeat("x", 128) + `"]}` + "\x1e"
	wires := make([]wire, 50)
	for i := range wires {
		wires[i] = dial()
	}
	left.Store(int64(b.N))
	b.ResetTimer()
	b.ReportAllocs()
	for _, w := range wires {
		tasks.Go(func() {
			for left.Add(-1) >= 0 {
				w.send(question)
				if _, err := w.next(); err != nil {
					return
				}
			}
		})
	}
	tasks.Wait()
}

// BenchmarkGroup is an event to each member of a group, who read it.
func BenchmarkGroup(b *testing.B) {
	for _, members := range []int{4, 100, 500} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			s, dial := benchSite(b, func(s *signalr.Server) {
				s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g") })
			})
			var tasks sync.WaitGroup
			window := make(chan struct{}, 16)
			var first wire
			for i := range members {
				w := dial()
				if i == 0 {
					first = w
					continue
				}
				tasks.Go(func() { _, _ = io.Copy(io.Discard, w.Conn) })
			}
			for len(s.Members("g")) < members {
			}
			tasks.Go(func() {
				for range b.N {
					if _, err := first.next(); err != nil {
						return
					}
					<-window
				}
			})
			text := strings.Repeat("x", 128)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				window <- struct{}{}
				s.Group("g").Send("m", text)
			}
			b.StopTimer()
			b.ReportMetric(float64(members)*float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}
