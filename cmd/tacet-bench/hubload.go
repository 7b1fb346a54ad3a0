package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// peer is one client's WebSocket, as cheap as can be, because it shares the
// machine with what it measures.
type peer struct {
	conn net.Conn
	tcp  *net.TCPConn // below conn, if there is TLS
	r    *bufio.Reader
	out  []byte
}

const (
	opText   = 0x81
	masked   = 0x80
	payload  = 128 // bytes of text in each message
	digits   = 10  // of these: its number
	readSize = 16 << 10
)

// dial opens a WebSocket; a SignalR server also gets its handshake.
func dial(ctx context.Context, s *server, role string) (*peer, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return nil, err
	}
	p := &peer{conn: c, tcp: c.(*net.TCPConn)}
	if isSecure(s.kind) {
		p.conn = tls.Client(c, trusting)
	}
	p.r = bufio.NewReaderSize(p.conn, readSize)
	if err := p.open(s, role); err != nil {
		_ = c.Close()
		return nil, err
	}
	return p, nil
}

// trusting believes that a server is the one that was started.
var trusting = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // our own, on this machine

func (p *peer) open(s *server, role string) error {
	_ = p.conn.SetDeadline(time.Now().Add(30 * time.Second))
	_, err := fmt.Fprintf(p.conn, "GET %s?role=%s&access_token=%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", cmp.Or(s.path, "/hub"), role, p.tcp.LocalAddr(), s.addr)
	if err != nil {
		return err
	}
	answer, err := http.ReadResponse(p.r, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("no WebSocket: %s", answer.Status)
	}
	if !isRaw(s.kind) {
		if err := p.send([]byte(`{"protocol":"json","version":1}` + "\x1e")); err != nil {
			return err
		}
		if m, err := p.next(); err != nil || string(m) != "{}\x1e" {
			return fmt.Errorf("handshake: %q, %w", m, err)
		}
	}
	return p.conn.SetDeadline(time.Time{})
}

// send writes a text message; the mask is zero, which the servers cannot know.
func (p *peer) send(m []byte) error {
	p.out = appendFrame(p.out[:0], m)
	_, err := p.conn.Write(p.out)
	return err
}

func appendFrame(b, m []byte) []byte {
	b = append(b, opText)
	if len(m) < 126 {
		b = append(b, masked|byte(len(m)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(len(m)))
	}
	b = append(b, 0, 0, 0, 0)
	return append(b, m...)
}

// next returns the next message; it is valid until the one after it.
func (p *peer) next() ([]byte, error) {
	for {
		head, err := p.r.Peek(4) // no message of ours is shorter
		if err != nil {
			return nil, err
		}
		size, n := 2, int(head[1])
		if n == 126 {
			size, n = 4, int(binary.BigEndian.Uint16(head[2:]))
		}
		if size+n > readSize {
			return nil, fmt.Errorf("message of %d bytes", n)
		}
		m, err := p.r.Peek(size + n)
		if err != nil {
			return nil, err
		}
		_, _ = p.r.Discard(size + n) // was peeked
		switch head[0] {
		case opText:
			return m[size:], nil
		case 0x88:
			return nil, io.EOF
		}
	}
}

// drop ends the connection without a word and without a trace in the kernel.
func (p *peer) drop() {
	_ = p.tcp.SetLinger(0)
	_ = p.tcp.Close()
}

// dialAll opens many, some at a time.
func dialAll(ctx context.Context, s *server, role string, n int) ([]*peer, error) {
	const atOnce = 64
	peers, errs := make([]*peer, n), make([]error, atOnce)
	var tasks sync.WaitGroup
	for w := range atOnce {
		tasks.Go(func() {
			for i := w; i < n && errs[w] == nil; i += atOnce {
				peers[i], errs[w] = dial(ctx, s, role)
			}
		})
	}
	tasks.Wait()
	if err := errors.Join(errs...); err != nil {
		dropAll(peers)
		return nil, err
	}
	return peers, nil
}

func dropAll(peers []*peer) {
	for _, p := range peers {
		if p != nil {
			p.drop()
		}
	}
}

// fan is one run of fan-out: a sender with at most window messages on their way,
// and members that count what comes.
type fan struct {
	server  *server
	members []*peer
	sender  *peer
	window  chan struct{}
	left    [slots]atomic.Int64 // members that a message has not reached

	delivered atomic.Int64
	reorders  atomic.Int64
	gaps      atomic.Int64
	tasks     sync.WaitGroup
	over      chan struct{}
}

// slots is more than the window can ever be.
const slots = 1024

// newFan begins a run; others is how many members the server has already.
func newFan(ctx context.Context, s *server, members, others, window int) (*fan, error) {
	f := &fan{server: s, window: make(chan struct{}, window), over: make(chan struct{})}
	var err error
	if f.members, err = dialAll(ctx, s, "member", members); err != nil {
		return nil, err
	}
	if f.sender, err = dial(ctx, s, "sender"); err != nil {
		dropAll(f.members)
		return nil, err
	}
	if err := s.joined(ctx, members+others); err != nil {
		dropAll(append(f.members, f.sender))
		return nil, err
	}
	f.start()
	return f, nil
}

// start has the members receive, and the sender send.
func (f *fan) start() {
	for _, p := range f.members {
		f.tasks.Go(func() { f.receive(p) })
	}
	f.tasks.Go(f.publish)
}

// end drops every connection and waits for what runs.
func (f *fan) end() {
	close(f.over)
	dropAll(append(f.members, f.sender))
	f.tasks.Wait()
}

// publish sends as fast as the window lets it.
func (f *fan) publish() {
	text := bytes.Repeat([]byte{'x'}, payload)
	for n := uint64(0); ; n++ {
		select {
		case f.window <- struct{}{}:
		case <-f.over:
			return
		}
		f.left[n%slots].Store(int64(len(f.members)))
		copy(text, fmt.Sprintf("%0*d", digits, n))
		if f.sender.send(f.server.message(text)) != nil {
			return
		}
	}
}

// message is what the sender writes: with the same length for both servers, what
// the members get is.
func (s *server) message(text []byte) []byte {
	if isRaw(s.kind) {
		return []byte(`{"type":1,"target":"m","arguments":["` + string(text) + "\"]}\x1e")
	}
	return []byte(`{"type":1,"target":"Publish","arguments":["` + string(text) + "\"]}\x1e")
}

// receive counts what comes to one member, and what does not come in order.
func (f *fan) receive(p *peer) {
	for next := uint64(0); ; next++ {
		m, err := p.next()
		if err != nil {
			return
		}
		n, ok := numberOf(m)
		if !ok {
			next--
			continue // a ping
		}
		switch {
		case n < next:
			f.reorders.Add(1)
		case n > next:
			f.gaps.Add(int64(n - next))
		}
		next = n
		f.delivered.Add(1)
		if f.left[n%slots].Add(-1) == 0 {
			<-f.window // never empty here
		}
	}
}

var mark = []byte(`"arguments":["`)

func numberOf(m []byte) (uint64, bool) {
	i := bytes.Index(m, mark)
	if i < 0 || len(m) < i+len(mark)+digits {
		return 0, false
	}
	n, err := strconv.ParseUint(string(m[i+len(mark):][:digits]), 10, 64)
	return n, err == nil
}
