package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// streamLimit is the longest WebSocket message that NetConn reads. Nothing is
// kept of a message, so it bounds nothing but a peer that never ends one.
const streamLimit = 64 << 20

// controlTimeout is how long an answer to a ping or a close frame may take.
const controlTimeout = 5 * time.Second

// ErrSubprotocol is returned by [NetConn] when the client does not offer the
// subprotocol.
var ErrSubprotocol = errors.New("client does not offer the subprotocol")

// NetConn answers the request with a WebSocket of the given subprotocol and
// makes a byte stream of it: what is written goes out as one binary message
// per Write, what is read are the bytes of the binary messages that come in;
// their edges mean nothing [MQTT-6.0.0-2]. It refuses a client that does not
// offer the subprotocol [MQTT-6.0.0-3] (400), and one whose Origin checkOrigin
// does not allow (403); nil allows the request's own host. When it fails it
// has answered the request already.
//
// Deadlines work; a Read that has passed its deadline cannot be resumed. Read
// answers pings and the close frame. Write may be called from several
// goroutines, Read from one.
func NetConn(w http.ResponseWriter, r *http.Request, subprotocol string, checkOrigin func(*http.Request) bool) (net.Conn, error) {
	if !slices.Contains(websocket.Subprotocols(r), subprotocol) {
		http.Error(w, fmt.Sprintf("the WebSocket subprotocol %q is required", subprotocol), http.StatusBadRequest)
		return nil, ErrSubprotocol
	}
	up := websocket.Upgrader{
		Subprotocols:    []string{subprotocol},
		WriteBufferPool: writeBuffers,
		CheckOrigin:     checkOrigin,
	}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	c := &stream{Conn: ws.NetConn(), ws: ws}
	ws.SetReadLimit(streamLimit)
	ws.SetPingHandler(func(data string) error { return c.control(PongFrame(data)) })
	ws.SetCloseHandler(func(code int, _ string) error { return c.control(CloseReply(code)) })
	return c, nil
}

// stream is a WebSocket as a net.Conn. Addresses and deadlines are those of
// the connection below.
type stream struct {
	net.Conn
	ws *websocket.Conn
	r  io.Reader // rest of the current message

	mu     sync.Mutex // keeps frames whole; guards what follows
	closed bool

	deadline atomic.Int64 // the caller's write deadline in Unix ns; 0: none
}

// SetDeadline implements net.Conn.
func (c *stream) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetWriteDeadline implements net.Conn.
func (c *stream) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		c.deadline.Store(0)
	} else {
		c.deadline.Store(t.UnixNano())
	}
	return c.Conn.SetWriteDeadline(t)
}

// restore brings the caller's write deadline back.
func (c *stream) restore() {
	var t time.Time
	if ns := c.deadline.Load(); ns != 0 {
		t = time.Unix(0, ns)
	}
	_ = c.Conn.SetWriteDeadline(t)
}

// Read implements net.Conn.
func (c *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if c.r == nil {
			if err := c.next(); err != nil {
				return 0, err
			}
		}
		n, err := c.r.Read(p)
		if err == io.EOF {
			c.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, ended(err)
		}
	}
}

// next opens the next message. A text message ends the connection, as
// [MQTT-6.0.0-1] asks.
func (c *stream) next() error {
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return ended(err)
	}
	if kind != websocket.BinaryMessage {
		_ = c.control(CloseFrame(CloseUnsupported))
		_ = c.Conn.Close()
		return errors.New("text message on a binary stream")
	}
	c.r = r
	return nil
}

// Write implements net.Conn. It sends p as one binary message.
func (c *stream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	buf := make([]byte, FrameSpace, FrameSpace+len(p))
	frame, _ := Seal(append(buf, p...), Binary)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Write(frame)
	return max(0, n-(len(frame)-len(p))), err
}

// control writes a control frame between two messages; a peer that asks for
// answers and does not read them must not hold the reader for ever.
func (c *stream) control(frame []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	_ = c.Conn.SetWriteDeadline(time.Now().Add(controlTimeout))
	_, err := c.Conn.Write(frame)
	c.restore()
	return err
}

// Close implements net.Conn. It says goodbye with code 1000 when nobody is
// writing, and does not wait for the peer's answer.
func (c *stream) Close() error {
	if c.mu.TryLock() {
		if !c.closed {
			c.closed = true
			_ = c.Conn.SetWriteDeadline(time.Now().Add(controlTimeout))
			_, _ = c.Conn.Write(CloseFrame(CloseNormal))
		}
		c.mu.Unlock()
	}
	return c.Conn.Close()
}
