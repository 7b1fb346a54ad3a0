package broker

import (
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// farewell tells a client of MQTT 5 why its connection ends, where the library
// closes without a word: for a packet that it cannot decode. Whoever else ends
// a connection has noted a reason before.
func (l *link) farewell() {
	if l.reason.Load() == nil && l.up {
		l.disconnect(packets.ErrMalformedPacket)
	}
}

// disconnect says DISCONNECT in MQTT 5; 3.1.1 has no such word.
func (l *link) disconnect(code packets.Code) {
	if cl := l.client.Load(); cl != nil && cl.Properties.ProtocolVersion == 5 {
		l.out.says()
		_ = l.out.put([]byte{packets.Disconnect << 4, 2, code.Code, 0}, now) // fails where the peer is gone
	}
}

// brokenRules is what the library lets pass although the protocol does not:
// the code, or success.
func brokenRules(cl *mqtt.Client, pk packets.Packet) packets.Code {
	p, c := pk.Properties, pk.Connect
	switch pk.FixedHeader.Type {
	case packets.Connect:
		if !c.WillFlag && c.WillQos > 0 { // [MQTT-3.1.2-11]
			return packets.ErrProtocolViolation
		}
		if cl.Properties.ProtocolVersion < 5 && c.PasswordFlag && !c.UsernameFlag { // [MQTT-3.1.2-22] of 3.1.1
			return packets.ErrProtocolViolation
		}
	case packets.Auth: // nobody has asked for it [MQTT-4.12.0-1]
		return packets.ErrProtocolViolation
	case packets.Publish:
		if strings.ContainsAny(p.ResponseTopic, "+#") { // [MQTT-3.3.2-14]
			return packets.ErrTopicNameInvalid
		}
	case packets.Subscribe:
		if len(p.SubscriptionIdentifier) > 0 && p.SubscriptionIdentifier[0] == 0 { // MQTT 5 §3.8.2.1.2
			return packets.ErrProtocolViolation
		}
		for _, sub := range pk.Filters {
			if sub.RetainHandling > 2 { // MQTT 5 §3.8.3.1
				return packets.ErrProtocolViolation
			}
		}
	}
	return packets.CodeSuccess
}
