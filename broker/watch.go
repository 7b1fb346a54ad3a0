package broker

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what a [Notice] tells of.
type Kind string

// The kinds of notices.
const (
	Connected      Kind = "connected"       // a client has its session
	Ended          Kind = "ended"           // and its connection has ended; Reason as in [ConnEvent]
	TookOver       Kind = "took_over"       // a connection took a client id over from another
	RefusedConnect Kind = "refused_connect" // a connection was refused, or closed before it had a session
	RefusedMessage Kind = "refused_message" // a publication was refused
	RefusedFilter  Kind = "refused_filter"  // a subscription was refused
	Dropped        Kind = "dropped"         // a client missed messages
	Braked         Kind = "braked"          // a client sends faster than it may, and is read more slowly
)

// Notice tells what happened at the broker's doors and in its queues. No
// payload, password or token is in it.
type Notice struct {
	Kind   Kind
	Reason string    // of an end, as in [ConnEvent]; of the others the keys of [Stats].Refused and [Stats].Dropped
	Client string    // client id; empty where there is none yet
	Addr   string    // of the peer; empty where it is not at hand
	N      int       // how many like it it stands for, from 1
	At     time.Time // of the newest of them
}

// Watcher is a queue of notices for one reader. It is bounded. Like ones that
// wait are one, with a higher N: refusals and drops for one reason and of one
// client, or from one address where nobody has a session yet. Those of the life
// of a connection stay apart, in their order.
// The overflow policy is to drop the oldest; [Watcher.Missed] counts what was
// dropped, as does [Stats].NoticesMissed.
type Watcher struct {
	b     *Broker
	most  int
	ready chan struct{} // holds one token while something waits

	mu     sync.Mutex
	queue  []*Notice
	like   map[likeness]*Notice // of queue
	missed uint64
}

// likeness is what two notices that become one have in common.
type likeness struct {
	kind   Kind
	reason string
	who    string
}

// watchers are told of notices.
type watchers struct {
	mu     sync.Mutex
	all    atomic.Pointer[[]*Watcher] // replaced as a whole: it is read per notice
	missed atomic.Int64
}

// Watch opens a queue that holds at most so many notices (0: 256), from now on.
// It must be closed. It is safe for concurrent use.
func (b *Broker) Watch(most int) *Watcher {
	if most <= 0 {
		most = 256
	}
	w := &Watcher{b: b, most: most, ready: make(chan struct{}, 1), like: map[likeness]*Notice{}}
	b.watchers.change(func(all []*Watcher) []*Watcher { return append(all, w) })
	return w
}

// Close ends the queue; a Next that waits goes on waiting for its context.
func (w *Watcher) Close() {
	w.b.watchers.change(func(all []*Watcher) []*Watcher {
		return slices.DeleteFunc(all, func(x *Watcher) bool { return x == w })
	})
}

// Next answers the oldest notice, and waits for one where there is none. Its
// error is that of ctx. One goroutine may call it at a time.
func (w *Watcher) Next(ctx context.Context) (Notice, error) {
	for {
		if n, ok := w.take(); ok {
			return n, nil
		}
		select {
		case <-w.ready:
		case <-ctx.Done():
			return Notice{}, ctx.Err()
		}
	}
}

// Missed is how many notices were dropped, since they came faster than they
// were read.
func (w *Watcher) Missed() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.missed
}

func (w *Watcher) take() (Notice, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return Notice{}, false
	}
	return *w.shift(), true
}

func (w *Watcher) shift() *Notice {
	n := w.queue[0]
	w.queue[0] = nil
	w.queue = w.queue[1:]
	delete(w.like, likenessOf(n))
	return n
}

func (w *Watcher) put(n Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.like[likenessOf(&n)]; old != nil && !n.ofLife() {
		old.N++
		old.At, old.Addr = n.At, n.Addr
		return
	}
	if len(w.queue) == w.most {
		lost := w.shift().N
		w.missed += uint64(lost)
		w.b.watchers.missed.Add(int64(lost))
	}
	w.queue = append(w.queue, &n)
	w.like[likenessOf(&n)] = &n
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

func (n *Notice) ofLife() bool { return n.Kind == Connected || n.Kind == Ended || n.Kind == TookOver }

func likenessOf(n *Notice) likeness {
	who := n.Client
	if n.Kind == RefusedConnect {
		who = host(n.Addr)
	}
	return likeness{n.Kind, n.Reason, who}
}

func (w *watchers) change(f func([]*Watcher) []*Watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*Watcher
	if p := w.all.Load(); p != nil {
		all = slices.Clone(*p)
	}
	all = f(all)
	w.all.Store(&all)
}

// tell hands a notice to every watcher. It blocks for none of them.
func (w *watchers) tell(n Notice) {
	all := w.all.Load()
	if all == nil || len(*all) == 0 {
		return
	}
	n.N, n.At = 1, time.Now()
	for _, one := range *all {
		one.put(n)
	}
}

// refuse counts why something was refused, or dropped, and tells of it.
func (b *Broker) refuse(kind Kind, why reason, client, addr string) {
	b.count.reasons[why].Add(1)
	b.watchers.tell(Notice{Kind: kind, Reason: why.String(), Client: client, Addr: addr})
}
