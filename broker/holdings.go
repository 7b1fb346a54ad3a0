package broker

import (
	"strings"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
)

// holdings bounds what clients may have retained: topics and bytes of one
// owner, and bytes in all. Bytes are those of topics, payloads and properties; in
// all, what each topic takes beside those is counted with it (topicCost).
// The overflow policy is to refuse the message; what does not grow is always
// taken, and the hub's own messages are counted in all and never refused.
//
// It is guarded by Broker.retained, held for writing. The counts begin with what
// the tree holds at the first message; where messages have expired, which makes
// them too high, they are made anew before one is refused.
type holdings struct {
	topics   int   // of one owner, at most
	ownBytes int64 // of one owner, at most
	allBytes int64 // of all, at most
	ownerOf  func(origin string) string
	tree     *packets.Packets

	counted bool
	by      map[string]piece // without the hub's
	bytes   atomic.Int64     // in all, now: the sum of weights
	tooHigh atomic.Bool      // messages have expired since they were counted
}

// piece is what an owner has on a topic, or on all of them.
type piece struct {
	owner  string // hubOwner: the hub
	topics int
	bytes  int64
}

const hubOwner = ""

// topicCost is what a retained message takes in memory beside its bytes, in the
// tree and in the maps: measured with 100,000 of them.
const topicCost = 2 << 10

// weight is what of memory is held.
func (p piece) weight() int64 { return p.bytes + int64(p.topics)*topicCost }

// take counts a message that is about to take the place of what the tree has
// on its topic, or says why it must not. An empty one clears the topic.
func (h *holdings) take(pk *packets.Packet) reason {
	if !h.counted {
		h.count()
	}
	var old piece
	if there, ok := h.tree.Get(pk.TopicName); ok {
		old = h.pieceOf(&there)
	}
	next := h.pieceOf(pk)
	why := h.judge(old, next)
	if why != noReason && h.tooHigh.Swap(false) {
		h.count()
		why = h.judge(old, next)
	}
	if why == noReason {
		h.add(old, -1)
		h.add(next, 1)
	}
	return why
}

// force counts a message that other nodes have taken, whatever the bounds are.
func (h *holdings) force(pk *packets.Packet) {
	if !h.counted {
		h.count()
	}
	if there, ok := h.tree.Get(pk.TopicName); ok {
		h.add(h.pieceOf(&there), -1)
	}
	h.add(h.pieceOf(pk), 1)
}

func (h *holdings) pieceOf(pk *packets.Packet) piece {
	p := piece{owner: h.ownerOf(pk.Origin)}
	if len(pk.Payload) > 0 {
		p.topics, p.bytes = 1, int64(packetBytes(pk))
	}
	return p
}

// judge says why next must not take the place of old.
func (h *holdings) judge(old, next piece) reason {
	if next.topics == 0 || next.owner == hubOwner {
		return noReason
	}
	mine, own := h.by[next.owner], old
	if old.owner != next.owner {
		own = piece{}
	}
	switch {
	case next.topics > own.topics && mine.topics+next.topics > h.topics,
		next.bytes > own.bytes && mine.bytes-own.bytes+next.bytes > h.ownBytes:
		return whyRetained
	case next.weight() > old.weight() && h.bytes.Load()-old.weight()+next.weight() > h.allBytes:
		return whyStore
	}
	return noReason
}

func (h *holdings) add(p piece, sign int) {
	h.bytes.Add(int64(sign) * p.weight())
	if p.owner == hubOwner || p.topics == 0 {
		return
	}
	sum := h.by[p.owner]
	sum.topics += sign * p.topics
	sum.bytes += int64(sign) * p.bytes
	if sum.topics <= 0 {
		delete(h.by, p.owner)
		return
	}
	h.by[p.owner] = sum
}

// count makes the counts from what the tree holds.
func (h *holdings) count() {
	h.counted, h.by = true, map[string]piece{}
	h.bytes.Store(0)
	for topic, pk := range h.tree.GetAll() {
		if !strings.HasPrefix(topic, mqtt.SysPrefix) { // the library's own, which pass us by
			h.add(h.pieceOf(&pk), 1)
		}
	}
}

// packetBytes is what a publication takes in memory and on the wire, roughly.
func packetBytes(pk *packets.Packet) int {
	p := &pk.Properties
	n := len(pk.TopicName) + len(pk.Payload) + len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	for _, u := range p.User {
		n += len(u.Key) + len(u.Val)
	}
	return n
}

// ownerOf is who a client's retained messages are counted for: the principal,
// where clients show who they are and NAME:anything is NAME's; else the client
// id, in which a colon means nothing.
func (b *Broker) ownerOf(origin string) string {
	if area.ReservedClient(origin) {
		return hubOwner
	}
	if b.guarded() {
		origin, _, _ = strings.Cut(origin, ":")
	}
	return origin
}

// retain asks whether a message may be retained, and locks out scans of the
// tree where it may, until spread has put it there.
func (b *Broker) retain(client string, pk *packets.Packet) reason {
	b.retained.Lock()
	why := b.holdings.take(pk)
	if why != noReason {
		b.retained.Unlock()
		b.refuse(RefusedMessage, why, client, "")
		b.warn("retained message refused", "device", client, "topic", pk.TopicName, "rule", why.String())
	}
	return why
}

// overQuota is the answer to a message that may not be retained.
func overQuota(why reason) packets.Code {
	text := "too many or too large retained messages of this client"
	if why == whyStore {
		text = "too many retained messages in all"
	}
	return packets.Code{Code: packets.ErrQuotaExceeded.Code, Reason: text}
}
