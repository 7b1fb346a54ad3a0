package broker

import (
	"container/list"
	"net"
	"sync"
	"time"
)

// muteFor is how long a connection may say nothing at no disadvantage. One that
// has just come is given a moment to say something before it may go; it is
// longer where only its address is over a limit, and there is room in all.
const (
	muteFor    = time.Second
	momentHere = 250 * time.Millisecond
	moment     = 20 * time.Millisecond
)

// halfOpen holds the connections that have no session yet, oldest first.
// It is bounded, in all and per address; the overflow policy is to evict the
// oldest one, since refusing newcomers would let an attacker hold the door
// (BROKER.md §5). One that has said nothing in a second goes before those that
// have said something. Younger ones do not: else whoever has just come would be
// the next to go among connections that say one byte and stay. One that waits
// for us, since we have not read what it said or are checking its password, does
// not go at all: a thousand devices that come back at once are no flood. Where
// all wait for us, the limits are passed, and new ones are taken more slowly.
type halfOpen struct {
	most    int
	perAddr int

	mu    sync.Mutex
	order list.List // of *link
	at    map[*link]*list.Element
	count map[string]int // by address
}

func newHalfOpen(most, perAddr int) *halfOpen {
	return &halfOpen{most: most, perAddr: perAddr, at: map[*link]*list.Element{}, count: map[string]int{}}
}

// unknownHost is the host of a connection whose address a balancer has yet to
// say: many clients come from the balancer's own.
const unknownHost = ""

// add notes l, and answers the connections to close for it.
func (h *halfOpen) add(l *link) (evicted []*link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	evicted = h.countIn(l.host)
	if h.order.Len() >= h.most {
		evicted = h.evict(evicted, unknownHost, moment)
	}
	h.at[l] = h.order.PushBack(l)
	return evicted
}

// countIn counts one more connection of an address.
func (h *halfOpen) countIn(host string) (evicted []*link) {
	if host == unknownHost {
		return nil
	}
	if h.count[host] >= h.perAddr {
		evicted = h.evict(nil, host, momentHere)
	}
	h.count[host]++
	return evicted
}

// move gives l the address that it really has, and answers the connections to
// close for it.
func (h *halfOpen) move(l *link, addr string) (evicted []*link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.at[l]; ok { // else it was evicted meanwhile
		evicted = h.countIn(host(addr))
	}
	l.addr, l.host = addr, host(addr)
	return evicted
}

// crowded tells whether there is no room for one more, and nobody to make it.
func (h *halfOpen) crowded() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.order.Len() >= h.most && h.choose(unknownHost, moment) == nil
}

// addrOf is the address of a connection that may be moving.
func (h *halfOpen) addrOf(l *link) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return l.addr
}

// oldest takes at most n connections out.
func (h *halfOpen) oldest(n int) (evicted []*link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for range n {
		evicted = h.evict(evicted, unknownHost, 0)
	}
	return evicted
}

// evict takes out a connection of an address (unknown: of any) that has been
// here for so long, if one may go.
func (h *halfOpen) evict(evicted []*link, addr string, least time.Duration) []*link {
	l := h.choose(addr, least)
	if l == nil {
		return evicted
	}
	h.drop(l)
	return append(evicted, l)
}

func (h *halfOpen) choose(addr string, least time.Duration) (oldest *link) {
	for e := h.order.Front(); e != nil; e = e.Next() {
		l := e.Value.(*link)
		age := time.Since(l.came)
		switch {
		case age < least, age < muteFor && oldest != nil:
			return oldest
		case addr != unknownHost && l.host != addr, l.waitsForUs():
		case age >= muteFor && !l.heard.Load():
			return l
		case oldest == nil:
			oldest = l
		}
	}
	return oldest
}

// waitsForUs tells whether it is our turn to do something.
func (l *link) waitsForUs() bool { return l.busy.Load() || l.out.unread() }

// remove forgets l: it has said CONNECT, or has ended.
func (h *halfOpen) remove(l *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(l)
}

func (h *halfOpen) drop(l *link) {
	e, ok := h.at[l]
	if !ok {
		return
	}
	h.order.Remove(e)
	delete(h.at, l)
	if l.host == unknownHost {
		return
	}
	if h.count[l.host]--; h.count[l.host] == 0 {
		delete(h.count, l.host)
	}
}

func (h *halfOpen) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.order.Len()
}

// host is an address without its port, or as it is where it has none.
func host(addr string) string {
	if h, _, err := net.SplitHostPort(addr); err == nil {
		return h
	}
	return addr
}
