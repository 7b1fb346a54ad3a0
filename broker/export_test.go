package broker

import (
	"net"

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
	b.server.Topics.RetainMessage(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: topic, Payload: []byte(payload), Origin: origin,
	})
}
