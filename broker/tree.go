package broker

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// tree is what is retained. It is an index of the library's, but not the one that
// the library itself looks through: of that all is copied once a second to find
// what has expired (row 29), which with 100,000 topics is 100 MB of garbage, and
// holds up who retains a message meanwhile. In the library's own there is $SYS.
//
// Broker.retained guards it, but for what only reads a topic.
type tree struct {
	all *mqtt.TopicsIndex
	due map[string]int64 // when a topic's message expires, in Unix seconds; those that do not are not there
}

func newTree() tree { return tree{all: mqtt.NewTopicsIndex(), due: map[string]int64{}} }

// put takes a message, an empty one clears its topic.
func (t *tree) put(pk packets.Packet) {
	delete(t.due, pk.TopicName)
	if expires(&pk) && len(pk.Payload) > 0 {
		t.due[pk.TopicName] = pk.Expiry
	}
	t.all.RetainMessage(pk)
}

// expires tells whether a message does so by itself.
func expires(pk *packets.Packet) bool { return pk.ProtocolVersion == 5 && pk.Expiry > 0 }

func (t *tree) len() int { return t.all.Retained.Len() }

// takeExpired removes what has expired.
func (t *tree) takeExpired(now int64) (topics []string) {
	for topic, at := range t.due {
		if at < now {
			topics = append(topics, topic)
			delete(t.due, topic)
			t.all.RetainMessage(packets.Packet{TopicName: topic})
		}
	}
	return topics
}

// retainedOn is what is retained on a topic.
func (b *Broker) retainedOn(topic string) (packets.Packet, bool) {
	pk, ok := b.tree.all.Retained.Get(topic)
	if !ok && strings.HasPrefix(topic, mqtt.SysPrefix) {
		return b.server.Topics.Retained.Get(topic)
	}
	return pk, ok
}

// scanTree lists what is retained on the topics that a filter matches, as the
// library understands that.
func (b *Broker) scanTree(filter string) []packets.Packet {
	found := b.tree.all.Messages(filter)
	if strings.HasPrefix(filter, mqtt.SysPrefix) {
		found = append(found, b.server.Topics.Messages(filter)...)
	}
	return found
}

// countRetained says how much is retained, where the library would.
func (b *Broker) countRetained() {
	atomic.StoreInt64(&b.server.Info.Retained, int64(b.tree.len()))
}

// expireEvery is how often what expires is looked through.
const expireEvery = time.Second

// expireRetained removes what has expired, until ctx ends.
func (b *Broker) expireRetained(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			b.expire(now)
		}
	}
}

func (b *Broker) expire(now time.Time) {
	b.retained.Lock()
	topics := b.tree.takeExpired(now.Unix())
	for _, topic := range topics {
		b.marks.drop(topic)
	}
	b.countRetained()
	topics = append(topics, b.marks.old(now)...)
	b.retained.Unlock()
	for _, topic := range topics {
		b.holdings.tooHigh.Store(true)
		b.kept.retainedGone(topic)
	}
}
