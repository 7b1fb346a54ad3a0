package broker

import (
	"context"
	"time"

	"github.com/tacet-hub/tacet/broker/estate"
)

// How a node gives up sessions that another node has taken over while it was down, or
// cut off. What is in their queues goes to that node, which takes what it does not know
// of. Until it has answered they stay here, without subscriptions.

// leaving is a session that is being given up.
type leaving struct {
	to    string // node; empty: the one that has the newest
	tries int
	next  time.Time // of the next one
}

const (
	leaveWait  = 2 * time.Second  // between tries
	leaveTries = 30               // while other nodes can be reached
	leaveTime  = 10 * time.Second // for one of them
)

// leave gives up the session of a client that is not connected here: it is at another
// node.
func (h *heirs) leave(client, to string) {
	cl, there := h.b.server.Clients.Get(client)
	if h.off() || !there {
		h.b.endAbsent(client)
		return
	}
	h.mu.Lock()
	if cl.State.Inflight.Len() > 0 {
		h.leaving[client] = leaving{to: to}
	} else {
		h.ended = append(h.ended, client)
	}
	_, waits := h.leaving[client]
	h.mu.Unlock()
	if waits {
		h.b.server.UnsubscribeClient(cl) // what is published from now on is the other's
	} else {
		h.b.endAbsent(client)
	}
	h.nudge()
}

// claimed takes in which sessions of this node others have taken over. One that was taken
// up here since is ours all the same, and what the other has in its queue is to come.
func (h *heirs) claimed(claims map[string]estate.Claim) {
	for client, c := range claims {
		since := h.b.cfg.Relay.Since(client)
		switch {
		case since > c.At:
			h.mu.Lock()
			h.taken[client] = heritage{node: c.By, numbers: map[int64]struct{}{}}
			h.ended = append(h.ended, client)
			h.mu.Unlock()
		case since == 0:
			h.mu.Lock()
			h.ended = append(h.ended, client)
			h.mu.Unlock()
		default:
			h.b.elsewhere(client, c.By)
		}
	}
	h.nudge()
}

// run settles claims and gives sessions up, until ctx ends.
func (h *heirs) run(ctx context.Context) {
	if h.off() {
		return
	}
	tick := time.NewTicker(leaveWait)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-tick.C:
		}
		h.settleAll(ctx)
		h.leaveAll(ctx)
		h.disclaim(ctx)
	}
}

// settleAll has the claims be done that are owed; those that are not are tried again.
func (h *heirs) settleAll(ctx context.Context) {
	h.mu.Lock()
	owed := h.owed
	h.owed = map[string]map[string]estate.Claim{}
	h.mu.Unlock()
	for node, claims := range owed {
		short, stop := context.WithTimeout(ctx, leaveTime)
		err := h.b.cfg.Estates.Settle(short, node, claims)
		stop()
		if err == nil {
			continue
		}
		h.mu.Lock()
		for client, c := range claims {
			if h.owed[node] == nil {
				h.owed[node] = map[string]estate.Claim{}
			}
			if _, newer := h.owed[node][client]; !newer {
				h.owed[node][client] = c
			}
		}
		h.mu.Unlock()
	}
}

// leaveAll tries to give up what is to be given up, as far as its time has come. While no
// other node can be reached it all stays.
func (h *heirs) leaveAll(ctx context.Context) {
	if !h.b.cfg.Relay.Up() {
		return
	}
	for client, l := range h.leaveNow(time.Now()) {
		if h.b.sessions.get(client) != nil { // it has come back, and takes over from the other
			h.claimsEnd(client)
			continue
		}
		cl, _ := h.b.server.Clients.Get(client)
		short, stop := context.WithTimeout(ctx, leaveTime)
		err := h.handOver(short, client, l.to)
		stop()
		if l.tries++; err != nil && (l.tries < leaveTries || ctx.Err() != nil) {
			l.next = time.Now().Add(leaveWait)
			h.mu.Lock()
			h.leaving[client] = l
			h.mu.Unlock()
			continue
		}
		if err != nil {
			h.forsaken(client, l.to, err)
		}
		if now, _ := h.b.server.Clients.Get(client); now == cl { // else it has come and gone meanwhile
			h.b.endAbsent(client)
		}
		h.claimsEnd(client)
	}
}

