package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/estate"
	"github.com/tacet-hub/tacet/broker/relay"
)

// The sessions of a node that is down. What a broker keeps of them on disk is with the
// other nodes too (package estate), as it was when it was acknowledged. Another node
// takes a session over from there when its client comes, and all of them once the node
// is no longer among those that live, so that what is published meanwhile waits for
// their clients ([Broker.Adopt]).
//
// A node that takes one over claims it first, so that two do not. One that comes back,
// or was only cut off, ends those that others have; what is in its queue and was not
// with the other nodes it hands to the one that has the session (leave.go). So messages
// may come twice, those of QoS 2 too where the node was not down.

// Estates are the sessions that other nodes leave behind; estate.Mirror is one. All but
// OnClaims block for what the nodes have in common.
type Estates interface {
	// Claim claims a session that a node has left, where nobody has or the one that is
	// named instead, and answers whose it is.
	Claim(ctx context.Context, node, client string, at int64, instead string) (estate.Claim, error)
	// Settle says that claims of this node are done, once it has itself, with the other
	// nodes, what it keeps of those sessions.
	Settle(ctx context.Context, node string, claims map[string]estate.Claim) error
	// Disclaim deletes claims of others on sessions that have ended here.
	Disclaim(ctx context.Context, clients []string) error
	// Version is another one when what a node has left has changed; empty: nothing.
	Version(ctx context.Context, node string) (string, error)
	// Read calls each with every record that a node has left.
	Read(ctx context.Context, node string, each func(estate.Record)) error
	// OnClaims has f told of claims on sessions of this node.
	OnClaims(f func(map[string]estate.Claim))
}

// mostHeirs is over how many nodes that are down the way of a session is followed.
const mostHeirs = 4

// mostNumbers bounds what is remembered of the queues of sessions that were taken over;
// over it all is forgotten, and what their nodes bring later counts as known.
const mostNumbers = 1 << 20

// heirs takes over what other nodes leave, and gives up what others have taken. Without
// [Config].Estates its methods do nothing of the kind.
type heirs struct {
	b *Broker

	reading chan struct{} // whose turn it is to read what a node has left
	node    string        // of which it was read last
	version string
	by      map[string]*moved // what it was, by client

	installing chan struct{} // whose turn it is to put a session here

	wake chan struct{} // holds one

	mu      sync.Mutex
	taken   map[string]heritage // by client
	numbers int                 // in taken
	owed    map[string]map[string]estate.Claim
	leaving map[string]leaving
	ended   []string // clients on whose sessions there may be claims
}

// heritage is what is known of a session that was taken over.
type heritage struct {
	node    string
	numbers map[int64]struct{} // of its queue, there
}

func newHeirs(b *Broker) *heirs {
	h := &heirs{
		b: b, reading: make(chan struct{}, 1), installing: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		taken: map[string]heritage{}, owed: map[string]map[string]estate.Claim{}, leaving: map[string]leaving{},
	}
	if !h.off() {
		b.cfg.Estates.OnClaims(h.claimed)
	}
	return h
}

func (h *heirs) off() bool { return h.b.cfg.Estates == nil || h.b.cfg.Relay == nil }

// installed waits until no session is being put here: who looks then finds it.
func (h *heirs) installed() {
	if !h.off() {
		h.installing <- struct{}{}
		<-h.installing
	}
}

// leftBy is the node that had the session of a client and is no longer among those that
// live; newer tells whether it was taken up after the one that this node has, if any.
func (h *heirs) leftBy(client string) (node string, newer bool) {
	if h.off() {
		return "", false
	}
	if node, _ = h.b.cfg.Relay.Newest(client); node == h.b.cfg.Relay.Node() {
		return "", false
	}
	return node, node != ""
}

// inherit takes over what a node that is down has left of a session; without keep it is
// only claimed, and ends so. Most is over how many nodes it is looked for.
func (h *heirs) inherit(ctx context.Context, node, client string, keep bool, most int) error {
	at, self, store := time.Now().UnixMicro(), h.b.cfg.Relay.Node(), h.b.cfg.Estates
	c, err := store.Claim(ctx, node, client, at, "")
	if err == nil && c.By != self {
		m := mover{b: h.b, ctx: ctx, node: c.By, client: client}
		err = m.move(keep)
		switch {
		case !errors.Is(err, relay.ErrMute):
			return err
		case c.Done && most > 1:
			return h.inherit(ctx, c.By, client, keep, most-1)
		case c.Done:
			return err
		}
		c, err = store.Claim(ctx, node, client, at, c.By)
	}
	if err != nil {
		return fmt.Errorf("claim what %s has left: %w", node, err)
	}
	if c.By != self || c.Done {
		return nil // another was faster; or it was here, and has ended
	}
	if keep {
		all, err := h.read(ctx, node)
		if err != nil {
			return fmt.Errorf("read what %s has left: %w", node, err)
		}
		if h.install(node, all[client], true) {
			h.makeGood(h.missed(ctx, node), map[string]*moved{client: all[client]})
		}
	}
	h.settle(node, client, c)
	return nil
}

