package broker

import (
	"slices"
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/interest"
)

// OnSubscribe blanks the filters that are refused: the library answers those
// with 0x8F, or 0x80 in 3.1.1. It sends the retained messages by itself, so the
// library must not: that would overrun its queue (row 21).
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	l := linkOf(cl)
	held := asked(cl)
	l.wanted, l.over, l.denied = make([]bool, len(pk.Filters)), nil, nil
	for i := range pk.Filters {
		sub := &pk.Filters[i]
		have, old := cl.State.Subscriptions.Get(sub.Filter)
		old = old && !isDerived(have)
		switch {
		case !h.b.validFilter(l.bare(sub.Filter)):
			h.refuseFilter(cl, sub, whyTopic)
		case slices.Contains(h.b.cfg.DenyFilters, interest.Unshared(l.bare(sub.Filter))):
			h.refuseFilter(cl, sub, whyRights)
			l.denied = append(l.denied, i)
		case !old && held >= h.b.cfg.MaxSubscriptions:
			h.refuseFilter(cl, sub, whySubscriptions)
			l.over = append(l.over, i)
		case !old:
			held++
		}
		l.wanted[i] = wantsRetained(*sub, old)
		sub.RetainHandling = retainNever
	}
	more := derive(cl, pk.Filters)
	l.addedTo(pk.PacketID, len(more))
	pk.Filters = append(pk.Filters, more...)
	return pk
}

// asked is how many filters a client holds, without those that we have added.
func asked(cl *mqtt.Client) (n int) {
	for _, sub := range cl.State.Subscriptions.GetAll() {
		if !isDerived(sub) {
			n++
		}
	}
	return n
}

func (h *hook) refuseFilter(cl *mqtt.Client, sub *packets.Subscription, why reason) {
	sub.Filter = ""
	h.b.count.refusedFilters.Add(1)
	h.b.refuse(RefusedFilter, why, cl.ID, "")
	h.b.warn("subscription refused", "device", cl.ID, "rule", why.String())
}

// OnSubscribed is called before SUBACK.
func (h *hook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, codes []byte) {
	l := linkOf(cl)
	h.b.audience.changed()
	h.b.hangUpDeaf(cl, l)
	h.b.kept.subscribed(cl, l, pk.Filters, codes)
	for _, i := range l.over {
		if cl.Properties.ProtocolVersion == 5 {
			codes[i] = packets.ErrQuotaExceeded.Code // the library knows only that it found nothing
		}
	}
	for _, i := range l.denied {
		codes[i] = packets.ErrUnspecifiedError.Code
	}
	h.b.tellFilters(cl.ID, pk.Filters, codes)
	l.out.cork() // until OnPacketProcessed
	for i := range l.wanted {
		l.wanted[i] = l.wanted[i] && codes[i] <= packets.CodeGrantedQos2.Code
	}
}

// OnUnsubscribe blanks what OnSubscribe would have refused, so that the library
// does not search for it.
func (h *hook) OnUnsubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	l := linkOf(cl)
	for i := range pk.Filters {
		have, _ := cl.State.Subscriptions.Get(pk.Filters[i].Filter)
		if !h.b.validFilter(l.bare(pk.Filters[i].Filter)) || isDerived(have) {
			pk.Filters[i].Filter = ""
		}
	}
	l.stopRetained(pk.Filters)
	more := underive(cl, pk.Filters)
	l.addedTo(pk.PacketID, len(more))
	pk.Filters = append(pk.Filters, more...)
	return pk
}

// OnPacketProcessed goes on where the library has sent SUBACK or UNSUBACK. It
// gets the packet as it was read.
func (h *hook) OnPacketProcessed(cl *mqtt.Client, pk packets.Packet, err error) {
	l := linkOf(cl)
	if l == nil {
		return
	}
	l.end()
	switch {
	case err != nil:
	case pk.FixedHeader.Type == packets.Unsubscribe:
		h.b.deriveAgain(cl, pk.Filters)
	case pk.FixedHeader.Type == packets.Subscribe:
		for i, sub := range pk.Filters {
			if i < len(l.wanted) && l.wanted[i] {
				l.sendRetained(sub)
			}
		}
		l.wanted = nil
		l.pumpTogether()
	}
}

// validFilter tells whether a client may subscribe to a filter: well formed,
// which the library does not check (row 32), and within the limits.
func (b *Broker) validFilter(filter string) bool {
	if !b.fits(filter) {
		return false
	}
	if rest, shared := interest.CutShare(filter); shared {
		group, inner, ok := strings.Cut(rest, "/")
		return ok && group != "" && !strings.ContainsAny(group, "+#") && area.ValidFilter(inner)
	}
	return area.ValidFilter(filter)
}
