package broker

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
)

// gates are asked before a publication of a client is acknowledged.
type gates struct {
	mu  sync.Mutex
	all atomic.Pointer[[]*gate] // replaced as a whole: it is read per message
}

type gate struct {
	filter string
	ask    func(area.Message) error
}

// Gate asks gate about every message that a client publishes on a topic that
// the filter matches, before it is acknowledged, retained or sent to anybody.
// An error refuses it: MQTT 5 is answered with reason 0x87 for the codes
// forbidden and unauthorized, 0x97 for rate, degraded, draining and disk_full,
// 0x83 for internal and for errors without a code, else 0x99, and the error's
// text; 3.1.1 is acknowledged, and the message dropped and counted.
//
// The hub's own publications and wills pass no gate. It is called on the
// client's goroutine and may wait for a disk, which holds up this client alone;
// it must not publish. A message that was asked about before cancel may still
// be in hand when cancel returns.
func (b *Broker) Gate(filter string, ask func(area.Message) error) (cancel func()) {
	g := &gate{filter: filter, ask: ask}
	b.gates.change(func(all []*gate) []*gate { return append(slices.Clone(all), g) })
	return func() {
		b.gates.change(func(all []*gate) []*gate {
			return slices.DeleteFunc(slices.Clone(all), func(x *gate) bool { return x == g })
		})
	}
}

func (g *gates) change(f func([]*gate) []*gate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []*gate
	if p := g.all.Load(); p != nil {
		all = *p
	}
	all = f(all)
	g.all.Store(&all)
}

// ask returns the first error of the gates for the message. Before one is asked,
// which may wait, what was answered already goes out.
func (g *gates) ask(pk packets.Packet, l *link) error {
	all := g.all.Load()
	if all == nil {
		return nil
	}
	for _, one := range *all {
		if !area.MatchFilter(one.filter, pk.TopicName) {
			continue
		}
		if err := l.out.rest(); err != nil {
			l.failed(err)
		}
		if err := one.ask(messageOf(pk)); err != nil {
			return err
		}
	}
	return nil
}

// codeFor is the MQTT 5 reason for an error of a gate, with the error's text.
func codeFor(err error) packets.Code {
	code := packets.ErrPayloadFormatInvalid
	switch area.CodeOf(err) {
	case area.CodeForbidden, area.CodeUnauthorized:
		code = packets.ErrNotAuthorized
	case area.CodeRate, area.CodeDegraded, area.CodeDraining, area.CodeDiskFull:
		code = packets.ErrQuotaExceeded
	case area.CodeInternal:
		return packets.ErrImplementationSpecificError // its text is for the log alone
	}
	return packets.Code{Code: code.Code, Reason: err.Error()}
}