// install puts a session here that a node has left, if it has left one and it is not
// here already; it tells whether it did. Wanted tells whether its client is about to take
// it up.
func (h *heirs) install(node string, left *moved, wanted bool) bool {
	if left == nil || h.b.kept.isOver(&stored{version: left.version, expiry: left.expiry, gone: left.gone}, time.Now()) {
		return false
	}
	h.installing <- struct{}{}
	defer func() { <-h.installing }()
	if h.here(node, left.client) || !wanted && h.b.sessions.get(left.client) != nil {
		return false
	}
	x := *left
	switch {
	case wanted:
		x.gone = 0
	case x.gone == 0:
		x.gone = time.Now().Unix()
	}
	h.b.install(&x)
	h.note(node, &x)
	h.b.count.inherited.Add(1)
	h.b.cfg.Relay.Client(x.client, time.Now().UnixMicro(), false)
	h.b.log.Debug("session of a node that is down is taken over", "device", x.client, "node", node, "n", len(x.queue))
	return true
}

// here tells whether a session that a node has left is here already, and remembers.
func (h *heirs) here(node, client string) bool {
	h.mu.Lock()
	is := h.taken[client].node == node
	h.mu.Unlock()
	_, there := h.b.server.Clients.Get(client)
	return is && there
}

// note remembers what of a queue has come here.
func (h *heirs) note(node string, x *moved) {
	numbers := make(map[int64]struct{}, len(x.queue))
	for _, one := range x.queue {
		numbers[one.number] = struct{}{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.numbers += len(numbers) + 1; h.numbers > mostNumbers {
		clear(h.taken)
		h.numbers = len(numbers) + 1
	}
	h.taken[x.client] = heritage{node, numbers}
}

// read answers the sessions that a node has left. They must not be changed.
func (h *heirs) read(ctx context.Context, node string) (map[string]*moved, error) {
	select {
	case h.reading <- struct{}{}:
		defer func() { <-h.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	version, err := h.b.cfg.Estates.Version(ctx, node)
	if err != nil || version == "" {
		return nil, err
	}
	if node == h.node && version == h.version {
		return h.by, nil
	}
	var g gathering
	if err := h.b.cfg.Estates.Read(ctx, node, g.add); err != nil {
		return nil, err
	}
	by, bad := g.sessions()
	if bad > 0 {
		h.b.count.unreadable.Add(int64(bad))
		h.b.warn("records that a node has left cannot be read", "node", node, "n", bad)
	}
	h.node, h.version, h.by = node, version, by
	return by, nil
}

// forget drops what was read of a node.
func (h *heirs) forget(node string) {
	h.reading <- struct{}{}
	defer func() { <-h.reading }()
	if h.node == node {
		h.node, h.version, h.by = "", "", nil
	}
}

// Adopt takes over all sessions that a node has left which is no longer among those that
// live, but for those that another node has claimed or has a newer one of. It answers
// how many, and whether what the node has left can be dropped: nobody is about to take
// over any of it. It blocks until that is done, the node lives again (lives is asked
// between two sessions), or ctx ends. Over [Config].MaxSessions the rest stays where it
// is, for when its clients come.
func (b *Broker) Adopt(ctx context.Context, node string, lives func() bool) (n int, done bool, err error) {
	h := b.heirs
	if h.off() {
		return 0, false, nil
	}
	defer h.forget(node)
	all, err := h.read(ctx, node)
	if err != nil {
		return 0, false, fmt.Errorf("broker: read what %s has left: %w", node, err)
	}
	done = true
	taken := map[string]*moved{}
	defer func() {
		if n > 0 {
			h.makeGood(h.missed(ctx, node), taken)
		}
	}()
	for client, left := range all {
		if ctx.Err() != nil || lives() || b.server.Clients.Len() >= b.cfg.MaxSessions {
			return n, false, ctx.Err()
		}
		installed, settled, err := h.adopt(ctx, node, client, left)
		if err != nil {
			return n, false, fmt.Errorf("broker: claim what %s has left: %w", node, err)
		}
		if done = done && settled; installed {
			taken[client] = left
			n++
		}
	}
	return n, done && !lives(), nil
}

// adopt takes over one of them, and tells whether its claim was done before.
func (h *heirs) adopt(ctx context.Context, node, client string, left *moved) (installed, settled bool, err error) {
	c, err := h.b.cfg.Estates.Claim(ctx, node, client, time.Now().UnixMicro(), "")
	if err != nil || c.By != h.b.cfg.Relay.Node() || c.Done {
		return false, c.Done, err
	}
	if newest, _ := h.b.cfg.Relay.Newest(client); newest == "" || newest == node {
		installed = h.install(node, left, false)
	}
	h.settle(node, client, c)
	return installed, false, nil
}

// settle has a claim be done.
func (h *heirs) settle(node, client string, c estate.Claim) {
	h.mu.Lock()
	if h.owed[node] == nil {
		h.owed[node] = map[string]estate.Claim{}
	}
	h.owed[node][client] = c
	h.mu.Unlock()
	h.nudge()
}

func (h *heirs) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}
