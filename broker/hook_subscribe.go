package broker

import (
	"strings"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
)

// OnSubscribe blanks the filters that are refused: the library answers those
// with 0x8F, or 0x80 in 3.1.1.
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	l := linkOf(cl)
	held := cl.State.Subscriptions.Len()
	l.fresh = l.fresh[:0]
	for i := range pk.Filters {
		filter := pk.Filters[i].Filter
		_, old := cl.State.Subscriptions.Get(filter)
		l.fresh = append(l.fresh, !old)
		if !old {
			held++
		}
		if !h.b.validFilter(l.bare(filter)) || !old && held > h.b.cfg.MaxSubscriptions {
			h.b.count.refusedFilters.Add(1)
			h.b.refuse(RefusedFilter, whyTopic, cl.ID, "")
			h.b.warn("subscription refused", "device", cl.ID)
			pk.Filters[i].Filter = ""
		}
	}
	return pk
}

// OnUnsubscribe blanks what OnSubscribe would have refused, so that the library
// does not search for it.
func (h *hook) OnUnsubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	for i := range pk.Filters {
		if !h.b.validFilter(linkOf(cl).bare(pk.Filters[i].Filter)) {
			pk.Filters[i].Filter = ""
		}
	}
	return pk
}

// OnSubscribed is called before SUBACK and before the library sends the
// retained messages, for which it scans its tree without a lock: the lock is
// held until OnPacketProcessed.
func (h *hook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, codes []byte) {
	l := linkOf(cl)
	h.b.hangUpDeaf(cl, l)
	for i, sub := range pk.Filters {
		if wantsParent(sub, l.fresh[i]) && codes[i] <= packets.CodeGrantedQos2.Code {
			l.parents = append(l.parents, sub)
		}
	}
	h.b.retained.RLock()
	l.scanning = true
}

// OnPacketProcessed ends what OnSubscribed began.
func (h *hook) OnPacketProcessed(cl *mqtt.Client, pk packets.Packet, _ error) {
	if pk.FixedHeader.Type != packets.Subscribe {
		return
	}
	l := linkOf(cl)
	for _, sub := range l.parents {
		for _, pk := range h.b.server.Topics.Messages(strings.TrimSuffix(sub.Filter, "/#")) {
			if h.b.mayServe(pk) {
				h.b.sendRetained(cl, sub, pk)
			}
		}
	}
	l.parents = nil
	if l.scanning {
		l.scanning = false
		h.b.retained.RUnlock()
	}
}

// wantsParent tells whether a subscription asks for the retained message of the
// level above its "#", which the library leaves out (row 22).
func wantsParent(sub packets.Subscription, fresh bool) bool {
	return strings.HasSuffix(sub.Filter, "/#") && !mqtt.IsSharedFilter(sub.Filter) &&
		(sub.RetainHandling == 0 || sub.RetainHandling == 1 && fresh)
}

// sendRetained sends a retained message to a client as the library does.
func (b *Broker) sendRetained(cl *mqtt.Client, sub packets.Subscription, pk packets.Packet) {
	out := pk.Copy(false)
	out.FixedHeader.Qos = min(out.FixedHeader.Qos, sub.Qos)
	if sub.Identifier > 0 {
		out.Properties.SubscriptionIdentifier = []int{sub.Identifier}
	}
	if out.FixedHeader.Qos > 0 {
		id, err := cl.NextPacketID()
		if err != nil {
			return
		}
		out.PacketID = uint16(id)
		if cl.State.Inflight.Set(out) {
			atomic.AddInt64(&b.server.Info.Inflight, 1)
		}
	}
	_ = cl.WritePacket(out) // fails where the connection is gone, which its reader finds out
}

// validFilter tells whether a client may subscribe to a filter: well formed,
// which the library does not check (row 32), and within the limits.
func (b *Broker) validFilter(filter string) bool {
	if !b.fits(filter) {
		return false
	}
	if rest, shared := cutShare(filter); shared {
		group, inner, ok := strings.Cut(rest, "/")
		return ok && group != "" && !strings.ContainsAny(group, "+#") && area.ValidFilter(inner)
	}
	return area.ValidFilter(filter)
}

// cutShare takes the prefix of a shared subscription off, which the library
// knows in any case.
func cutShare(filter string) (rest string, shared bool) {
	const prefix = "$share/"
	if len(filter) < len(prefix) || !strings.EqualFold(filter[:len(prefix)], prefix) {
		return filter, false
	}
	return filter[len(prefix):], true
}
