package broker

import (
	"slices"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Retained messages for a new subscription (row 21). The library pushes all of
// them through a short queue at once and drops what does not fit. Here only the
// names of the topics are noted, and link.pump sends one after the other as the
// client takes them: no more than replayWindow unacknowledged, and none while
// much waits in the output. So none is lost, however many there are, and what is
// sent is what is retained then.

// retainNever is a retain handling: "do not send".
const retainNever = 2

// wantsRetained tells whether a subscription asks for retained messages.
func wantsRetained(sub packets.Subscription, old bool) bool {
	return sub.Filter != "" && !mqtt.IsSharedFilter(sub.Filter) && (sub.RetainHandling == 0 || sub.RetainHandling == 1 && !old)
}

// retainedRun is what a subscription has yet to get. It is bounded by what the
// broker retains, and ends with the connection.
type retainedRun struct {
	sub    packets.Subscription
	topics []string
}

// sendRetained lets pump send what is retained for a subscription.
func (l *link) sendRetained(sub packets.Subscription) {
	found := l.b.match(sub.Filter)
	if len(found) == 0 {
		return
	}
	run := &retainedRun{sub: sub, topics: make([]string, len(found))}
	for i, pk := range found {
		run.topics[i] = pk.TopicName
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs = append(l.runs, run)
}

// stopRetained forgets what the client has unsubscribed from.
func (l *link) stopRetained(filters []packets.Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs = slices.DeleteFunc(l.runs, func(r *retainedRun) bool {
		return slices.ContainsFunc(filters, func(f packets.Subscription) bool { return f.Filter == r.sub.Filter })
	})
}

// nextRetained answers the next topic whose message may go. link.mu is held.
func (l *link) nextRetained() (run *retainedRun, topic string) {
	if len(l.runs) == 0 {
		return nil, ""
	}
	run = l.runs[0]
	topic, run.topics = run.topics[0], run.topics[1:]
	if len(run.topics) == 0 {
		if l.runs = l.runs[1:]; len(l.runs) == 0 {
			l.runs = nil
		}
	}
	return run, topic
}

// writeRetained sends what is retained on a topic, as the library does.
func (b *Broker) writeRetained(cl *mqtt.Client, sub packets.Subscription, topic string) {
	pk, ok := b.retainedOn(topic)
	if !ok || pk.Expiry > 0 && pk.Expiry < time.Now().Unix() || !b.mayServe(pk) || !b.hook.OnACLCheck(cl, topic, false) {
		return
	}
	out := pk.Copy(false)
	out.FixedHeader.Qos = min(out.FixedHeader.Qos, sub.Qos)
	if sub.Identifier > 0 {
		out.Properties.SubscriptionIdentifier = []int{sub.Identifier}
	}
	if out.FixedHeader.Qos > 0 {
		id, err := cl.NextPacketID()
		if err != nil {
			b.hook.OnPacketIDExhausted(cl, pk)
			return
		}
		out.PacketID = uint16(id)
		if cl.State.Inflight.Set(out) {
			atomic.AddInt64(&b.server.Info.Inflight, 1)
		}
		b.kept.queued(cl, out)
	}
	_ = cl.WritePacket(out) // fails where the connection is gone, which its reader finds out
}
