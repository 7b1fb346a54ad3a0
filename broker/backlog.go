package broker

import (
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// backlog bounds the bytes of the QoS 1 and 2 messages that wait for a client,
// or that it has not acknowledged; MaxQueue bounds their number. The overflow
// policy is to drop the newest, as the library does over MaxQueue.
//
// What is acknowledged is not subtracted, which would cost a look-up for each:
// where the sum passes the limit it is made anew from what is there, and where
// that is too much as well it is not made again until something has gone.
type backlog struct {
	mu     sync.Mutex
	known  bool  // bytes holds what a session before this connection has left
	bytes  int64 // at least what waits
	fullAt int   // the number of messages at which it was found full; 0: it was not
}

// fits counts a message that is in the queue already, and tells whether it may
// stay.
func (g *backlog) fits(queue *mqtt.Inflight, size, limit int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := queue.Len()
	if g.fullAt > 0 && n > g.fullAt {
		return false
	}
	g.fullAt = 0
	if g.known && g.bytes+size <= limit {
		g.bytes += size
		return true
	}
	g.known, g.bytes = true, queueBytes(queue)
	if g.bytes <= limit {
		return true
	}
	g.bytes -= size
	g.fullAt = n - 1
	return false
}

func queueBytes(queue *mqtt.Inflight) (n int64) {
	for _, pk := range queue.GetAll(false) {
		if pk.FixedHeader.Type == packets.Publish {
			n += int64(packetBytes(&pk))
		}
	}
	return n
}

// backlogs are those of sessions whose client has not been here since the
// start; the others' are on their links.
type backlogs struct{ by sync.Map } // client id to *backlog

func (b *Broker) backlogOf(cl *mqtt.Client) *backlog {
	if l := linkOf(cl); l != nil {
		return &l.backlog
	}
	g, _ := b.backlogs.by.LoadOrStore(cl.ID, &backlog{})
	return g.(*backlog)
}

// queued is called when a message is in the queue of a client, and tells
// whether it may stay.
func (b *Broker) queued(cl *mqtt.Client, pk *packets.Packet) bool {
	if b.backlogOf(cl).fits(cl.State.Inflight, int64(packetBytes(pk)), b.cfg.MaxQueueBytes) {
		return true
	}
	if cl.State.Inflight.Delete(pk.PacketID) {
		atomic.AddInt64(&b.server.Info.Inflight, -1)
	}
	atomic.AddInt64(&b.server.Info.InflightDropped, 1)
	b.refuse(Dropped, whyQueueBytes, cl.ID, "")
	b.warn("message dropped for a client whose queue is full", "device", cl.ID, "topic", pk.TopicName)
	return false
}
