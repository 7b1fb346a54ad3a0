package relay

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// beatEvery is how often a node says which version its facts have, so that nobody
// goes on with old ones; what could not be told is told again then.
const beatEvery = 2 * time.Second

// Words of one relay to another; the first byte says which.
const (
	wordMessage byte = iota + 1
	wordFacts        // a telling
	wordAgain        // tell me all
	wordBeat         // version of the facts, and digest of what is retained
	wordSums         // of what is retained: send me what I lack
	wordKept         // what is retained
	wordOwed         // you lack what is retained here: tell me your sums
	wordNote         // a note
	wordCheck        // which version of my facts do you have
	wordKnown        // that one
	wordMark         // so far have I sent messages
	wordSettled      // up to there they are kept here
)

// Node is another process of the hub.
type Node struct {
	Name string
	Life uint64 // another one with each start
}

// heard is what waits for Run: a word, or news.
type heard struct {
	node   string
	word   []byte
	nodes  []Node // all that live, where it is news of them
	missed uint64
	up     bool // the wire is
}

// queue is what waits for Run. Over the bound words are dropped; news never are.
type queue struct {
	most int
	wake chan struct{}

	mu      sync.Mutex
	list    []heard
	bytes   int
	dropped uint64
	behind  map[string]bool // nodes of which words were dropped
}

func (q *queue) put(h heard) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if h.word != nil && q.bytes+len(h.word) > q.most {
		q.dropped++
		if q.behind == nil {
			q.behind = map[string]bool{}
		}
		q.behind[h.node] = true
		return
	}
	q.bytes += len(h.word)
	q.list = append(q.list, h)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) take(into []heard) (list []heard, behind map[string]bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	list, behind = q.list, q.behind
	q.list, q.bytes, q.behind = into[:0], 0, nil
	return list, behind
}

func (q *queue) lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Hear takes a word of another node. It does not block; the word may be kept.
func (r *Relay) Hear(node string, word []byte) { r.in.put(heard{node: node, word: word}) }

// Missed takes in that the wire has lost n words of a node; 0: nobody knows how many.
// It does not block.
func (r *Relay) Missed(node string, n uint64) { r.in.put(heard{node: node, missed: max(1, n)}) }

// Nodes takes in which nodes live, this one included. It does not block.
func (r *Relay) Nodes(all []Node) { r.in.put(heard{nodes: slices.Clone(all)}) }

// Connected takes in whether the wire is up; it begins with down. It does not block.
func (r *Relay) Connected(up bool) {
	r.up.Store(up)
	r.waiting.Store(0)
	if up {
		r.in.put(heard{up: true})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed()
}

// Run hands what comes to the broker, and tells the others of this node, until ctx
// ends; then it returns nil.
func (r *Relay) Run(ctx context.Context) error {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	var spare []heard
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-beat.C:
			r.beat()
		}
		list, behind := r.in.take(spare)
		for i := range list {
			r.take(&list[i])
		}
		for node := range behind {
			r.missing(node)
		}
		clear(list)
		spare = list
		r.tell()
		r.check()
	}
}

func (r *Relay) take(h *heard) {
	switch {
	case h.nodes != nil:
		r.live(h.nodes)
	case h.missed > 0:
		r.count.missed.Add(h.missed)
		r.log.Warn("messages of another node are lost", "node", h.node, "n", h.missed)
		r.missing(h.node)
	case h.up:
		r.beat()
		r.compareAll()
	case len(h.word) == 0:
	default:
		r.audible(h.node)
		r.word(h.node, h.word[0], h.word[1:])
	}
}

// audible notes that a node is heard.
func (r *Relay) audible(node string) {
	r.mu.RLock()
	p := r.peers[node]
	mute := p != nil && p.mute
	r.mu.RUnlock()
	if mute {
		r.mu.Lock()
		p.mute = false
		r.mu.Unlock()
	}
}

// word takes in what another node says.
func (r *Relay) word(node string, what byte, b []byte) {
	switch what {
	case wordMessage:
		r.count.received.Add(1)
		r.broker.Receive(node, b)
	case wordFacts:
		t, ok := parseTelling(b)
		if !ok {
			r.malformed(node)
			return
		}
		r.facts(node, t)
	case wordAgain:
		r.mu.Lock()
		r.peer(node).sent = 0
		r.mu.Unlock()
	case wordBeat:
		if v, n := binary.Uvarint(b); n <= 0 || len(b) != n+8 {
			r.malformed(node)
		} else {
			r.heardBeat(node, v)
			r.heardDigest(node, binary.LittleEndian.Uint64(b[n:]))
		}
	case wordSums:
		r.heardSums(node, b)
	case wordKept:
		r.heardKept(node, b)
	case wordOwed:
		r.compare(node)
	case wordNote:
		r.heardNote(node, b)
	case wordCheck:
		r.heardCheck(node)
	case wordKnown:
		r.heardKnown(node, b)
	case wordMark:
		r.heardMark(node, b)
	case wordSettled:
		r.heardSettled(node, b)
	default:
		r.malformed(node) // of a newer version of this program
	}
}

