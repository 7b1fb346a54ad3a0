package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// DialConfig says how [Dial] connects. Its zero value dials plainly.
type DialConfig struct {
	// Header goes with the request.
	Header http.Header
	// NetDial opens the connection; nil is the network.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS is used for wss addresses; nil is the default.
	TLS *tls.Config
	// WriteTimeout bounds one Send; 0 is 10 s.
	WriteTimeout time.Duration
	// Binary makes what is sent binary messages; otherwise they are text.
	Binary bool
}

// Client is a client's end of one WebSocket. Send may be called from several
// goroutines, Receive from one.
type Client struct {
	ws      *websocket.Conn
	kind    int
	timeout time.Duration
	mu      sync.Mutex // one writer at a time
}

// Dial opens a WebSocket to a ws or wss address. An answer other than the
// upgrade is an error with its status.
func Dial(ctx context.Context, url string, cfg DialConfig) (*Client, error) {
	d := websocket.Dialer{NetDialContext: cfg.NetDial, TLSClientConfig: cfg.TLS, HandshakeTimeout: 15 * time.Second}
	ws, answer, err := d.DialContext(ctx, url, cfg.Header)
	if answer != nil && err != nil {
		return nil, fmt.Errorf("%w: status %d", err, answer.StatusCode)
	}
	if err != nil {
		return nil, err
	}
	if cfg.WriteTimeout <= 0 {
		cfg.WriteTimeout = 10 * time.Second
	}
	kind := websocket.TextMessage
	if cfg.Binary {
		kind = websocket.BinaryMessage
	}
	return &Client{ws: ws, kind: kind, timeout: cfg.WriteTimeout}, nil
}

// Receive waits for a message and hands its bytes to take, part by part. What
// take gets is valid only during its call. It returns io.EOF after the
// server's close frame.
func (c *Client) Receive(take func(p []byte) error) error { return receive(c.ws, take) }

// Send writes one message.
func (c *Client) Send(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.ws.SetWriteDeadline(time.Now().Add(c.timeout))
	return c.ws.WriteMessage(c.kind, p)
}

// SetReadDeadline bounds Receive. A Receive that has passed it cannot be
// resumed.
func (c *Client) SetReadDeadline(t time.Time) error { return c.ws.SetReadDeadline(t) }

// CloseWith sends a close frame with a code and leaves the connection open for
// the server's answer, which ends Receive.
func (c *Client) CloseWith(code int) error {
	return c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(c.timeout))
}

// Close closes the connection at once.
func (c *Client) Close() error { return c.ws.Close() }
