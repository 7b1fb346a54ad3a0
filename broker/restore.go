package broker

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/relay"
)

// restore brings back what the store has, before anybody is served. The
// library's own way loses expiry, order and packet ids (BROKER.md row 28).
func (d *durable) restore() error {
	if d.off() {
		return nil
	}
	caps := d.b.server.Options.Capabilities
	pending := caps.MaximumClientWritesPending
	caps.MaximumClientWritesPending = 1 // absent clients are sent nothing: their queues of 64 KiB would be for nothing
	defer func() { caps.MaximumClientWritesPending = pending }()
	for _, step := range []struct {
		table string
		each  func(key string, record []byte) error
	}{
		{tableSessions, d.restoreSession},
		{tableSubscriptions, d.restoreSubscription},
		{tableMessages, d.restoreMessage},
		{tableReceived, d.restoreReceived},
		{tableRetained, d.restoreRetained},
	} {
		err := d.store.Load(step.table, func(key string, record []byte) error {
			if err := step.each(key, record); err != nil {
				d.b.count.unreadable.Add(1)
				d.b.log.Warn("record of the broker's state cannot be read", "rule", step.table, "err", err)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("restore %s: %w", step.table, err)
		}
	}
	d.derive()
	d.b.countRetained()
	d.b.log.Info("state restored", "n", len(d.sessions))
	return nil
}

// restoreSession makes the client that the library knows for an absent session.
// One that was connected counts as gone from now on; one that has expired
// meanwhile is dropped, and so is what is left of it in the other tables.
func (d *durable) restoreSession(id string, record []byte) error {
	s, err := decodeSession(id, record)
	if err != nil {
		return err
	}
	now := time.Now()
	s.wasUp = s.gone == 0
	if s.wasUp {
		s.gone = now.Unix()
		d.store.TouchLater(tableSessions, id)
	}
	if d.isOver(s, now) {
		d.store.TouchLater(tableSessions, id)
		return nil
	}
	cl := d.b.server.NewClient(nil, listenerName, id, false)
	cl.Properties.Username, cl.Properties.ProtocolVersion = s.owner, s.version
	cl.Properties.Props.SessionExpiryInterval, cl.Properties.Props.SessionExpiryIntervalFlag = s.expiry, s.version == 5
	cl.Stop(packets.ErrServerShuttingDown)
	d.b.server.Clients.Add(cl)
	d.sessions[id] = s
	if r := d.b.cfg.Relay; r != nil {
		r.Restored(id)
	}
	return nil
}

// isOver tells whether a session without a connection has expired.
func (d *durable) isOver(s *stored, now time.Time) bool {
	if s.gone == 0 {
		return false
	}
	lasts := d.b.cfg.SessionExpiry
	if s.version == 5 {
		lasts = min(lasts, time.Duration(s.expiry)*time.Second)
	}
	return now.Sub(time.Unix(s.gone, 0)) >= lasts
}

func (d *durable) restoreSubscription(key string, record []byte) error {
	id, filter, _ := strings.Cut(key, "\x00")
	sub, err := decodeSubscription(filter, record)
	if err != nil {
		return err
	}
	s, cl := d.absent(id)
	if s == nil {
		d.store.TouchLater(tableSubscriptions, key)
		return nil
	}
	s.subs[filter] = sub
	if sub.Qos > 0 {
		d.wanted.Add(filter)
	}
	d.b.subscribe(cl, sub)
	return nil
}

// derive adds the subscriptions that follow from those restored: see parent.go.
func (d *durable) derive() {
	for id, s := range d.sessions {
		_, cl := d.absent(id)
		for _, sub := range s.subs {
			parent, need := parentOf(sub.Filter)
			if _, own := s.subs[parent]; need && !own {
				d.b.subscribe(cl, derivedFrom(sub, parent))
			}
		}
	}
}

// absent is a session that was restored.
func (d *durable) absent(id string) (*stored, *mqtt.Client) {
	s := d.sessions[id]
	if s == nil {
		return nil, nil
	}
	cl, _ := d.b.server.Clients.Get(id)
	return s, cl
}

func (d *durable) restoreMessage(key string, record []byte) error {
	number := numberOf(key)
	pk, to, err := decodeMessage(record)
	if err != nil || number <= 0 {
		return errRecord
	}
	if number > d.b.lastMsg.Load() {
		d.b.lastMsg.Store(number)
	}
	k := &kept{body: encodeBody(pk), to: map[*delivery]struct{}{}}
	changed := false
	for _, one := range to {
		one.number = number
		s, cl := d.absent(one.client)
		if s != nil && s.out[one.id] != nil {
			changed = one.renumber(s.out) || changed
		}
		if s != nil && s.out[one.id] == nil {
			k.to[one] = struct{}{}
			s.out[one.id] = one
			one.sent = one.sent || s.wasUp
			d.requeue(cl, one, pk)
		}
	}
	if changed || len(k.to) < len(to) {
		d.store.TouchLater(tableMessages, key)
	}
	if len(k.to) > 0 {
		d.messages[number] = k
	}
	return nil
}

// renumber gives a delivery that has never been sent a packet id that is free,
// where another has its own: see durable.stray.
func (one *delivery) renumber(taken map[uint16]*delivery) bool {
	if one.sent || one.released {
		return false
	}
	for id := uint16(65535); id != 0; id-- { // the library counts upwards
		if taken[id] == nil {
			one.id = id
			return true
		}
	}
	return false
}

// requeue puts a message back into the queue that the library keeps for a
// client. Its DUP flag says whether the client may have seen it.
func (d *durable) requeue(cl *mqtt.Client, one *delivery, pk packets.Packet) {
	if one.released {
		pk = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}}
	} else {
		pk.FixedHeader.Qos, pk.FixedHeader.Retain, pk.FixedHeader.Dup = one.qos, one.retain, one.sent
		pk.Properties.SubscriptionIdentifier = one.subs
	}
	pk.PacketID, pk.Created = one.id, one.number
	cl.State.Inflight.Set(pk)
	atomic.AddInt64(&d.b.server.Info.Inflight, 1)
}

