package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/relay"
)

// A client that connects here and has its session at another node takes it over from
// there, as it would from an older connection: that one is closed with reason 0x8E and
// its will is published, before CONNACK. Where the client goes on with its session,
// its subscriptions come here, with what waits in its queue. This node asks:
//
//	take   close the connection, and tell what the session is; without keep, end it
//	queue  what waits, from a number on, as much as goes into one answer
//	done   tell what has come to its queue since, and end the session where that was all
//	rest   of a session that was taken over while the node was down (heirs.go): what was not known of its queue then
//	unsure what was sent to a node that is down, named in the place of the client, and is not known to be kept there
//
// Subscriptions stand here before they end there: what is published meanwhile may come
// twice, also at QoS 2, and is not lost. Where the other node does not answer the
// session is taken from what it has left (heirs.go); where it has left nothing it begins
// anew here, and the client is told so (session present 0). The other drops the old one
// when it hears of the newer.

// What is asked.
const (
	moveTake byte = iota + 1
	moveQueue
	moveDone
	moveRest
	moveUnsure
)

// moveBytes is about how much of a queue goes into one answer.
const moveBytes = 512 << 10

var errMove = errors.New("malformed answer about a session")

// fetch takes the session of l's client over from the node that has it.
func (b *Broker) fetch(l *link, clean bool) {
	if b.cfg.Relay == nil {
		return
	}
	b.heirs.installed()
	b.heirs.comesBack(l.id)
	node, newer := b.cfg.Relay.Holder(l.id)
	if node == "" {
		if node, newer = b.heirs.leftBy(l.id); node == "" {
			return
		}
	}
	b.count.takeovers.Add(1)
	b.watchers.tell(Notice{Kind: TookOver, Client: l.id, Addr: l.addr})
	ctx, stop := context.WithTimeout(context.Background(), takeoverWait)
	defer stop()
	m := mover{b: b, ctx: ctx, node: node, client: l.id}
	if !clean && newer {
		b.heirs.handBack(ctx, l.id, node)
	}
	err := m.move(!clean && newer)
	if errors.Is(err, relay.ErrMute) && b.cfg.Estates != nil && b.cfg.Relay.Up() {
		err = b.heirs.inherit(ctx, node, l.id, !clean && newer, mostHeirs)
	}
	if err != nil {
		b.count.unmoved.Add(1)
		b.warn("session is not taken over from its node", "device", l.id, "node", node, "err", err)
	}
}

// mover moves one session here.
type mover struct {
	b      *Broker
	ctx    context.Context
	node   string
	client string
}

func (m *mover) ask(what byte, rest ...byte) (*reader, error) {
	question := appendText([]byte{recordVersion, what}, m.client)
	answer, err := m.b.cfg.Relay.Ask(m.ctx, m.node, append(question, rest...))
	if err != nil {
		return nil, err
	}
	r := &reader{rest: bytes.Clone(answer)}
	r.bad = r.byte() != recordVersion
	return r, nil
}

// move does it; without keep the session there just ends.
func (m *mover) move(keep bool) error {
	r, err := m.ask(moveTake, byte(bit(keep)))
	if err != nil {
		return err
	}
	there := r.byte() == 1
	if r.bad || !there || !keep {
		return r.end()
	}
	x := readMoved(m.client, r)
	if err := r.end(); err != nil {
		return errMove
	}
	for more, last := true, int64(0); more; {
		if more, last, err = m.page(x, last); err != nil {
			return err
		}
	}
	cl := m.b.install(x)
	for more, last := true, x.last(); more; {
		if r, err = m.ask(moveDone, binary.AppendUvarint(nil, uint64(last))...); err != nil {
			return fmt.Errorf("what came to the queue at the end is lost: %w", err)
		}
		n := 0
		more, n = readQueue(r, func(one movedMessage) {
			m.b.installLate(cl, x, one)
			last = max(last, one.number)
		})
		more = more && n > 0
	}
	m.b.count.moved.Add(1)
	m.b.cfg.Relay.Client(m.client, time.Now().UnixMicro(), false) // its connection may end before it is told of
	return r.end()
}

// page reads a part of the queue.
func (m *mover) page(x *moved, from int64) (more bool, last int64, err error) {
	r, err := m.ask(moveQueue, binary.AppendUvarint(nil, uint64(from))...)
	if err != nil {
		return false, 0, err
	}
	more, n := readQueue(r, func(one movedMessage) { x.queue = append(x.queue, one) })
	if r.end() != nil || more && n == 0 {
		return false, 0, errMove
	}
	return more, x.last(), nil
}

// install puts a session that was moved where the library finds it, as restoring does.
func (b *Broker) install(x *moved) *mqtt.Client {
	if old, ok := b.server.Clients.Get(x.client); ok { // from before it was elsewhere
		b.endSession(old)
		b.server.Clients.Delete(x.client)
	}
	cl := b.server.NewClient(nil, listenerName, x.client, false)
	cl.Properties.Username, cl.Properties.ProtocolVersion = x.owner, x.version
	cl.Properties.Props.SessionExpiryInterval, cl.Properties.Props.SessionExpiryIntervalFlag = x.expiry, x.version == 5
	cl.Stop(packets.ErrServerShuttingDown)
	b.server.Clients.Add(cl)
	b.kept.begin(x)
	x.base = b.lastMsg.Add(int64(b.cfg.MaxQueue)*2) - int64(b.cfg.MaxQueue)*2 // before all that comes now
	for _, one := range x.queue {
		x.base++
		b.putBack(cl, one, x.base)
	}
	for _, id := range x.received {
		cl.State.Inflight.Set(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: id})
		atomic.AddInt64(&b.server.Info.Inflight, 1)
	}
	for _, sub := range x.subs {
		b.subscribe(cl, sub)
	}
	return cl
}

