package hubd

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/tacet-hub/tacet/broker"
)

// newcomers bounds the connections of a web listener that have not sent a whole
// request yet: those that say nothing, stall in a TLS handshake, or send a
// header byte by byte. Each has until headerTimeout. The overflow policy is to
// close the oldest, since refusing newcomers would let an attacker hold the
// door; WebStats.Evicted counts them.
type newcomers struct {
	most    int
	evicted atomic.Uint64

	mu    sync.Mutex
	order list.List // of net.Conn
	at    map[net.Conn]*list.Element
}

func newNewcomers() *newcomers {
	return &newcomers{most: max(8, min(1024, broker.Descriptors()/8)), at: map[net.Conn]*list.Element{}}
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// watch makes a server tell of its connections.
func (n *newcomers) watch(srv *http.Server) {
	srv.ConnState = n.state
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	next := srv.Handler
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
			n.leave(c)
		}
		next.ServeHTTP(w, r)
	})
}

func (n *newcomers) state(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		if old := n.enter(c); old != nil {
			n.evicted.Add(1)
			_ = below(old).Close()
		}
	case http.StateClosed, http.StateHijacked:
		n.leave(c)
	}
}

// enter notes a connection, and answers the one to close for it.
func (n *newcomers) enter(c net.Conn) (old net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.order.Len() >= n.most {
		old = n.order.Remove(n.order.Front()).(net.Conn)
		delete(n.at, old)
	}
	n.at[c] = n.order.PushBack(c)
	return old
}

func (n *newcomers) leave(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e, ok := n.at[c]; ok {
		n.order.Remove(e)
		delete(n.at, c)
	}
}

// below is the socket of a connection: a TLS session would wait for its peer to
// take a goodbye.
func below(c net.Conn) net.Conn {
	if s, ok := c.(*tls.Conn); ok {
		return s.NetConn()
	}
	return c
}

// WebStats are about the web listener.
type WebStats struct {
	Newcomers int    // connections now that have not sent a whole request
	Evicted   uint64 // of them, closed to make room for others
}

func (n *newcomers) stats() WebStats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return WebStats{Newcomers: n.order.Len(), Evicted: n.evicted.Load()}
}
