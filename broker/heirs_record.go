package broker

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/estate"
)

// KeptSessions are the tables of a [Store] from which another node can take a session
// over; the last is that of the messages in their queues.
func KeptSessions() []string {
	return []string{tableSessions, tableSubscriptions, tableReceived, tableMessages}
}

// gathering puts together what the records of a broker say of its sessions. They come in
// no order.
type gathering struct {
	records map[string]map[string][]byte // by table and key
	by      map[string]*moved
	ids     map[string]map[uint16]bool // packet ids of the queues
	bad     int
}

func (g *gathering) add(r estate.Record) {
	if g.records == nil {
		g.records = map[string]map[string][]byte{}
	}
	if g.records[r.Table] == nil {
		g.records[r.Table] = map[string][]byte{}
	}
	g.records[r.Table][r.Key] = r.Value
}

// sessions answers them by client, and how many records could not be read.
func (g *gathering) sessions() (by map[string]*moved, bad int) {
	g.by, g.ids = map[string]*moved{}, map[string]map[uint16]bool{}
	for client, record := range g.records[tableSessions] {
		s, err := decodeSession(client, record)
		if g.damaged(err) {
			continue
		}
		g.by[client] = &moved{client: client, owner: s.owner, version: s.version, expiry: s.expiry, gone: s.gone}
		g.ids[client] = map[uint16]bool{}
	}
	for key, record := range g.records[tableSubscriptions] {
		client, filter, _ := strings.Cut(key, "\x00")
		sub, err := decodeSubscription(filter, record)
		if x := g.by[client]; !g.damaged(err) && x != nil {
			x.subs = append(x.subs, sub)
		}
	}
	for key := range g.records[tableReceived] {
		client, rest, _ := strings.Cut(key, "\x00")
		if x, id := g.by[client], idOf(rest); x != nil && id != 0 {
			x.received = append(x.received, id)
		}
	}
	for key, record := range g.records[tableMessages] {
		g.damaged(g.message(numberOf(key), record))
	}
	for _, x := range g.by {
		g.finish(x)
	}
	return g.by, g.bad
}

func (g *gathering) damaged(err error) bool {
	if err != nil {
		g.bad++
	}
	return err != nil
}

// message puts one into the queues where it waits.
func (g *gathering) message(number int64, record []byte) error {
	pk, to, err := decodeMessage(record)
	if err != nil || number <= 0 {
		return errRecord
	}
	for _, d := range to {
		x := g.by[d.client]
		if x == nil {
			continue
		}
		one := movedMessage{pk: pk, number: number, sent: d.sent || x.gone == 0, released: d.released}
		one.pk.PacketID, one.pk.FixedHeader.Qos, one.pk.FixedHeader.Retain = d.id, d.qos, d.retain
		one.pk.Properties.SubscriptionIdentifier = d.subs
		x.queue = append(x.queue, one)
	}
	return nil
}

// finish puts a session in order, and adds the subscriptions that follow from those that
// it has (parent.go).
func (g *gathering) finish(x *moved) {
	slices.SortFunc(x.queue, func(a, b movedMessage) int { return cmp.Compare(a.number, b.number) })
	taken := map[uint16]*delivery{}
	for i := range x.queue {
		one := &x.queue[i]
		d := &delivery{id: one.pk.PacketID}
		if taken[d.id] != nil {
			d.renumber(taken) // of two the later was on its way to another connection: see durable.stray
		}
		taken[d.id], one.pk.PacketID = d, d.id
	}
	own := map[string]bool{}
	for _, sub := range x.subs {
		own[sub.Filter] = true
	}
	for _, sub := range slices.Clip(x.subs) {
		if parent, need := parentOf(sub.Filter); need && !own[parent] {
			own[parent] = true
			x.subs = append(x.subs, derivedFrom(sub, parent))
		}
	}
}
