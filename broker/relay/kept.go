package relay

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// How the nodes come to retain the same. A retained message goes to every node when it
// is published. Where one may have been lost (a node comes, the wire was down or tells
// of a gap, a queue was full) nodes compare: one sends the sums of what it has, the
// other answers with what is in the buckets whose sums differ, and the newest counts.
// As a last resort each beat has a digest: where those of two nodes differ, and neither
// has changed since the beat before, they compare.

// buckets is how many sums there are.
const buckets = 256

// Sums sum up what is retained, by bucket of topics: what is equal has equal sums.
type Sums [buckets]uint64

// Bucket is the bucket of a topic.
func Bucket(topic string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(topic)) // never fails
	return int(h.Sum32() % buckets)
}

// digest sums up the sums.
func (s Sums) digest() uint64 {
	h := fnv.New64a()
	_, _ = h.Write(s.append(nil)) // never fails
	return h.Sum64()
}

func (s Sums) append(b []byte) []byte {
	for _, x := range s {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

// How much is sent of what is retained: in a round, and in one word of it.
const (
	roundBytes = 4 << 20
	keptBytes  = 256 << 10
)

// compare asks a node for what it retains otherwise.
func (r *Relay) compare(node string) {
	r.count.compared.Add(1)
	_ = r.wire.Send(node, r.broker.Sums().append([]byte{wordSums})) // the next beats tell
}

func (r *Relay) compareAll() {
	for _, node := range r.Others() {
		r.compare(node)
	}
}

// owe notes that a node lacks something.
func (r *Relay) owe(node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[node]; p != nil {
		p.owed = true
	}
}

// payUp has a node that lacks something ask for it.
func (r *Relay) payUp(node string) {
	if r.wire.Send(node, []byte{wordOwed}) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[node]; p != nil {
		p.owed = false
	}
}

// heardDigest compares where two beats have told the same difference.
func (r *Relay) heardDigest(node string, digest uint64) {
	ours := r.broker.Sums().digest()
	r.mu.Lock()
	p := r.peer(node)
	stands := digest != ours && p.digest == digest && p.ours == ours
	p.digest, p.ours = digest, ours
	r.mu.Unlock()
	if stands {
		r.compare(node)
	}
}

// heardSums sends a node what it lacks, or may lack.
func (r *Relay) heardSums(node string, b []byte) {
	if len(b) != 8*buckets {
		r.malformed(node)
		return
	}
	var s Sums
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	records, more := r.broker.Differing(s, roundBytes)
	records = slices.DeleteFunc(records, r.tooLarge)
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && (n == 0 || size+len(records[n]) <= keptBytes) {
			size += len(records[n])
			n++
		}
		last := n == len(records)
		if r.wire.Send(node, appendKept(records[:n], last && more)) != nil {
			r.owe(node)
			return
		}
		r.count.mended.Add(uint64(n))
		records = records[n:]
	}
}

// tooLarge tells whether a record is more than the wire takes, and counts it.
func (r *Relay) tooLarge(record []byte) bool {
	if len(record) <= mostRecord {
		return false
	}
	r.count.tooLarge.Add(1)
	return true
}

// appendKept is the word with which records are sent.
func appendKept(records [][]byte, more bool) []byte {
	b := []byte{wordKept, 0}
	if more {
		b[1] = 1
	}
	for _, x := range records {
		b = append(binary.AppendUvarint(b, uint64(len(x))), x...)
	}
	return b
}

// heardKept takes what another node retains, and asks for the rest.
func (r *Relay) heardKept(node string, b []byte) {
	in := reader{b: b}
	more := in.byte() == 1
	progress := false
	for !in.bad && len(in.b) > 0 {
		if record := in.text(); !in.bad && r.broker.Keep(node, []byte(record)) {
			progress = true
		}
	}
	if in.bad {
		r.malformed(node)
	}
	if more && progress { // else it is the other node that is behind
		r.compare(node)
	}
}