func (r *Relay) malformed(node string) {
	r.count.malformed.Add(1)
	r.log.Warn("word of another node cannot be read", "node", node)
}

// peer is a node that is heard; mu is held.
func (r *Relay) peer(name string) *peer {
	p := r.peers[name]
	if p == nil {
		p = newPeer(name, 0)
		r.peers[name] = p
	}
	return p
}

// live takes in which nodes live.
func (r *Relay) live(all []Node) {
	var met []string
	r.mu.Lock()
	for name, p := range r.peers {
		if !slices.ContainsFunc(all, func(n Node) bool { return n.Name == name }) {
			r.leave(p)
			delete(r.peers, name)
		}
	}
	for _, n := range all {
		if n.Name == r.cfg.Node {
			continue
		}
		p := r.peer(n.Name)
		if p.life == n.Life {
			continue
		}
		if p.life != 0 {
			r.leave(p)
			p = newPeer(n.Name, 0)
			r.peers[n.Name] = p
		}
		p.life = n.Life
		met = append(met, n.Name)
	}
	r.changed()
	r.mu.Unlock()
	r.broker.Rerouted()
	for _, name := range met {
		r.compare(name)
	}
}

// facts takes in what a node tells of itself.
func (r *Relay) facts(node string, t telling) {
	told := map[string]string{} // of clients
	r.mu.Lock()
	p := r.peer(node)
	ok := p.take(t, func(client, is string) { told[client] = is })
	if p.told {
		r.isBack(node)
	}
	elsewhere := r.settle(node, told)
	r.mu.Unlock()
	r.broker.Rerouted()
	for _, client := range elsewhere {
		r.broker.Elsewhere(client)
	}
	if !ok {
		r.again(node)
	}
}

// heardBeat asks again where the facts of a node are not those that it has.
func (r *Relay) heardBeat(node string, version uint64) {
	r.mu.Lock()
	p := r.peer(node)
	old := !p.told || p.version != version
	if old {
		p.asked = false // what came of an earlier question is lost
	}
	r.mu.Unlock()
	if old {
		r.again(node)
	}
}

// missing makes good that words of a node are lost. Whatever it tells or was asked may be
// among them: until it has told all anew nothing that it tells of changes counts.
func (r *Relay) missing(node string) {
	r.mu.Lock()
	p := r.peer(node)
	p.version, p.coming, p.asked = 0, nil, false
	r.mu.Unlock()
	r.again(node)
	r.compare(node)
}

// again asks a node for all of its facts. The question, or the answer, may be lost:
// the next beat asks again.
func (r *Relay) again(node string) {
	r.mu.Lock()
	p := r.peer(node)
	ask := !p.asked
	p.asked = true
	r.mu.Unlock()
	if ask {
		_ = r.wire.Send(node, []byte{wordAgain})
	}
}

// beat says which version our facts have to everybody who should have it.
func (r *Relay) beat() {
	digest := r.broker.Sums().digest()
	r.mu.Lock()
	word := binary.AppendUvarint([]byte{wordBeat}, r.own.version)
	word = binary.LittleEndian.AppendUint64(word, digest)
	var to, owed []string
	for name, p := range r.peers {
		if p.refused, p.checked = false, 0; p.sent == r.own.version {
			to = append(to, name)
		}
		if p.owed && r.up.Load() {
			owed = append(owed, name)
		}
	}
	marks := r.marks()
	r.mu.Unlock()
	for _, name := range to {
		_ = r.wire.Send(name, word)
	}
	for name, words := range marks {
		for _, w := range words {
			_ = r.wire.Send(name, w) // the next beat says it again
		}
	}
	for _, name := range owed {
		r.payUp(name)
	}
}

// tell tells the others what has changed here, and those that know nothing of us all.
func (r *Relay) tell() {
	r.mu.Lock()
	from := r.own.version
	changes := r.own.changes()
	to := r.own.version
	var whole []fact
	words := map[string][]telling{}
	for name, p := range r.peers {
		switch {
		case p.sent == to || p.refused:
		case p.sent == from:
			words[name] = tellings(from, to, changes)
		default:
			if whole == nil {
				whole = r.own.list()
			}
			words[name] = tellings(0, to, whole)
			r.count.retold.Add(1)
		}
	}
	r.mu.Unlock()
	for name, list := range words {
		r.told(name, list, to)
	}
}

// told sends tellings to a node, and notes what it has then.
func (r *Relay) told(node string, list []telling, version uint64) {
	for _, t := range list {
		if r.wire.Send(node, t.append([]byte{wordFacts})) != nil {
			version = 0
			break
		}
		r.count.tellings.Add(1)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[node]; p != nil {
		p.sent, p.refused = version, version == 0
	}
}
