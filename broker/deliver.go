package broker

import (
	"bytes"
	"runtime"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// The way of a message from its publisher to its subscribers. The library would
// copy it for each of them, encode it for each, hand it to a goroutine of each
// through a queue, and drop it where that is full, one of QoS 1 too. Here the
// publisher's goroutine does all of it: the message is encoded once for each
// form in which somebody wants it, and put into the outputs, from where it goes
// out with what else is there (sweep.go). The acknowledgement comes after that,
// so a message that was acknowledged is in every queue in which it belongs.

// spread takes a message: it retains it if it is to be, for which the retained
// lock is held, and gives it to everybody who subscribes to its topic.
func (b *Broker) spread(cl *mqtt.Client, pk packets.Packet) {
	pk.PacketID, pk.FixedHeader.Dup = 0, false
	var m mark
	if pk.FixedHeader.Retain {
		m = b.markOwn(&pk)
		b.tree.put(pk)
		b.countRetained()
		b.retained.Unlock()
		b.kept.retained(cl, pk)
	}
	who := b.audienceOf(pk.TopicName)
	if len(who.inline) > 0 {
		told := messageOf(pk)
		for _, s := range who.inline {
			s.hand(told)
		}
	}
	b.fanOut(who, &pk, m)
}

// deliverAll gives a message to the clients who subscribe to its topic, and to one of
// each shared subscription that this node serves.
func (b *Broker) deliverAll(who *audience, shared map[string]map[string]packets.Subscription, pk *packets.Packet) {
	m := message{pk: pk}
	for _, one := range b.chosen(who, shared, pk) {
		if to, ok := b.server.Clients.Get(one.client); ok {
			b.deliver(to, &one, &m)
		}
	}
}

// message is one that goes out, in the forms in which it does.
type message struct {
	pk    *packets.Packet
	forms [2][2][3]form // MQTT 5, retain, QoS
}

// form is a message as bytes. Who sends it puts the packet id of the receiver
// into a copy.
type form struct {
	frame []byte
	id    int // where the packet id stands
}

// form answers the message as a receiver wants it.
func (m *message) form(v5, retain bool, qos byte, ids []int) form {
	if v5 && len(ids) > 0 {
		return encode(m.pk, v5, retain, qos, ids)
	}
	f := &m.forms[bit(v5)][bit(retain)][qos]
	if f.frame == nil {
		*f = encode(m.pk, v5, retain, qos, nil)
	}
	return *f
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func encode(pk *packets.Packet, v5, retain bool, qos byte, ids []int) form {
	p := *pk
	p.FixedHeader.Retain, p.FixedHeader.Qos = retain, qos
	p.Properties.SubscriptionIdentifier = ids
	p.PacketID = uint16(bit(qos > 0)) // none is an error
	if p.ProtocolVersion = 4; v5 {
		p.ProtocolVersion = 5
	}
	if p.Expiry > 0 {
		p.Properties.MessageExpiryInterval = uint32(max(1, p.Expiry-time.Now().Unix())) // [MQTT-3.3.2-6]
	}
	p.Mods.AllowResponseInfo = true
	var b bytes.Buffer
	b.Grow(16 + len(p.TopicName) + len(p.Payload))
	if p.PublishEncode(&b) != nil {
		return form{}
	}
	head, _ := measure(b.Bytes())
	return form{frame: b.Bytes(), id: publishID(b.Bytes(), head)}
}

// deliver gives a message to a client, or to its queue.
func (b *Broker) deliver(cl *mqtt.Client, to *member, m *message) {
	pk := m.pk
	if to.sub.NoLocal && pk.Origin == cl.ID { // [MQTT-3.8.3-3]
		return
	}
	if !b.hook.OnACLCheck(cl, pk.TopicName, false) {
		return
	}
	v5 := cl.Properties.ProtocolVersion == 5
	retain := pk.FixedHeader.Retain && v5 && to.sub.RetainAsPublished // [MQTT-3.3.1-12]
	qos := min(pk.FixedHeader.Qos, to.sub.Qos)
	var id uint16
	if qos > 0 {
		var ok bool
		if id, ok = b.enqueue(cl, pk, retain, qos, to.ids); !ok {
			return
		}
	}
	if l := connected(cl); l != nil {
		l.live(m.form(v5, retain, qos, to.ids), id)
	}
}

// connected is the connection of a client; nil where it has ended, or is our own. A
// client that has seen the end counts as gone at once: what is published from then on is
// not sent, so that it is no duplicate later, and goes to others who share it.
func connected(cl *mqtt.Client) *link {
	if l := linkOf(cl); l != nil && !l.out.isClosed() && !cl.Closed() {
		return l
	}
	return nil
}

// enqueue puts a message of QoS 1 or 2 into the queue of a session, from which
// its acknowledgement takes it.
func (b *Broker) enqueue(cl *mqtt.Client, pk *packets.Packet, retain bool, qos byte, ids []int) (uint16, bool) {
	if cl.State.Inflight.Len() >= b.cfg.MaxQueue {
		atomic.AddInt64(&b.server.Info.InflightDropped, 1)
		b.refuse(Dropped, whyQueue, cl.ID, "")
		b.warn("message dropped for a client whose queue is full", "device", cl.ID, "topic", pk.TopicName)
		return 0, false
	}
	id, err := cl.NextPacketID()
	if err != nil {
		atomic.AddInt64(&b.server.Info.InflightDropped, 1)
		b.hook.OnPacketIDExhausted(cl, *pk)
		return 0, false
	}
	out := *pk
	out.PacketID, out.FixedHeader.Retain, out.FixedHeader.Qos = uint16(id), retain, qos
	out.Properties.SubscriptionIdentifier = ids
	if cl.State.Inflight.Set(out) {
		atomic.AddInt64(&b.server.Info.Inflight, 1)
	}
	if b.astray(cl, out) || !b.queued(cl, &out) {
		return 0, false
	}
	b.kept.queued(cl, out)
	return out.PacketID, true
}

// patience is how often a publisher lets others run before a client whose output
// is half full is given more.
const patience = 4

// live sends a message that has just been published.
func (l *link) live(f form, id uint16) {
	if f.frame == nil {
		return
	}
	for i := 0; i < patience && !l.out.hasRoom(); i++ {
		runtime.Gosched()
	}
	info := l.b.server.Info
	atomic.AddInt64(&info.MessagesSent, 1)
	atomic.AddInt64(&info.PacketsSent, 1)
	atomic.AddInt64(&info.BytesSent, int64(len(f.frame)))
	l.failed(l.passForm(f, id))
}

func (l *link) passForm(f form, id uint16) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id == 0 && l.welcomed && l.most == 0 && !l.mounted() {
		return l.out.put(f.frame, soon) // no stage has anything to do
	}
	own := append(l.b.sweep.buffer(), f.frame...)
	defer l.b.sweep.giveBack(own)
	if f.id > 0 {
		putID(own, f.id, id)
	}
	return l.passAll(own)
}
