package broker

import (
	"maps"
	"slices"
	"sync"
)

// How a connection ended.
const (
	Goodbye   = "goodbye"    // the client said DISCONNECT
	Lost      = "will"       // the connection broke; the client's will is published, if it has one
	Timeout   = "timeout"    // nothing came for one and a half keep-alives
	TakenOver = "taken_over" // another connection has the client id now
	Closed    = "closed"     // the broker closed it: Disconnect, shut-down, protocol error, slow consumer
)

// ConnEvent says that a client has connected, or that a connection has ended.
type ConnEvent struct {
	Client string // client id; of another tenant than the default one with its mountpoint in front, "@acme/gate-1"
	Conn   uint64 // number of the connection; later connections have higher ones
	Up     bool
	Reason string // how it ended: one of the constants above; empty when up
	Addr   string // the peer's address
}

// events tells watchers about connections.
type events struct {
	mu       sync.Mutex
	next     int
	watchers map[int]func(ConnEvent)
	up       map[uint64]ConnEvent
}

// watch adds a watcher, which first hears of every connection that is up. It
// is called with the lock held, so that nothing is told twice or out of order.
func (e *events) watch(enqueue func(ConnEvent)) (cancel func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watchers == nil {
		e.watchers = map[int]func(ConnEvent){}
	}
	id := e.next
	e.next++
	e.watchers[id] = enqueue
	for _, num := range slices.Sorted(maps.Keys(e.up)) {
		enqueue(e.up[num])
	}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.watchers, id)
	}
}

func (e *events) tell(ev ConnEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.up == nil {
		e.up = map[uint64]ConnEvent{}
	}
	if ev.Up {
		e.up[ev.Conn] = ev
	} else {
		delete(e.up, ev.Conn)
	}
	for _, w := range e.watchers {
		w(ev)
	}
}

// tell tells of a connection's session, or of its end.
func (b *Broker) tell(ev ConnEvent) {
	b.events.tell(ev)
	n := Notice{Kind: Connected, Client: ev.Client, Addr: ev.Addr}
	if !ev.Up {
		n.Kind, n.Reason = Ended, ev.Reason
	}
	b.watchers.tell(n)
}

func (e *events) len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.up)
}

// Connections calls enqueue for every connection that is up, and then for each
// that comes and goes. It is called on the connection's goroutine and must only
// enqueue: it must not block, and must not call the broker. After cancel has
// returned it is not called again. A connection counts from its CONNACK on.
func (b *Broker) Connections(enqueue func(ConnEvent)) (cancel func()) { return b.events.watch(enqueue) }
