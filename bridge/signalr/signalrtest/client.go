package signalrtest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// recordLimit is the longest message that a client takes from its server.
const recordLimit = 64 << 20

// ErrOverflow ends a client whose handlers do not keep up.
var ErrOverflow = errors.New("too many events wait for their handlers")

// ErrClosed is the error of a client that has ended in good order.
var ErrClosed = errors.New("client closed")

// Error is the error completion of an invocation, as the server wrote it.
type Error string

// Error implements error.
func (e Error) Error() string { return string(e) }

// CloseError is a Close message of the server.
type CloseError struct {
	Reason         string // the text of its error; empty when there is none
	AllowReconnect bool   // the client may connect again at once
}

// Error implements error.
func (e *CloseError) Error() string {
	return fmt.Sprintf("closed by the server: %q (may reconnect: %t)", e.Reason, e.AllowReconnect)
}

// Options say how a client connects. The zero value is usable.
type Options struct {
	// Header goes with every request.
	Header http.Header
	// AccessToken is sent as bearer token.
	AccessToken string
	// Transport is how to connect; default [WebSockets].
	Transport Transport
	// Protocol is the encoding of what goes both ways; nil is [protocol.JSON].
	// Server-sent events carry no other. What handlers get is JSON all the same.
	Protocol protocol.Codec
	// Stateful asks for stateful reconnect: the client resumes its connection when
	// a WebSocket breaks, and misses nothing. See [Client.Cut].
	Stateful bool
	// SkipNegotiation opens the WebSocket at once.
	SkipNegotiation bool
	// On are handlers that are there before the first event can come.
	On map[string]func(args []json.RawMessage)
	// PingInterval is how often the client pings; 0 is 15 s, negative never.
	PingInterval time.Duration
	// ServerTimeout ends the client when nothing came for so long; 0 is 30 s,
	// negative never.
	ServerTimeout time.Duration
	// TLS is used for https addresses; nil is the default.
	TLS *tls.Config
	// NetDial opens connections; nil is the network. See [Pipe].
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Transport is how a client connects.
type Transport int

// The transports.
const (
	WebSockets Transport = iota
	ServerSentEvents
	LongPolling
)

// Client is one connection to a hub. It is safe for concurrent use.
type Client struct {
	opts  Options
	id    string
	link  *wire
	split *protocol.Splitter
	tasks sync.WaitGroup
	done  chan struct{} // the reader has ended

	mu       sync.Mutex
	arrived  sync.Cond // an event, or the end
	handlers map[string]func([]json.RawMessage)
	events   []protocol.Message
	calls    map[string]chan protocol.Message
	streams  map[string]*Stream
	answers  map[string]func([]json.RawMessage) (any, error)
	last     uint64
	ended    bool
	err      error
}

// Dial connects to the hub at an http or https URL. The context bounds the
// connecting, not the connection.
func Dial(ctx context.Context, hubURL string, opts Options) (*Client, error) {
	opts.Header = opts.Header.Clone()
	if opts.Header == nil {
		opts.Header = http.Header{}
	}
	if opts.AccessToken != "" {
		opts.Header.Set("Authorization", "Bearer "+opts.AccessToken)
	}
	if opts.Protocol == nil {
		opts.Protocol = protocol.JSON
	}
	n := negotiated{url: hubURL}
	if !opts.SkipNegotiation {
		var err error
		if n, err = negotiate(ctx, hubURL, opts); err != nil {
			return nil, fmt.Errorf("negotiate: %w", err)
		}
	}
	way := &wire{dial: dialer(n.url, opts), codec: opts.Protocol, stateful: n.stateful}
	if err := way.open(ctx); err != nil {
		return nil, err
	}
	c := newClient(opts, n.id, way)
	if err := c.shake(ctx); err != nil {
		_ = way.Close()
		return nil, err
	}
	if n.stateful {
		c.tasks.Go(func() { way.acknowledge(c.done) })
	}
	c.tasks.Go(c.read)
	c.tasks.Go(c.handle)
	c.tasks.Go(c.ping)
	return c, nil
}

func newClient(opts Options, id string, link *wire) *Client {
	if opts.PingInterval == 0 {
		opts.PingInterval = 15 * time.Second
	}
	if opts.ServerTimeout == 0 {
		opts.ServerTimeout = 30 * time.Second
	}
	c := &Client{
		opts: opts, id: id, link: link, split: protocol.NewSplitter(recordLimit), done: make(chan struct{}),
		handlers: make(map[string]func([]json.RawMessage)), calls: make(map[string]chan protocol.Message),
	}
	c.arrived.L = &c.mu
	for event, f := range opts.On {
		c.On(event, f)
	}
	return c
}

// shake is the handshake. Events may come in the same message as its answer.
func (c *Client) shake(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.link.Close() })
	defer stop()
	version := 1
	if c.link.stateful {
		version = 2
	}
	hello := protocol.AppendHandshake(nil, protocol.Handshake{Protocol: c.link.codec.Name(), Version: version})
	if err := c.link.Send(hello); err != nil {
		return err
	}
	greeted := false
	for !greeted {
		err := c.receive(func(record []byte) error {
			if greeted {
				return c.record(record)
			}
			greeted = true
			c.split.Use(c.link.codec)
			return protocol.ParseHandshakeReply(record)
		})
		if err != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	return nil
}