func (d *durable) restoreReceived(key string, record []byte) error {
	client, rest, _ := strings.Cut(key, "\x00")
	id := idOf(rest)
	if r := newReader(record); r.end() != nil || id == 0 {
		return errRecord
	}
	s, cl := d.absent(client)
	if s == nil {
		d.store.TouchLater(tableReceived, key)
		return nil
	}
	s.in[id] = struct{}{}
	cl.State.Inflight.Set(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: id})
	atomic.AddInt64(&d.b.server.Info.Inflight, 1)
	return nil
}

func (d *durable) restoreRetained(topic string, record []byte) error {
	pk, m, err := decodeRetained(topic, record)
	if err != nil {
		return errRecord
	}
	if m.gone {
		if d.b.marks != nil {
			d.b.marks.take(topic, m)
		}
		return nil
	}
	if expires(&pk) && pk.Expiry < time.Now().Unix() {
		d.store.TouchLater(tableRetained, topic)
		return nil
	}
	pk.Created = d.b.lastMsg.Add(1)
	d.b.tree.put(pk)
	if k := d.b.marks; k != nil && relay.Carries(topic) {
		if m.at == 0 {
			m = mark{at: unmarked, node: k.self}
		}
		k.take(topic, m)
	}
	return nil
}

// sweepEvery is how often sessions are looked through for expired ones. The
// library looks too, but counts from the start of the process.
const sweepEvery = time.Minute

// sweep ends what has expired, until ctx ends.
func (d *durable) sweep(ctx context.Context) {
	if d.off() {
		return
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, id := range d.over(now) {
				d.b.endAbsent(id)
			}
		}
	}
}

// over are the clients whose sessions have expired.
func (d *durable) over(now time.Time) (ids []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, s := range d.sessions {
		if d.isOver(s, now) {
			ids = append(ids, id)
		}
	}
	return ids
}

// endAbsent ends the session of a client that is not connected.
func (b *Broker) endAbsent(id string) {
	cl, ok := b.server.Clients.Get(id)
	switch {
	case b.sessions.get(id) != nil:
		return
	case !ok:
		b.nowhere(id)
		return
	}
	b.endSession(cl)
	b.server.Clients.Delete(id)
	b.kept.endOf(id)
	b.nowhere(id)
}
