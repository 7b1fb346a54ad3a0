package broker

import "github.com/mochi-mqtt/server/v2/packets"

// received cuts the reason from a PUBREC for a message of QoS 2 that the client
// has sent again. The library answers those with "packet identifier in use",
// an error upon which the sender must take the message for lost, give its
// identifier to another and never release it: [MQTT-4.3.3-2], [MQTT-4.3.3-10].
// It was received the first time, and nothing else makes the library say so.
func received(f []byte, head int) []byte {
	if len(f) > head+2 && f[head+2] == packets.ErrPacketIdentifierInUse.Code {
		return setLength(f[:head+2], head)
	}
	return f
}
