package broker

import (
	"cmp"
	"encoding/binary"
	"slices"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// moved is a session on its way from one node to another.
type moved struct {
	client   string
	owner    []byte
	version  byte
	expiry   uint32 // seconds; MQTT 5 alone
	gone     int64  // since when there is no connection, in Unix seconds; 0: there will be one
	subs     []packets.Subscription
	received []uint16 // QoS 2 messages of the client that were taken and not released
	queue    []movedMessage
	base     int64 // number of the newest message of the queue, here
}

// movedMessage is one of its queue.
type movedMessage struct {
	pk       packets.Packet
	number   int64 // at the node from which it comes
	sent     bool  // its client may have seen it
	released bool  // it has
}

// last is the number of the newest message of its queue; 0: there is none.
func (x *moved) last() (n int64) {
	for _, one := range x.queue {
		n = max(n, one.number)
	}
	return n
}

// inOrder is the queue of an absent client, oldest first. What is released has no
// number, and comes before.
func inOrder(cl *mqtt.Client) []packets.Packet {
	all := cl.State.Inflight.GetAll(false)
	for i := range all {
		if all[i].FixedHeader.Type == packets.Pubrel {
			all[i].Created = 0
		}
	}
	slices.SortFunc(all, func(x, y packets.Packet) int { return cmp.Compare(x.Created, y.Created) })
	return all
}

// appendMoved lays a session out, without its queue.
func appendMoved(out []byte, cl *mqtt.Client) []byte {
	out = append(out, cl.Properties.ProtocolVersion)
	out = binary.AppendUvarint(out, uint64(cl.Properties.Props.SessionExpiryInterval))
	out = appendText(out, cl.Properties.Username)
	var subs []packets.Subscription
	for _, sub := range cl.State.Subscriptions.GetAll() {
		subs = append(subs, sub)
	}
	out = binary.AppendUvarint(out, uint64(len(subs)))
	for _, sub := range subs {
		out = append(appendText(out, sub.Filter), byte(bit(isDerived(sub))))
		out = appendText(out, encodeSubscription(sub))
	}
	var ids []uint16
	for _, pk := range cl.State.Inflight.GetAll(false) {
		if pk.FixedHeader.Type == packets.Pubrec {
			ids = append(ids, pk.PacketID)
		}
	}
	out = binary.AppendUvarint(out, uint64(len(ids)))
	for _, id := range ids {
		out = binary.AppendUvarint(out, uint64(id))
	}
	return out
}

func readMoved(client string, r *reader) *moved {
	x := &moved{client: client, version: r.byte()}
	x.expiry, x.owner = uint32(min(r.number(), 1<<32-1)), r.text()
	for n := r.number(); n > 0 && !r.bad; n-- {
		filter, derived := string(r.text()), r.byte() == 1
		sub, err := decodeSubscription(filter, r.text())
		if r.bad = r.bad || err != nil; r.bad {
			break
		}
		if derived { // from another, of the same session
			sub = derivedFrom(sub, filter)
		}
		x.subs = append(x.subs, sub)
	}
	for n := r.number(); n > 0 && !r.bad; n-- {
		if id := r.number(); id > 0 && id <= 65535 {
			x.received = append(x.received, uint16(id))
		}
	}
	return x
}

// appendQueued lays a message of a queue out.
func appendQueued(out []byte, pk *packets.Packet) []byte {
	flags := pk.FixedHeader.Qos
	if pk.FixedHeader.Retain {
		flags |= flagSentRetained
	}
	if pk.FixedHeader.Dup {
		flags |= flagSent
	}
	var body []byte
	if pk.FixedHeader.Type == packets.Pubrel {
		flags |= flagReleased
	} else {
		body = encodeBody(*pk)
	}
	out = append(out, flags)
	out = binary.AppendUvarint(out, uint64(pk.Created))
	out = binary.AppendUvarint(out, uint64(pk.PacketID))
	subs := pk.Properties.SubscriptionIdentifier
	out = binary.AppendUvarint(out, uint64(len(subs)))
	for _, id := range subs {
		out = binary.AppendUvarint(out, uint64(id))
	}
	return appendText(out, body)
}

// readQueue reads messages until the answer ends.
func readQueue(r *reader, each func(movedMessage)) (more bool, n int) {
	for more = r.byte() == 1; !r.bad && len(r.rest) > 0; n++ {
		flags := r.byte()
		one := movedMessage{sent: flags&flagSent != 0, released: flags&flagReleased != 0}
		one.number = int64(r.number())
		id := r.number()
		var subs []int
		for k := r.number(); k > 0 && !r.bad; k-- {
			subs = append(subs, int(r.number()&(1<<28-1)))
		}
		body := &reader{rest: r.text()}
		if !one.released {
			one.pk = decodeBody(body)
		}
		if r.bad = r.bad || body.bad || id == 0 || id > 65535 || flags&3 > 2 || !one.released && flags&3 == 0; r.bad {
			return false, n
		}
		one.pk.PacketID, one.pk.FixedHeader.Qos, one.pk.FixedHeader.Retain = uint16(id), flags&3, flags&flagSentRetained != 0
		one.pk.Properties.SubscriptionIdentifier = subs
		each(one)
	}
	return more, n
}

// begin keeps a session that has come from another node.
func (d *durable) begin(x *moved) {
	if d.off() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := newStored(x.client)
	s.owner, s.version, s.expiry, s.gone = x.owner, x.version, x.expiry, x.gone
	d.sessions[x.client] = s
	d.store.TouchLater(tableSessions, x.client)
	for _, sub := range x.subs {
		if isDerived(sub) {
			continue
		}
		s.subs[sub.Filter] = sub
		if sub.Qos > 0 {
			d.wanted.Add(sub.Filter)
		}
		d.store.TouchLater(tableSubscriptions, subKey(x.client, sub.Filter))
	}
	for _, id := range x.received {
		s.in[id] = struct{}{}
		d.store.TouchLater(tableReceived, receivedKey(x.client, id))
	}
}

// keepMoved keeps a message of its queue.
func (d *durable) keepMoved(client string, pk packets.Packet, sent bool) {
	if d.off() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sessions[client]
	if s == nil {
		return
	}
	one := d.deliver(s, pk)
	one.sent = sent
	s.out[one.id] = one
	d.store.TouchLater(tableMessages, messageKey(one.number))
}
