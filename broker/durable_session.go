package broker

import (
	"encoding/binary"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// stored is a session that outlives its connection, and the process.
type stored struct {
	client  string
	owner   []byte // user name
	version byte
	expiry  uint32 // seconds; MQTT 5 alone
	gone    int64  // since when there is no connection, in Unix seconds; 0: there is one
	subs    map[string]packets.Subscription
	out     map[uint16]*delivery
	strays  map[int64]*delivery // by number: without a packet id yet
	in      map[uint16]struct{}
	ended   bool // it is no longer in the table
	wasUp   bool // of a restored one: it had a connection when the process ended
}

func newStored(client string) *stored {
	return &stored{
		client: client,
		subs:   map[string]packets.Subscription{}, out: map[uint16]*delivery{}, in: map[uint16]struct{}{},
	}
}

// of is the stored session of a client, nil if it has none.
func (d *durable) of(cl *mqtt.Client) *stored {
	if d.off() {
		return nil
	}
	if l := linkOf(cl); l != nil {
		return l.stored
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[cl.ID]
}

// established is called before a connection takes a session over, or begins
// one. CONNACK waits for the end of a session that the client does not want.
func (d *durable) established(cl *mqtt.Client, l *link, clean bool) {
	if d.off() {
		return
	}
	d.mu.Lock()
	s := d.sessions[cl.ID]
	var pos uint64
	if s != nil && clean {
		pos = d.end(s)
		s = nil
	}
	if s == nil && !endsWithConnection(cl) {
		s = newStored(cl.ID)
		d.sessions[cl.ID] = s
	}
	if s != nil {
		s.owner, s.version, s.gone = cl.Properties.Username, cl.Properties.ProtocolVersion, 0
		s.expiry = cl.Properties.Props.SessionExpiryInterval
		d.store.TouchLater(tableSessions, s.client)
	}
	exact := s != nil && len(s.out) > 0
	d.mu.Unlock()
	l.stored = s
	if exact {
		l.afterExactly(d.now()) // of its queue, what is not on disk yet
	}
	if pos != 0 && d.store.Trouble() == nil { // else nobody with an old session could connect
		l.after(pos)
	}
}

// end forgets a session, and answers with which position that is durable.
func (d *durable) end(s *stored) (pos uint64) {
	if s.ended {
		return 0
	}
	s.ended = true
	delete(d.sessions, s.client)
	for _, one := range s.out {
		d.drop(s, one)
	}
	for _, one := range s.strays {
		d.drop(s, one)
	}
	for filter := range s.subs {
		d.unsubscribe(s, filter)
	}
	for id := range s.in {
		d.store.TouchLater(tableReceived, receivedKey(s.client, id))
	}
	return d.store.Touch(0, tableSessions, s.client) // with all that goes later
}

// endOf forgets the session of a client that is not connected.
func (d *durable) endOf(client string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.sessions[client]; s != nil {
		d.end(s)
	}
}

// left is called when a connection has ended.
func (d *durable) left(cl *mqtt.Client, l *link) {
	s := l.stored
	if cl == nil || s == nil || d.b.sessions.get(l.id) != l {
		return
	}
	sent := l.sentIDs()
	d.mu.Lock()
	defer d.mu.Unlock()
	if endsWithConnection(cl) {
		d.end(s)
		return
	}
	for _, id := range sent {
		if one := s.out[id]; one != nil && !one.sent {
			one.sent = true
			d.store.TouchLater(tableMessages, messageKey(one.number))
		}
	}
	s.gone, s.expiry = time.Now().Unix(), cl.Properties.Props.SessionExpiryInterval
	d.store.TouchLater(tableSessions, s.client)
}

// sentIDs are the packet ids of the messages that went out and were not
// acknowledged.
func (l *link) sentIDs() (ids []uint16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, st := range l.window.ids {
		if st&(idSent|idBefore) != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// subscribed is called when the library has taken subscriptions, before SUBACK.
// What was there already needs no write; a new one that cannot be stored is
// refused. Derived ones are derived again when the session is restored.
func (d *durable) subscribed(cl *mqtt.Client, l *link, subs packets.Subscriptions, codes []byte) {
	s := l.stored
	if s == nil {
		return
	}
	d.mu.Lock()
	changed, refused := d.subscribe(s, subs, codes)
	d.mu.Unlock()
	for _, i := range refused {
		d.b.count.unstored.Add(1)
		d.b.refuse(RefusedFilter, whyDisk, cl.ID, "")
		d.b.unsubscribe(cl, subs[i].Filter)
		codes[i] = packets.ErrUnspecifiedError.Code // in 3.1.1 the only one
		if cl.Properties.ProtocolVersion == 5 {
			codes[i] = packets.ErrQuotaExceeded.Code
		}
	}
	if len(changed) == 0 {
		return
	}
	pos, _ := d.store.Join(len(changed) * maxClientID)
	l.begin(pos, 0) // they go together, and with the session
	for _, filter := range changed {
		d.store.Touch(l.joined, tableSubscriptions, subKey(s.client, filter))
	}
}

// subscribe takes the subscriptions that the library has granted into the
// session.
func (d *durable) subscribe(s *stored, subs packets.Subscriptions, codes []byte) (changed []string, refused []int) {
	trouble := d.store.Trouble()
	for i, sub := range subs {
		old, known := s.subs[sub.Filter]
		if codes[i] > packets.CodeGrantedQos2.Code || isDerived(sub) || s.ended || known && same(old, sub) {
			continue
		}
		if !known && trouble != nil {
			refused = append(refused, i)
			continue
		}
		if known && old.Qos > 0 {
			d.wanted.Remove(sub.Filter)
		}
		s.subs[sub.Filter] = sub
		if sub.Qos > 0 {
			d.wanted.Add(sub.Filter)
		}
		changed = append(changed, sub.Filter)
	}
	return changed, refused
}

// unsubscribed is called when the library has dropped subscriptions.
func (d *durable) unsubscribed(cl *mqtt.Client, subs packets.Subscriptions) {
	s := d.of(cl)
	if s == nil {
		return
	}
	var pos uint64
	d.mu.Lock()
	for _, sub := range subs {
		if _, ok := s.subs[sub.Filter]; ok {
			d.unsubscribe(s, sub.Filter)
			pos = d.store.Touch(0, tableSubscriptions, subKey(s.client, sub.Filter))
		}
	}
	d.mu.Unlock()
	if l := linkOf(cl); l != nil && pos != 0 {
		l.after(pos)
	}
}

func (d *durable) unsubscribe(s *stored, filter string) {
	if s.subs[filter].Qos > 0 {
		d.wanted.Remove(filter)
	}
	delete(s.subs, filter)
	d.store.TouchLater(tableSubscriptions, subKey(s.client, filter))
}

func same(x, y packets.Subscription) bool {
	return x.Qos == y.Qos && x.NoLocal == y.NoLocal && x.RetainAsPublished == y.RetainAsPublished &&
		x.RetainHandling == y.RetainHandling && x.Identifier == y.Identifier
}

func subKey(client, filter string) string { return client + "\x00" + filter }

// readSession is a record of a session's tables.
func (d *durable) readSession(table, key string) ([]byte, bool) {
	client, rest, _ := strings.Cut(key, "\x00")
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sessions[client]
	if s == nil {
		return nil, false
	}
	switch table {
	case tableSessions:
		return s.encode(), true
	case tableSubscriptions:
		sub, ok := s.subs[rest]
		return encodeSubscription(sub), ok
	case tableReceived:
		_, ok := s.in[idOf(rest)]
		return []byte{recordVersion}, ok
	}
	return nil, false
}

func idOf(key string) uint16 {
	if len(key) != 2 {
		return 0
	}
	return uint16(key[0])<<8 | uint16(key[1])
}

func (s *stored) encode() []byte {
	out := append([]byte{recordVersion}, s.version)
	out = binary.AppendUvarint(out, uint64(s.expiry))
	out = binary.AppendUvarint(out, uint64(s.gone))
	return appendText(out, s.owner)
}

func decodeSession(client string, record []byte) (*stored, error) {
	r := newReader(record)
	s := newStored(client)
	s.version = r.byte()
	expiry, gone := r.number(), r.number()
	s.expiry, s.gone, s.owner = uint32(expiry), int64(gone), r.text()
	r.bad = r.bad || expiry > 1<<32-1 || gone > 1<<40 || client == ""
	return s, r.end()
}

func encodeSubscription(sub packets.Subscription) []byte {
	flags := sub.Qos | sub.RetainHandling<<2
	if sub.NoLocal {
		flags |= 1 << 4
	}
	if sub.RetainAsPublished {
		flags |= 1 << 5
	}
	return binary.AppendUvarint([]byte{recordVersion, flags}, uint64(sub.Identifier))
}

func decodeSubscription(filter string, record []byte) (packets.Subscription, error) {
	r := newReader(record)
	flags, id := r.byte(), r.number()
	sub := packets.Subscription{
		Filter: filter, Qos: flags & 3, RetainHandling: flags >> 2 & 3,
		NoLocal: flags&(1<<4) != 0, RetainAsPublished: flags&(1<<5) != 0, Identifier: int(id),
	}
	r.bad = r.bad || sub.Qos > 2 || sub.RetainHandling > 2 || id >= 1<<28 || filter == ""
	return sub, r.end()
}
