package broker

import (
	"context"
	"encoding/binary"

	"github.com/mochi-mqtt/server/v2/packets"
)

// What was on its way to a node when that went down. The nodes that sent it remember it
// until it is known to be kept there (relay.Unsure); who takes sessions over asks for it,
// and gives it to those that subscribe to it. What a client had acknowledged in the last
// seconds before its node went down may so come to it again, of QoS 2 too. What one
// member of a shared subscription there was to get is lost.

// unsureOf answers what was sent from here to a node, after a number, and is not known to
// be kept there.
func (b *Broker) unsureOf(node string, after uint64) []byte {
	out := []byte{recordVersion, 0}
	for _, x := range b.cfg.Relay.Unsure(node, after) {
		if len(out)+len(x.Record) > moveBytes && len(out) > 2 {
			out[1] = 1
			break
		}
		out = appendText(binary.AppendUvarint(out, x.Number), x.Record)
	}
	return out
}

// missed answers the messages that all nodes have sent to one that is down, and are not
// known to be kept there. Those of a node that does not answer are not among them.
func (h *heirs) missed(ctx context.Context, node string) (list []packets.Packet) {
	for _, other := range append(h.b.cfg.Relay.Others(), h.b.cfg.Relay.Node()) {
		if other == node {
			continue
		}
		for more, last := true, uint64(0); more; {
			var found []packets.Packet
			found, last, more = h.missedBy(ctx, other, node, last)
			list = append(list, found...)
		}
	}
	return list
}

// missedBy answers a part of those of one node.
func (h *heirs) missedBy(ctx context.Context, other, node string, after uint64) (list []packets.Packet, last uint64, more bool) {
	var r *reader
	if other == h.b.cfg.Relay.Node() {
		r = newReader(h.b.unsureOf(node, after))
	} else {
		m := mover{b: h.b, ctx: ctx, node: other, client: node}
		var err error
		if r, err = m.ask(moveUnsure, binary.AppendUvarint(nil, after)...); err != nil {
			h.b.warn("what a node has sent to one that is down is not known", "node", other, "err", err)
			return nil, after, false
		}
	}
	last = after
	for more = r.byte() == 1; !r.bad && len(r.rest) > 0; {
		last = r.number()
		if x, err := decodeAway(r.text()); err == nil && x.all {
			list = append(list, x.pk)
		}
	}
	return list, last, more && !r.bad && last > after
}

// makeGood gives what was missed to sessions that were taken over, if they subscribe to
// it and have not got it already.
func (h *heirs) makeGood(missed []packets.Packet, taken map[string]*moved) {
	has := map[string]map[string]int{}
	for i := range missed {
		pk := missed[i]
		pk.Created = h.b.lastMsg.Add(1)
		m := message{pk: &pk}
		for _, one := range h.b.audienceOf(pk.TopicName).members {
			x := taken[one.client]
			if x == nil {
				continue
			}
			if has[one.client] == nil {
				has[one.client] = x.contents()
			}
			if what := contentOf(&pk); has[one.client][what] > 0 {
				has[one.client][what]--
			} else if cl, there := h.b.server.Clients.Get(one.client); there {
				h.b.deliver(cl, &one, &m)
			}
		}
	}
}

// contents counts what is in a queue, by what it says.
func (x *moved) contents() map[string]int {
	all := map[string]int{}
	for i := range x.queue {
		all[contentOf(&x.queue[i].pk)]++
	}
	return all
}

func contentOf(pk *packets.Packet) string {
	return pk.TopicName + "\x00" + pk.Origin + "\x00" + string(pk.Payload)
}