// claimsEnd has the claims on a session deleted that is here no more, or is another.
func (h *heirs) claimsEnd(client string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = append(h.ended, client)
}

// leaveNow takes out what is tried at an instant.
func (h *heirs) leaveNow(now time.Time) map[string]leaving {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := map[string]leaving{}
	for client, l := range h.leaving {
		if !l.next.After(now) {
			list[client] = l
			delete(h.leaving, client)
		}
	}
	return list
}

func (h *heirs) forsaken(client, node string, err error) {
	h.b.count.forsaken.Add(1)
	h.b.warn("what waited for a client is lost, the node that has its session does not take it", "device", client, "node", node, "err", err)
}

// comesBack has a session not be given up any more, since its client has come. Nor counts
// that another node has claimed it: when this one is down again it is to be taken over.
func (h *heirs) comesBack(client string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, was := h.leaving[client]; was {
		delete(h.leaving, client)
		h.ended = append(h.ended, client)
	}
}

// handBack hands what still waits here for a client that has come to the node that has
// its session, before that comes here in the place of the one that is here.
func (h *heirs) handBack(ctx context.Context, client, node string) {
	if cl, there := h.b.server.Clients.Get(client); h.off() || !there || cl.State.Inflight.Len() == 0 {
		return
	}
	if err := h.handOver(ctx, client, node); err != nil {
		h.forsaken(client, node, err)
	}
}

// handOver brings the queue of a session to the node that has the session.
func (h *heirs) handOver(ctx context.Context, client, to string) error {
	if _, there := h.b.server.Clients.Get(client); !there {
		return nil
	}
	if holder, _ := h.b.cfg.Relay.Holder(client); to == "" {
		to = holder
	}
	if to == "" {
		return nil // it has ended there
	}
	m := mover{b: h.b, ctx: ctx, node: to, client: client}
	for more, last := true, int64(0); more; {
		var page []byte
		page, last = h.b.queueOf(client, last, moveBytes)
		more = page[1] == 1
		r, err := m.ask(moveRest, page[1:]...)
		if err != nil {
			return err
		}
		if wants := r.byte() == 1; r.end() != nil || !wants {
			return r.end()
		}
	}
	return nil
}

// takeRest takes what of a queue did not come with the session.
func (h *heirs) takeRest(from, client string, r *reader) []byte {
	h.mu.Lock()
	was, known := h.taken[client]
	h.mu.Unlock()
	cl, there := h.b.server.Clients.Get(client)
	if !known || was.node != from || !there {
		return []byte{recordVersion, 0}
	}
	readQueue(r, func(one movedMessage) {
		if !one.released && h.unknown(client, one.number) {
			pk := one.pk
			pk.Created = h.b.lastMsg.Add(1)
			to := member{client: client, ids: pk.Properties.SubscriptionIdentifier}
			to.sub.Qos, to.sub.RetainAsPublished = pk.FixedHeader.Qos, true
			h.b.deliver(cl, &to, &message{pk: &pk})
		}
	})
	return []byte{recordVersion, 1}
}

// unknown tells whether a message of a queue has not come yet, and notes it.
func (h *heirs) unknown(client string, number int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	numbers := h.taken[client].numbers
	_, known := numbers[number]
	if !known && numbers != nil {
		numbers[number] = struct{}{}
		h.numbers++
	}
	return !known && numbers != nil
}

// disclaim deletes the claims on sessions that have ended here.
func (h *heirs) disclaim(ctx context.Context) {
	h.mu.Lock()
	list := h.ended
	h.ended = nil
	h.mu.Unlock()
	if len(list) == 0 {
		return
	}
	short, stop := context.WithTimeout(ctx, leaveTime)
	defer stop()
	if h.b.cfg.Estates.Disclaim(short, list) != nil {
		h.mu.Lock()
		h.ended = append(list, h.ended...)
		h.mu.Unlock()
	}
}
