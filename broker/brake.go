package broker

import (
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// brake bounds how fast a client is read: a token bucket that holds what it may
// send in a second. The overflow policy is back-pressure, not loss: the
// connection is read more slowly, the client's socket fills, and it waits, as it
// does for EMQX's limiter. MQTT 5 has a code for it (0x96, message rate too
// high), but no way to ask for less; Receive Maximum bounds what is
// unacknowledged, and QoS 0 not at all. A client that pings while it is held
// gets its answer late.
//
// Acknowledgements are not counted: we ask for those. It belongs to the
// connection's goroutine, and looks at the clock only when the bucket is empty.
type brake struct {
	b    *Broker
	l    *link
	rate int // packets in a second; 0: any

	left int       // before the clock is looked at
	last time.Time // when it was
}

// brakePause is the shortest time for which a client is held, so that it is not
// woken for every packet. A connection that is taken over ends that much later.
const brakePause = 50 * time.Millisecond

// pass is called for each packet, and waits where it comes too early.
func (k *brake) pass(kind byte) {
	switch {
	case k.rate == 0:
		return
	case kind != packets.Publish && kind != packets.Subscribe && kind != packets.Unsubscribe && kind != packets.Pingreq:
		return
	}
	if k.left == 0 {
		k.fill()
	}
	k.left--
}

func (k *brake) fill() {
	now := time.Now()
	if k.last.IsZero() {
		k.left, k.last = k.rate, now
		return
	}
	second := float64(k.rate)
	tokens := min(second, now.Sub(k.last).Seconds()*second)
	if short := max(1, second*brakePause.Seconds()) - tokens; short > 0 {
		k.b.count.braked.Add(1)
		k.b.watchers.tell(Notice{Kind: Braked, Reason: "rate", Client: k.l.id, Addr: k.l.addr})
		k.b.warn("client is read more slowly, it sends too fast", "device", k.l.id, "conn", k.l.addr)
		wait := time.Duration(short / second * float64(time.Second))
		_ = k.l.out.rest() // whose end the next read finds out
		time.Sleep(wait)
		now, tokens = now.Add(wait), tokens+short
	}
	k.left, k.last = int(tokens), now
}
