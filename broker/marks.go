package broker

import (
	"encoding/binary"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/relay"
)

// marks say of each topic that other nodes get when its retained message was
// published, and at which node: the newest counts at every node, and a deletion is
// one. So that a node which was away does not bring a deleted message back, deletions
// are remembered for goneKept, at most mostGone of them; over that any is forgotten,
// and counted. They are on disk with the messages. A nil one is of a broker that is
// alone.
type marks struct {
	self string

	mu   sync.Mutex
	by   map[string]mark
	sums relay.Sums
	last int64
	gone int
	lost int64 // deletions forgotten early
}

// mark is when and where a message was published.
type mark struct {
	at   int64 // microseconds since 1970, at least one more than any that was seen before
	node string
	gone bool // it was a deletion
}

const (
	goneKept = 7 * 24 * time.Hour
	mostGone = 100_000
	// unmarked is when a message was published that is from before there were nodes.
	unmarked = 1
)

func newMarks(self string) *marks { return &marks{self: self, by: map[string]mark{}} }

func (m mark) newer(than mark) bool {
	return m.at > than.at || m.at == than.at && m.node > than.node
}

// next is the mark of a message that is published here now.
func (k *marks) next(gone bool) mark {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = max(k.last+1, time.Now().UnixMicro())
	return mark{k.last, k.self, gone}
}

// take sets the mark of a topic, unless there is one as new or newer.
func (k *marks) take(topic string, m mark) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	old, ok := k.by[topic]
	if ok && !m.newer(old) {
		return false
	}
	k.last = max(k.last, m.at)
	k.remove(topic)
	k.by[topic] = m
	k.sums[relay.Bucket(topic)] ^= m.sum(topic)
	if m.gone {
		k.gone++
		k.forgetOver()
	}
	return true
}

// forgetOver forgets a deletion where there are too many. The lock is held.
func (k *marks) forgetOver() {
	if k.gone <= mostGone {
		return
	}
	for topic, m := range k.by {
		if m.gone {
			k.remove(topic)
			k.lost++
			return
		}
	}
}

func (k *marks) remove(topic string) {
	m, ok := k.by[topic]
	if !ok {
		return
	}
	delete(k.by, topic)
	k.sums[relay.Bucket(topic)] ^= m.sum(topic)
	if m.gone {
		k.gone--
	}
}

// drop forgets a topic whose message has expired, which it does at every node.
func (k *marks) drop(topic string) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.remove(topic)
}

// get is the mark of a topic; false: there is none.
func (k *marks) get(topic string) (mark, bool) {
	if k == nil {
		return mark{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	m, ok := k.by[topic]
	return m, ok
}

// old takes the topics whose deletions need no longer be remembered.
func (k *marks) old(now time.Time) (topics []string) {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone == 0 {
		return nil
	}
	for topic, m := range k.by {
		if m.gone && now.Sub(time.UnixMicro(m.at)) > goneKept {
			topics = append(topics, topic)
		}
	}
	for _, topic := range topics {
		k.remove(topic)
	}
	return topics
}

// differing are the topics in the buckets whose sums are others.
func (k *marks) differing(than relay.Sums) (topics []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for topic := range k.by {
		if b := relay.Bucket(topic); k.sums[b] != than[b] {
			topics = append(topics, topic)
		}
	}
	return topics
}

// sum is what of a topic is in the sum of its bucket.
func (m mark) sum(topic string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(append(m.append(nil), topic...)) // never fails
	return h.Sum64()
}

func (m mark) append(b []byte) []byte {
	return appendText(binary.AppendUvarint(b, uint64(m.at)), m.node)
}

func readMark(r *reader) mark {
	at := r.number()
	r.bad = r.bad || at > 1<<62
	return mark{at: int64(at), node: string(r.text())}
}

// markOwn marks a message that is about to be retained, where other nodes get it. The
// zero mark: they do not.
func (b *Broker) markOwn(pk *packets.Packet) mark {
	if b.marks == nil || !relay.Carries(pk.TopicName) || !area.Passes(area.Message{From: pk.Origin}, area.FromNode) {
		return mark{}
	}
	m := b.marks.next(len(pk.Payload) == 0)
	b.marks.take(pk.TopicName, m)
	return m
}

// nodeOf is the node at which what is retained on a topic was published; empty: here.
func (b *Broker) nodeOf(topic string) string {
	if m, ok := b.marks.get(topic); ok && m.node != b.marks.self {
		return m.node
	}
	return ""
}

// Sums implements relay.Broker.
func (b *Broker) Sums() relay.Sums {
	b.marks.mu.Lock()
	defer b.marks.mu.Unlock()
	return b.marks.sums
}

// Differing implements relay.Broker.
func (b *Broker) Differing(than relay.Sums, most int) (records [][]byte, more bool) {
	size := 0
	for _, topic := range b.marks.differing(than) {
		m, ok := b.marks.get(topic)
		if !ok {
			continue
		}
		pk, there := b.retainedOn(topic)
		if !there && !m.gone {
			continue // it has just expired
		}
		if m.gone {
			pk = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: topic, ProtocolVersion: 5, Filters: tagOf(0, false)}
		}
		x := away{pk: pk, mark: m}
		record := x.encode(x.encodeBody(), true, nil)
		if size += len(record); size > most {
			return records, true
		}
		records = append(records, record)
	}
	return records, false
}

// Keep implements relay.Broker: what is newer than ours has been missed, so those who
// subscribe here get it too.
func (b *Broker) Keep(node string, record []byte) bool {
	x, ok := b.read(node, record)
	if !ok || !b.keepAway(&x.pk, x.mark) {
		return false
	}
	who := b.audienceOf(x.pk.TopicName)
	b.handAway(who, &x.pk, node, true, true)
	b.deliverAll(who, nil, &x.pk)
	return true
}

// keepAway retains a message of another node, unless there is a newer one here. One
// that has expired meanwhile is not kept.
func (b *Broker) keepAway(pk *packets.Packet, m mark) bool {
	m.gone = len(pk.Payload) == 0
	if strings.TrimSpace(m.node) == "" || expires(pk) && pk.Expiry < time.Now().Unix() {
		return false
	}
	b.retained.Lock()
	if !b.marks.take(pk.TopicName, m) {
		b.retained.Unlock()
		return false
	}
	b.holdings.force(pk)
	b.tree.put(*pk)
	b.countRetained()
	b.retained.Unlock()
	b.kept.retained(b.own, *pk)
	return true
}