func (c *Client) receive(take func(record []byte) error) error {
	return c.link.Receive(func(p []byte) error { return c.split.Feed(p, take) })
}

// ID returns the connection's public id; empty when negotiation was skipped.
func (c *Client) ID() string { return c.id }

// On sets the handler of an event; case does not count, nil removes it. Events
// that nobody handles are dropped.
func (c *Client) On(event string, f func(args []json.RawMessage)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers[strings.ToLower(event)] = f
}

// Invoke calls a hub method and waits for its completion. The result is nil for
// a method without one. A refusal by the server is an [Error]; when ctx ends
// first the call is cancelled.
func (c *Client) Invoke(ctx context.Context, method string, args ...any) (json.RawMessage, error) {
	id, answer, err := c.register()
	if err != nil {
		return nil, err
	}
	defer c.unregister(id)
	if err := c.send(id, method, args); err != nil {
		return nil, err
	}
	select {
	case m := <-answer:
		if m.Failed {
			return nil, Error(m.Error)
		}
		return m.Result.JSON(), nil
	case <-ctx.Done():
		_ = c.post(&protocol.Message{Type: protocol.CancelInvocation, ID: id}) // an error means that the connection is ending
		return nil, ctx.Err()
	case <-c.done:
		return nil, c.Err()
	}
}

// Send calls a hub method and wants no answer.
func (c *Client) Send(ctx context.Context, method string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.send("", method, args)
}

func (c *Client) send(id, method string, args []any) error {
	return c.post(&protocol.Message{Type: protocol.Invocation, ID: id, Target: method, Args: protocol.Values(args...)})
}

// post sends a message.
func (c *Client) post(m *protocol.Message) error {
	b, err := c.link.codec.Append(nil, m)
	if err != nil {
		return err
	}
	return c.link.Send(b)
}

func (c *Client) register() (string, chan protocol.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return "", nil, c.err
	}
	id, answer := c.newID(), make(chan protocol.Message, 1)
	c.calls[id] = answer
	return id, answer, nil
}

// newID gives the id of a call or an upload; c.mu is held.
func (c *Client) newID() string {
	c.last++
	return strconv.FormatUint(c.last, 10)
}

func (c *Client) unregister(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, id)
}

// Closed is closed when the connection has ended.
func (c *Client) Closed() <-chan struct{} { return c.done }

// Err says why the connection ended: [ErrClosed] after Close, a *[CloseError]
// after the server's Close message; nil while it lives.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection in good order and waits for the handler that is
// running; a handler must not call it.
func (c *Client) Close() error {
	if c.end(ErrClosed) {
		_ = c.link.CloseWith(transport.CloseNormal)
		_ = c.link.SetReadDeadline(time.Now().Add(time.Second)) // for the server's answer
	}
	c.tasks.Wait()
	return nil
}

// Drop ends the connection without a word, as a broken network does.
func (c *Client) Drop() {
	c.end(io.ErrClosedPipe)
	_ = c.link.Close()
	<-c.done
}

// end notes why the client ends; the first reason counts.
func (c *Client) end(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.ended, c.err = true, err
	c.arrived.Broadcast()
	return true
}