// installLate adds a message that came to the old queue at the end: its client has not
// seen it.
func (b *Broker) installLate(cl *mqtt.Client, x *moved, one movedMessage) {
	id, err := cl.NextPacketID()
	if err != nil || one.released {
		return
	}
	x.base++
	one.pk.PacketID, one.sent = uint16(id), false
	b.putBack(cl, one, x.base)
}

// putBack puts a message into the queue of an absent client.
func (b *Broker) putBack(cl *mqtt.Client, one movedMessage, number int64) {
	pk := one.pk
	pk.Created, pk.FixedHeader.Dup = number, one.sent
	if one.released {
		pk = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: pk.PacketID, Created: number}
	}
	cl.State.Inflight.Set(pk)
	atomic.AddInt64(&b.server.Info.Inflight, 1)
	if !one.released {
		b.kept.keepMoved(cl.ID, pk, one.sent)
	}
}

// Answer implements relay.Broker: it gives a session away.
func (b *Broker) Answer(ctx context.Context, from string, question []byte) ([]byte, error) {
	r := &reader{rest: question}
	version, what, client := r.byte(), r.byte(), string(r.text())
	if r.bad || version != recordVersion {
		return nil, errMove
	}
	switch what {
	case moveTake:
		return b.give(ctx, from, client, r.byte() == 1)
	case moveQueue:
		out, _ := b.queueOf(client, int64(r.number()), moveBytes)
		return out, nil
	case moveDone:
		return b.giveRest(client, int64(r.number())), nil
	case moveRest:
		return b.heirs.takeRest(from, client, r), nil
	case moveUnsure:
		return b.unsureOf(client, r.number()), nil
	}
	return nil, errMove
}

// give closes the connection of a client and waits for its end; then it answers what
// its session is, or ends that.
func (b *Broker) give(ctx context.Context, to, client string, keep bool) ([]byte, error) {
	if l := b.sessions.get(client); l != nil {
		b.cut(l, TakenOver, packets.ErrSessionTakenOver)
		select {
		case <-l.done:
		case <-ctx.Done():
			b.count.stuck.Add(1)
			return nil, fmt.Errorf("the connection of %s does not end", client)
		}
	}
	b.wills.back(client, keep)
	out := []byte{recordVersion, 0}
	if !keep {
		b.endAbsent(client)
		return out, nil
	}
	cl, ok := b.server.Clients.Get(client)
	if !ok || b.sessions.get(client) != nil {
		return out, nil
	}
	b.log.Debug("session goes to another node", "device", client, "node", to)
	out[1] = 1
	return appendMoved(out, cl), nil
}

// queueOf answers what waits for a client that is away, after a number.
func (b *Broker) queueOf(client string, after int64, most int) (out []byte, last int64) {
	out, last = []byte{recordVersion, 0}, after
	cl, ok := b.server.Clients.Get(client)
	if !ok {
		return out, last
	}
	var sent []uint16
	if l := linkOf(cl); l != nil {
		sent = l.sentIDs()
	}
	for _, pk := range inOrder(cl) {
		if pk.FixedHeader.Type == packets.Pubrec || pk.Created <= after && (after > 0 || pk.FixedHeader.Type != packets.Pubrel) {
			continue
		}
		if len(out) > most {
			out[1] = 1
			break
		}
		pk.FixedHeader.Dup = pk.FixedHeader.Dup || slices.Contains(sent, pk.PacketID)
		out, last = appendQueued(out, &pk), pk.Created
	}
	return out, last
}

// giveRest answers what has come to the queue of a session that has gone to another node,
// and ends it with the last of that.
func (b *Broker) giveRest(client string, after int64) []byte {
	cl, ok := b.server.Clients.Get(client)
	if !ok || b.sessions.get(client) != nil {
		return []byte{recordVersion, 0}
	}
	b.server.UnsubscribeClient(cl) // nothing comes after that
	out, _ := b.queueOf(client, after, moveBytes)
	if more := out[1] == 1; !more {
		b.endAbsent(client)
	}
	return out
}

// Elsewhere implements relay.Broker: a newer session of the client is at another node,
// so what is here ends.
func (b *Broker) Elsewhere(client string) { b.elsewhere(client, "") }

func (b *Broker) elsewhere(client, node string) {
	l := b.sessions.get(client)
	if l == nil {
		b.heirs.leave(client, node)
		return
	}
	b.cut(l, TakenOver, packets.ErrSessionTakenOver)
	l.elsewhere.Store(true)
}

// endElsewhere ends the session of a connection that has ended, where another node has
// a newer one.
func (b *Broker) endElsewhere(l *link) {
	if l.elsewhere.Load() && b.cfg.Relay != nil {
		b.wills.back(l.id, false)
		b.heirs.leave(l.id, "")
	}
}

// here tells the other nodes that a client is here, or what its connection leaves.
func (b *Broker) here(cl *mqtt.Client, l *link, up bool) {
	switch {
	case b.cfg.Relay == nil || !up && b.sessions.get(l.id) != l:
	case up:
		b.cfg.Relay.Client(l.id, time.Now().UnixMicro(), true)
	case endsWithConnection(cl):
		b.cfg.Relay.Gone(l.id)
	default:
		b.cfg.Relay.Client(l.id, 0, false)
	}
}

// nowhere tells them that it has no session here.
func (b *Broker) nowhere(client string) {
	if b.cfg.Relay != nil && b.sessions.get(client) == nil {
		b.cfg.Relay.Gone(client)
	}
}
