package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// The calls that only a broker with a store wants.

// OnQosDropped is called when something is taken off a queue without having
// been acknowledged: it has expired, or the session has ended. A session that
// is taken over is emptied too, when its successor has its queue.
func (h *hook) OnQosDropped(cl *mqtt.Client, pk packets.Packet) {
	if !cl.IsTakenOver() {
		h.b.kept.through(cl, pk.PacketID)
	}
}

// OnUnsubscribed is called before UNSUBACK, and at the end of a session.
func (h *hook) OnUnsubscribed(cl *mqtt.Client, pk packets.Packet) {
	h.b.audience.changed()
	for _, sub := range pk.Filters {
		h.b.unsubscribedHere(cl.ID, sub.Filter)
	}
	h.b.kept.unsubscribed(cl, pk.Filters)
}

// repeated answers a QoS 2 message that was taken already, and is not released:
// the library would tell an MQTT 5 client that it has failed [MQTT-4.3.3-10].
func (b *Broker) repeated(cl *mqtt.Client, pk packets.Packet) bool {
	old, ok := cl.State.Inflight.Get(pk.PacketID)
	if !ok || old.FixedHeader.Type != packets.Pubrec {
		return false
	}
	b.kept.again(linkOf(cl))
	b.answer(cl, pk, packets.Code{})
	return true
}
