package broker

import (
	"encoding/binary"
	"maps"
	"slices"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// kept is a message of QoS 1 or 2 that sessions have in their queues. It is one
// record, however many they are; when the last of them is through with it, it
// is gone, and where that is before it was written it never is.
type kept struct {
	body []byte // see encodeBody
	to   map[*delivery]struct{}
}

// delivery is a message in one session's queue.
type delivery struct {
	number   int64 // the message's, by which queues are in order
	client   string
	id       uint16 // packet id
	qos      byte
	retain   bool
	released bool // PUBREC has come: the client has it
	sent     bool // on a connection that has ended
	subs     []int
}

// queued is called when the library has put something into a session's queue.
func (d *durable) queued(cl *mqtt.Client, pk packets.Packet) {
	s := d.of(cl)
	if s == nil {
		return
	}
	switch pk.FixedHeader.Type {
	case packets.Publish:
		d.enqueue(cl, s, pk)
	case packets.Pubrec: // of QoS 2: the client's message is taken
		d.received(cl, s, pk.PacketID)
	}
}

func (d *durable) enqueue(cl *mqtt.Client, s *stored, pk packets.Packet) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.ended {
		return
	}
	if old := s.out[pk.PacketID]; old != nil {
		if old.number == pk.Created {
			return // the library sends it again
		}
		d.drop(s, old)
	}
	one := s.strays[pk.Created]
	if one == nil {
		one = d.deliver(s, pk)
	}
	delete(s.strays, pk.Created)
	one.id = pk.PacketID
	s.out[one.id] = one
	d.place(cl, one, pk)
}

// deliver makes a delivery. It is called with the lock.
func (d *durable) deliver(s *stored, pk packets.Packet) *delivery {
	k := d.messages[pk.Created]
	if k == nil {
		k = &kept{body: encodeBody(pk), to: map[*delivery]struct{}{}}
		d.messages[pk.Created] = k
	}
	one := &delivery{
		number: pk.Created, client: s.client, id: pk.PacketID,
		qos: pk.FixedHeader.Qos, retain: pk.FixedHeader.Retain, subs: pk.Properties.SubscriptionIdentifier,
	}
	k.to[one] = struct{}{}
	return one
}

// stray is called with a message for a session that is being handed over. It
// gets its packet id later, by enqueue; until then another may have the one that
// it has on disk, which restoring sees to.
func (d *durable) stray(old *mqtt.Client, pk packets.Packet) {
	if d.off() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sessions[old.ID]
	if s == nil || s.ended || s.strays[pk.Created] != nil {
		return
	}
	if one := s.out[pk.PacketID]; one != nil && one.number == pk.Created {
		return
	}
	one := d.deliver(s, pk)
	if s.strays == nil {
		s.strays = map[int64]*delivery{}
	}
	s.strays[one.number] = one
	d.place(old, one, pk)
}

// place has a new delivery written: with the message whose publisher waits for
// it, else when it suits. A QoS 2 message goes out only once its packet id is
// known on disk, or a crash would deliver it twice.
func (d *durable) place(cl *mqtt.Client, one *delivery, pk packets.Packet) {
	key := messageKey(one.number)
	pos, joined := d.joined[one.number]
	if !joined && one.qos < 2 && !willOf(pk) {
		d.store.TouchLater(tableMessages, key)
		return
	}
	pos = d.store.Touch(pos, tableMessages, key)
	if l := linkOf(cl); l != nil && one.qos == 2 {
		l.afterExactly(pos)
	}
}

// through is called when a client has acknowledged a message for good, or will
// never.
func (d *durable) through(cl *mqtt.Client, id uint16) {
	s := d.of(cl)
	if s == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if one := s.out[id]; one != nil {
		d.drop(s, one)
	}
}

// lostFor is called when a message is given up for a client that does not keep
// up.
func (d *durable) lostFor(cl *mqtt.Client, number int64) {
	s := d.of(cl)
	if s == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.messages[number]; k != nil {
		for one := range k.to {
			if one.client == s.client {
				d.drop(s, one)
			}
		}
	}
}

