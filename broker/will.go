package broker

import (
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// will is what a client wants said if it leaves without a goodbye.
type will struct {
	packet packets.Packet
	who    *identity // whose it is; nil in open mode
	delay  time.Duration
}

// allowEmptyWill gets a will without a payload past the library, which refuses
// the connection: such a will clears a retained topic, and a payload is zero or
// more bytes (MQTT 3.1.1 §3.1.3.3).
func (l *link) allowEmptyWill(c *packets.ConnectParams) {
	if c.WillFlag && len(c.WillPayload) == 0 {
		l.emptyWill, c.WillPayload = true, []byte{0}
	}
}

// takeWill moves the will of a client out of the library, which would publish
// it unmarked and unchecked (BROKER.md row 10), not at all in some ends of a
// connection, and forgets to retain a delayed one (row 26).
func takeWill(cl *mqtt.Client, l *link, connect packets.Packet) *will {
	cl.Properties.Will = mqtt.Will{}
	c := connect.Connect
	if !c.WillFlag {
		return nil
	}
	props := c.WillProperties.Copy(false)
	props.WillDelayInterval = 0
	if l.emptyWill {
		c.WillPayload = nil
	}
	pk := ownPacket(c.WillTopic, c.WillPayload, c.WillQos, c.WillRetain, cl.ID)
	pk.Properties = props
	pk.Filters = tagOf(l.num, true)
	pk.Filters[0].Filter = l.tag[0].Filter
	return &will{packet: pk, who: l.who.Load(), delay: time.Duration(c.WillProperties.WillDelayInterval) * time.Second}
}

// leaveWill publishes the will of a client that has left, at once or when its
// delay is over.
func (b *Broker) leaveWill(cl *mqtt.Client, l *link) {
	w := l.will
	if w == nil || l.goodbye && !l.keepWill || b.closing() {
		return
	}
	delay := w.delay
	if endsWithConnection(cl) {
		delay = 0 // [MQTT-3.1.3-9]: the end of the session is the latest
	} else if cl.Properties.ProtocolVersion == 5 {
		delay = min(delay, time.Duration(cl.Properties.Props.SessionExpiryInterval)*time.Second)
	}
	if delay == 0 {
		b.publishWill(w)
		return
	}
	b.wills.add(l.id, delay, func() { b.publishWill(w) })
}

func (b *Broker) publishWill(w *will) {
	if !b.mayWill(w.who, w.packet.TopicName) {
		b.count.withdrawnMessages.Add(1)
		b.warn("will not published, its client has no right to it", "topic", w.packet.TopicName)
		return
	}
	b.count.wills.Add(1)
	if err := b.server.InjectPacket(b.own, w.packet); err != nil {
		b.warn("will not published", "topic", w.packet.TopicName, "err", err)
	}
}

// wills are the delayed ones: at most one per client id, so there are never
// more than sessions.
type wills struct {
	mu      sync.Mutex
	waiting map[string]*waitingWill
	running sync.WaitGroup
	stopped bool
}

type waitingWill struct {
	timer   *time.Timer
	publish func()
}

// add publishes after the delay unless the client comes back.
func (w *wills) add(id string, delay time.Duration, publish func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	if w.waiting == nil {
		w.waiting = map[string]*waitingWill{}
	}
	one := &waitingWill{publish: publish}
	w.waiting[id] = one
	w.running.Add(1)
	one.timer = time.AfterFunc(delay, func() {
		defer w.running.Done()
		if w.take(id, one) {
			publish()
		}
	})
}

func (w *wills) take(id string, one *waitingWill) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting[id] != one {
		return false
	}
	delete(w.waiting, id)
	return true
}

// back is called when a client is back: it keeps its session, and the will is
// void, or it does not, and the will is due.
func (w *wills) back(id string, keeps bool) {
	w.mu.Lock()
	one := w.waiting[id]
	delete(w.waiting, id)
	w.mu.Unlock()
	if one == nil {
		return
	}
	if one.timer.Stop() {
		w.running.Done()
	}
	if !keeps {
		one.publish()
	}
}

// stop drops what waits, and waits for what is being published.
func (w *wills) stop() {
	w.mu.Lock()
	w.stopped = true
	for id, one := range w.waiting {
		delete(w.waiting, id)
		if one.timer.Stop() {
			w.running.Done()
		}
	}
	w.mu.Unlock()
	w.running.Wait()
}
