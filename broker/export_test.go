package broker

import (
	"net"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// SetListener makes the broker serve a listener of the test's.
func (b *Broker) SetListener(ln net.Listener) { b.doors = []door{{ln: ln, proxied: true}} }

// SetLastMessage moves the count that queues are ordered by.
func (b *Broker) SetLastMessage(n int64) { b.lastMsg.Store(n) }

// EstablishTLS is Establish as the TLS listener does it.
func (b *Broker) EstablishTLS(conn net.Conn) error {
	return b.establish(conn, door{tls: secured(b.cfg.TLS)})
}

// PeerName is the common name of the certificate that a client has shown.
func (b *Broker) PeerName(client string) string {
	l := b.sessions.get(client)
	if l == nil || l.tls == nil || len(l.tls.PeerCertificates) == 0 {
		return ""
	}
	return l.tls.PeerCertificates[0].Subject.CommonName
}

// Restore puts a retained message where a store would put it at the start.
func (b *Broker) Restore(topic, payload, origin string) {
	b.tree.put(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: topic, Payload: []byte(payload), Origin: origin,
	})
}

// Stray delivers a message as by a publisher that has found the client of a
// session before that was handed over. It is called first, when the
// session is there, and then what it answers at any time.
func (b *Broker) Stray(client string) (put func(topic, payload string)) {
	old, _ := b.server.Clients.Get(client)
	return func(topic, payload string) {
		pk := packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: topic, Payload: []byte(payload), Created: b.lastMsg.Add(1),
		}
		b.deliver(old, &member{client: client, sub: packets.Subscription{Qos: 1}}, &message{pk: &pk})
	}
}

// BeforeConnack has f called when the library has handed a session over, and
// has not told the client.
func (b *Broker) BeforeConnack(f func()) error { return b.server.AddHook(&connackHook{f: f}, nil) }

type connackHook struct {
	mqtt.HookBase
	f func()
}

func (h *connackHook) Provides(event byte) bool { return event == mqtt.OnPacketEncode }

func (h *connackHook) OnPacketEncode(_ *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Connack {
		h.f()
	}
	return pk
}

// WatchReadDeadline has set called with the read deadlines that a client's
// connection is given from now on.
func (b *Broker) WatchReadDeadline(client string, set func(time.Time)) {
	o := &b.sessions.get(client).out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.raw = deadlines{o.raw, set}
}

type deadlines struct {
	net.Conn
	set func(time.Time)
}

func (d deadlines) SetReadDeadline(t time.Time) error {
	d.set(t)
	return d.Conn.SetReadDeadline(t)
}
