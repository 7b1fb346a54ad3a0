package relay

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Which client ids are where. Each node tells of the sessions that it has, connected or
// not, and when each was taken up: so a connection finds the session that its client
// has at another node, and where two nodes have one of the same client the newer
// stays ([Broker.Elsewhere]).

// session is what is told of a client.
type session struct {
	at int64 // when it was taken up, in microseconds since 1970
	up bool  // it is connected
}

func (s session) encode() string {
	if s.up {
		return strconv.FormatInt(s.at, 10) + " up"
	}
	return strconv.FormatInt(s.at, 10)
}

func parseSession(text string) (s session, ok bool) {
	at, up := strings.CutSuffix(text, " up")
	n, err := strconv.ParseInt(at, 10, 64)
	return session{n, up}, err == nil && n > 0
}

// newer tells whether a session at one node counts rather than that at another.
func (s session) newer(node string, than session, other string) bool {
	return s.at > than.at || s.at == than.at && node > other
}

// Client says that a client has its session here, since a time in microseconds since
// 1970: it counts as later than whatever another node has told of that client. A
// session that is known keeps its time where since is 0.
func (r *Relay) Client(client string, since int64, up bool) {
	r.mu.Lock()
	own, _ := parseSession(r.own.all[key(aboutClient, client)])
	switch {
	case since > 0:
		own.at = since
		for _, p := range r.peers {
			if s, ok := parseSession(p.clients[client]); ok {
				own.at = max(own.at, s.at+1)
			}
		}
	case own.at == 0:
		r.mu.Unlock()
		return
	}
	own.up = up
	r.own.set(key(aboutClient, client), own.encode())
	r.subs.connected(client, up)
	r.mu.Unlock()
	r.nudge()
}

// Restored says that a session of an earlier start is here: any other is newer.
func (r *Relay) Restored(client string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own.set(key(aboutClient, client), session{at: 1}.encode())
}

// Gone says that a client has no session here any more.
func (r *Relay) Gone(client string) {
	r.mu.Lock()
	r.own.unset(key(aboutClient, client))
	r.subs.connected(client, false)
	r.mu.Unlock()
	r.nudge()
}

// Holder is the node that has the session of a client, as far as it has told; newer
// tells whether it was taken up after the one that this node has, if any.
func (r *Relay) Holder(client string) (node string, newer bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var best session
	for name, p := range r.peers {
		if s, ok := parseSession(p.clients[client]); ok && (node == "" || s.newer(name, best, node)) {
			node, best = name, s
		}
	}
	own, ok := parseSession(r.own.all[key(aboutClient, client)])
	return node, !ok || best.newer(node, own, r.cfg.Node)
}

// Ask puts a question to the broker of a node. It blocks until that answers, or ctx
// ends; while the wire is down it fails at once.
func (r *Relay) Ask(ctx context.Context, node string, question []byte) ([]byte, error) {
	if !r.up.Load() {
		return nil, fmt.Errorf("relay: node %s cannot be reached", node)
	}
	return r.wire.Ask(ctx, node, question)
}

// Answer has this node's broker answer a question of another. It may block.
func (r *Relay) Answer(ctx context.Context, from string, question []byte) ([]byte, error) {
	return r.broker.Answer(ctx, from, question)
}

// settle answers whose sessions here are older than what a node has told, of the
// clients that it has told of. mu is held.
func (r *Relay) settle(node string, told map[string]string) (elsewhere []string) {
	for client, text := range told {
		s, ok := parseSession(text)
		own, here := parseSession(r.own.all[key(aboutClient, client)])
		if ok && here && s.newer(node, own, r.cfg.Node) {
			elsewhere = append(elsewhere, client)
		}
	}
	return elsewhere
}
