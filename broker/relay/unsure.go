package relay

import (
	"encoding/binary"
	"slices"
)

// What was sent to a node, and is not known to be kept there: a node that dies takes it
// along. It is remembered for the nodes that go on with the dead one's sessions. With its
// beat a node says how far it has sent; the other says so back two beats after all of that
// has come, when it is where the sessions of that node are kept.

// unsure are messages of QoS 1 and 2 of this node to another, oldest first.
type unsure struct {
	last  uint64 // number of the newest there was
	list  []Unsure
	bytes int
}

// Unsure is one of them.
type Unsure struct {
	Number uint64 // grows by one with each
	Record []byte // as it was given to [Relay.Send]; it must not be changed
}

// add notes one, and answers how many of the oldest it had to forget.
func (u *unsure) add(record []byte, most int) (forgotten int) {
	u.last++
	u.list = append(u.list, Unsure{u.last, record})
	for u.bytes += len(record); u.bytes > most && len(u.list) > 1; forgotten++ {
		u.drop(1)
	}
	return forgotten
}

// known notes that the node has all up to a number.
func (u *unsure) known(number uint64) {
	n, _ := slices.BinarySearchFunc(u.list, number+1, func(x Unsure, number uint64) int {
		switch {
		case x.Number < number:
			return -1
		case x.Number > number:
			return 1
		}
		return 0
	})
	u.drop(n)
}

func (u *unsure) drop(n int) {
	for _, x := range u.list[:n] {
		u.bytes -= len(x.Record)
	}
	clear(u.list[:n])
	if u.list = u.list[n:]; len(u.list) == 0 {
		u.list = nil
	}
}

// remember notes what was sent to a node.
func (r *Relay) remember(node string, record []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[node]; p != nil {
		r.count.forgotten.Add(uint64(p.unsure.add(record, r.cfg.Unsure)))
	}
}

// Unsure answers what was sent to a node after a number, and is not known to be kept
// there, oldest first; also of a node that is gone, until it is back. It is remembered
// where [Config].Unsure is set alone.
func (r *Relay) Unsure(node string, after uint64) (list []Unsure) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	u := r.leftUnsure[node]
	if p := r.peers[node]; p != nil && len(p.unsure.list) > 0 {
		u = &p.unsure
	}
	if u == nil {
		return nil
	}
	for _, x := range u.list {
		if x.Number > after {
			list = append(list, x)
		}
	}
	return list
}

// marks are the words of a beat that are about what is unsure, by node. mu is held.
func (r *Relay) marks() map[string][][]byte {
	words := map[string][][]byte{}
	for name, p := range r.peers {
		if len(p.unsure.list) > 0 {
			words[name] = append(words[name], binary.AppendUvarint([]byte{wordMark}, p.unsure.last))
		}
		if p.settled > 0 {
			words[name] = append(words[name], binary.AppendUvarint([]byte{wordSettled}, p.settled))
		}
		p.settled, p.marked = p.marked, 0
	}
	return words
}

// heardMark notes how far a node had sent when all of that had come here.
func (r *Relay) heardMark(node string, b []byte) {
	r.number(node, b, func(p *peer, n uint64) { p.marked = n })
}

// heardSettled forgets what a node has kept.
func (r *Relay) heardSettled(node string, b []byte) {
	r.number(node, b, func(p *peer, n uint64) { p.unsure.known(n) })
}

func (r *Relay) number(node string, b []byte, take func(*peer, uint64)) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n != len(b) {
		r.malformed(node)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[node]; p != nil {
		take(p, v)
	}
}
