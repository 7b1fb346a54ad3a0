package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
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

// atOf is when what is told of a client was taken up; 0: nothing is told.
func atOf(text string) int64 {
	s, _ := parseSession(text)
	return s.at
}

// newer tells whether a session at one node counts rather than that at another.
func (s session) newer(node string, than session, other string) bool {
	return s.at > than.at || s.at == than.at && node > other
}

// Client says that a client has its session here, since a time in microseconds since
// 1970: it counts as later than whatever another node, one that is gone too, has told of
// that client. A session that is known keeps its time where since is 0.
func (r *Relay) Client(client string, since int64, up bool) {
	r.mu.Lock()
	own, _ := parseSession(r.own.all[key(aboutClient, client)])
	switch {
	case since > 0:
		own.at = since
		for _, p := range r.peers {
			own.at = max(own.at, atOf(p.clients[client])+1)
		}
		for _, clients := range r.left {
			own.at = max(own.at, atOf(clients[client])+1)
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

// probeWait is how long a node may take to say that it is there. A node that was killed
// is among those that live for the node timeout, and all of its clients come here
// meanwhile: none of them shall wait for longer.
const probeWait = 2 * time.Second

// ErrMute is that a node does not answer.
var ErrMute = errors.New("relay: the node does not answer")

// Ask puts a question to the broker of a node. It blocks until that answers, or ctx
// ends. It fails with [ErrMute] where the node does not say within two seconds that it
// is there; and, while the wire is down, or nothing is heard of the node since it did
// not answer, at once.
func (r *Relay) Ask(ctx context.Context, node string, question []byte) ([]byte, error) {
	if !r.up.Load() || r.muted(node, false) {
		return nil, fmt.Errorf("%w: %s", ErrMute, node)
	}
	probe, stop := context.WithTimeout(ctx, probeWait)
	defer stop()
	if _, err := r.wire.Ask(probe, node, nil); err != nil {
		r.muted(node, probe.Err() != nil && ctx.Err() == nil)
		return nil, fmt.Errorf("%w: %s: %w", ErrMute, node, err)
	}
	return r.wire.Ask(ctx, node, question)
}

// muted tells whether a node did not answer; now: it has not just now.
func (r *Relay) muted(node string, now bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[node]
	if p == nil {
		return true
	}
	p.mute = p.mute || now
	return p.mute
}

// Answer has this node's broker answer a question of another; an empty one, which asks
// whether this node is there, it answers itself. It may block.
func (r *Relay) Answer(ctx context.Context, from string, question []byte) ([]byte, error) {
	if len(question) == 0 {
		return nil, nil
	}
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

// mostLeft is of how many nodes that are gone it is remembered who had a session there,
// and what was unsure; for a further one the one that is gone for longest is forgotten.
const mostLeft = 16

// leave remembers whose sessions a node has that is gone, or has ended and begun anew; then
// only until it has told itself. mu is held.
func (r *Relay) leave(p *peer) {
	if len(p.clients) == 0 && len(p.unsure.list) == 0 {
		return
	}
	r.gone = append(slices.DeleteFunc(r.gone, func(name string) bool { return name == p.name }), p.name)
	if len(r.gone) > mostLeft {
		r.isBack(r.gone[0])
	}
	if len(p.clients) > 0 {
		r.left[p.name] = p.clients
	}
	if len(p.unsure.list) > 0 {
		r.leftUnsure[p.name] = &p.unsure
	}
}

// isBack forgets what is remembered of a node that was gone. mu is held.
func (r *Relay) isBack(name string) {
	delete(r.left, name)
	delete(r.leftUnsure, name)
	r.gone = slices.DeleteFunc(r.gone, func(n string) bool { return n == name })
}

// Newest is the node that has, or had when it left, the newest session of a client, this
// one included; since tells when it was taken up, in microseconds since 1970. Empty:
// nobody is known to have one.
func (r *Relay) Newest(client string) (node string, since int64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var best session
	look := func(name, text string) {
		if s, ok := parseSession(text); ok && (node == "" || s.newer(name, best, node)) {
			node, best = name, s
		}
	}
	for name, clients := range r.left {
		look(name, clients[client])
	}
	for name, p := range r.peers {
		look(name, p.clients[client])
	}
	look(r.cfg.Node, r.own.all[key(aboutClient, client)])
	return node, best.at
}

// Since is when this node took up the session that it has of a client, in microseconds
// since 1970; 1: before it started; 0: it has none.
func (r *Relay) Since(client string) int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	own, _ := parseSession(r.own.all[key(aboutClient, client)])
	return own.at
}