// drop takes a delivery off its queue. An acknowledgement that is lost in a
// crash is repeated, so this can wait.
func (d *durable) drop(s *stored, one *delivery) {
	if s.out[one.id] == one {
		delete(s.out, one.id)
	}
	delete(s.strays, one.number)
	if k := d.messages[one.number]; k != nil {
		if delete(k.to, one); len(k.to) == 0 {
			delete(d.messages, one.number)
		}
	}
	d.store.TouchLater(tableMessages, messageKey(one.number))
}

// pubrec is called when a client says that it has a QoS 2 message. PUBREL waits
// until that is durable: after it the client forgets the packet id, and the
// message must not be sent again.
func (d *durable) pubrec(cl *mqtt.Client, id uint16) {
	s := d.of(cl)
	if s == nil {
		return
	}
	d.mu.Lock()
	one := s.out[id]
	if one == nil || one.released {
		d.mu.Unlock()
		return
	}
	one.released = true
	pos := d.store.Touch(0, tableMessages, messageKey(one.number))
	d.mu.Unlock()
	linkOf(cl).afterExactly(pos)
}

// received notes a QoS 2 message of the client's, which must not be taken twice.
func (d *durable) received(cl *mqtt.Client, s *stored, id uint16) {
	l := linkOf(cl)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := s.in[id]; ok || s.ended {
		return
	}
	s.in[id] = struct{}{}
	pos := d.store.Touch(l.joined, tableReceived, receivedKey(s.client, id))
	l.after(pos)
}

// pubrel is called when a client releases a QoS 2 message of its own. PUBCOMP
// waits until that is durable: after it the client uses the packet id anew.
func (d *durable) pubrel(cl *mqtt.Client, id uint16) {
	s := d.of(cl)
	if s == nil {
		return
	}
	d.mu.Lock()
	_, ok := s.in[id]
	delete(s.in, id)
	d.mu.Unlock()
	if ok {
		linkOf(cl).after(d.store.Touch(0, tableReceived, receivedKey(s.client, id)))
	}
}

// readMessage is the record of a message.
func (d *durable) readMessage(key string) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.messages[numberOf(key)]
	if k == nil {
		return nil, false
	}
	out := make([]byte, 0, 1+len(k.body)+32*len(k.to))
	out = append(append(out, recordVersion), k.body...)
	out = binary.AppendUvarint(out, uint64(len(k.to)))
	for _, one := range slices.SortedFunc(maps.Keys(k.to), byClient) { // the same each time: what has not changed is not written
		out = one.append(out)
	}
	return out, true
}

func byClient(x, y *delivery) int {
	if x.client == y.client {
		return int(x.id) - int(y.id)
	}
	if x.client < y.client {
		return -1
	}
	return 1
}

// flags of a delivery; the QoS is in the lowest two bits.
const (
	flagSentRetained = 4 << iota
	flagReleased
	flagSent
)

func (one *delivery) append(out []byte) []byte {
	flags := one.qos
	if one.retain {
		flags |= flagSentRetained
	}
	if one.released {
		flags |= flagReleased
	}
	if one.sent {
		flags |= flagSent
	}
	out = append(appendText(out, one.client), flags)
	out = binary.AppendUvarint(out, uint64(one.id))
	out = binary.AppendUvarint(out, uint64(len(one.subs)))
	for _, sub := range one.subs {
		out = binary.AppendUvarint(out, uint64(sub))
	}
	return out
}

// decodeMessage is the inverse of readMessage.
func decodeMessage(record []byte) (pk packets.Packet, to []*delivery, err error) {
	r := newReader(record)
	pk = decodeBody(r)
	for n := r.number(); n > 0 && !r.bad; n-- {
		one := &delivery{client: string(r.text())}
		flags := r.byte()
		one.qos, one.retain = flags&3, flags&flagSentRetained != 0
		one.released, one.sent = flags&flagReleased != 0, flags&flagSent != 0
		id := r.number()
		one.id = uint16(id)
		r.bad = r.bad || id == 0 || id > 65535 || one.qos == 0 || one.qos > 2
		for subs := r.number(); subs > 0 && !r.bad; subs-- {
			one.subs = append(one.subs, int(r.number()&(1<<28-1)))
		}
		to = append(to, one)
	}
	return pk, to, r.end()
}

func messageKey(number int64) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(number)))
}

func numberOf(key string) int64 {
	if len(key) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64([]byte(key)))
}

func receivedKey(client string, id uint16) string {
	return client + "\x00" + string([]byte{byte(id >> 8), byte(id)})
}
