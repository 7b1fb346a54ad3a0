package signalrtest

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Pipe serves HTTP in-process, over net.Pipe instead of sockets, so that tests
// with a simulated clock can use it. Requests go to any host.
type Pipe struct {
	server *http.Server
	door   *door
	tasks  sync.WaitGroup
}

// NewPipe starts to serve h until Close, over HTTP/1.1, and over HTTP/2 to a
// client that begins with it.
func NewPipe(h http.Handler) *Pipe {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	p := &Pipe{server: &http.Server{Handler: h, Protocols: &protocols}, door: &door{conns: make(chan net.Conn), closed: make(chan struct{})}}
	p.tasks.Go(func() { _ = p.server.Serve(p.door) }) // ends with ErrServerClosed
	return p
}

// Dial opens a connection to the server. It fits Options.NetDial.
func (p *Pipe) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.door.conns <- server:
		return client, nil
	case <-p.door.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends the server and waits for its accepting goroutine. Connections
// that became WebSockets live on: they are the hub's.
func (p *Pipe) Close() error {
	err := p.server.Close()
	p.tasks.Wait()
	return err
}

// door is the server's listener.
type door struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

// Addr implements net.Listener.
func (d *door) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

// Network implements net.Addr.
func (pipeAddr) Network() string { return "pipe" }

// String implements net.Addr.
func (pipeAddr) String() string { return "pipe" }
