package broker

import (
	"slices"
	"strings"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// "x/+/#" matches "x/y" [MQTT-4.7.1-2], but the library does not know (row 22).
// So a client that asks for such a filter is given "x/+" as well, unless it has
// asked for that by itself, and its answer lacks the code for it (suback.go). A
// derived subscription counts like any other where subscriptions are counted.

// parentOf answers the filter that has to be added to a filter of a client.
func parentOf(filter string) (parent string, ok bool) {
	parent, ok = strings.CutSuffix(filter, "/#")
	return parent, ok && (parent == "+" || strings.HasSuffix(parent, "/+"))
}

// derivedMark is in a field of subscriptions that the library does not use.
var derivedMark = []string{"derived"}

// isDerived tells whether a subscription was added by us.
func isDerived(sub packets.Subscription) bool { return len(sub.ShareName) > 0 }

func derivedFrom(sub packets.Subscription, parent string) packets.Subscription {
	sub.Filter, sub.ShareName, sub.RetainHandling = parent, derivedMark, retainNever
	return sub
}

// derive answers what to add to the filters of a SUBSCRIBE.
func derive(cl *mqtt.Client, filters []packets.Subscription) (more []packets.Subscription) {
	for _, sub := range filters {
		parent, ok := parentOf(sub.Filter)
		if !ok || hasFilter(filters, parent) || hasFilter(more, parent) {
			continue
		}
		if have, old := cl.State.Subscriptions.Get(parent); old && !isDerived(have) {
			continue
		}
		more = append(more, derivedFrom(sub, parent))
	}
	return more
}

// underive answers what to add to the filters of an UNSUBSCRIBE.
func underive(cl *mqtt.Client, filters []packets.Subscription) (more []packets.Subscription) {
	for _, sub := range filters {
		parent, ok := parentOf(sub.Filter)
		if have, _ := cl.State.Subscriptions.Get(parent); ok && isDerived(have) && !hasFilter(more, parent) {
			more = append(more, packets.Subscription{Filter: parent})
		}
	}
	return more
}

// deriveAgain adds what the client needs after it has taken back its own
// subscription to the same filter.
func (b *Broker) deriveAgain(cl *mqtt.Client, gone []packets.Subscription) {
	for _, sub := range gone {
		from, ok := cl.State.Subscriptions.Get(sub.Filter + "/#")
		if parent, need := parentOf(from.Filter); ok && need {
			b.subscribe(cl, derivedFrom(from, parent))
		}
	}
}

// subscribe adds a subscription that nobody has asked for just now.
func (b *Broker) subscribe(cl *mqtt.Client, sub packets.Subscription) {
	if b.server.Topics.Subscribe(cl.ID, sub) {
		atomic.AddInt64(&b.server.Info.Subscriptions, 1)
	}
	cl.State.Subscriptions.Add(sub.Filter, sub)
	b.audience.changed()
	b.subscribedHere(cl.ID, sub.Filter)
}

func hasFilter(all []packets.Subscription, filter string) bool {
	return slices.ContainsFunc(all, func(s packets.Subscription) bool { return s.Filter == filter })
}
