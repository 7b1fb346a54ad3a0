package conf

import (
	"math"
	"net/netip"
	"strconv"
)

// limits checks the numbers of limits, and who is believed about addresses.
func (k *check) limits() {
	l := &k.Limits
	for _, n := range []struct {
		key      string
		n, least int64
		most     int64 // 0: any
		zero     bool  // means something
	}{
		{key: "connections_per_user", n: int64(l.ConnectionsPerUser), least: 1},
		{key: "hub_message_bytes", n: int64(l.HubMessageBytes), least: 1},
		{key: "mqtt_connections", n: int64(l.MQTTConnections), least: 1, most: math.MaxInt32, zero: true},
		{key: "mqtt_connections_per_address", n: int64(l.MQTTConnectionsPerAddr), least: 1, most: math.MaxInt32, zero: true},
		{key: "mqtt_half_open", n: int64(l.MQTTHalfOpen), least: 1, most: 1 << 20, zero: true},
		{key: "mqtt_half_open_per_address", n: int64(l.MQTTHalfOpenPerAddr), least: 1, most: 1 << 20, zero: true},
		{key: "mqtt_sessions", n: int64(l.MQTTSessions), least: 1, most: math.MaxInt32},
		{key: "mqtt_packet_bytes", n: int64(l.MQTTPacketBytes), least: 1 << 10, most: 256 << 20},
		{key: "mqtt_connect_bytes", n: int64(l.MQTTConnectBytes), least: 1 << 10, most: max(1<<10, int64(l.MQTTPacketBytes))},
		{key: "messages_per_second", n: int64(l.MessagesPerSecond), least: 10, most: math.MaxInt32, zero: true},
		{key: "subscriptions_per_device", n: int64(l.SubscriptionsPerDevice), least: 1, most: 1 << 20},
		{key: "retained_per_device", n: int64(l.RetainedPerDevice), least: 1, most: math.MaxInt32},
		{key: "retained_bytes_per_device", n: l.RetainedBytesPerDevice, least: 1},
		{key: "retained_bytes", n: l.RetainedBytes, least: 1},
		{key: "session_queue", n: int64(l.SessionQueue), least: 1, most: math.MaxUint16},
		{key: "session_queue_bytes", n: l.SessionQueueBytes, least: 64 << 10},
		{key: "clips_bytes", n: l.ClipsBytes, least: 1 << 20},
	} {
		key := "limits." + n.key
		switch {
		case n.zero && n.n == 0:
		case n.most == 0:
			k.that(n.n >= n.least, key, "%d is not %d or more", n.n, n.least)
		default:
			k.that(n.n >= n.least && n.n <= n.most, key, "%d is not %d to %d", n.n, n.least, n.most)
		}
	}
	for i, text := range k.MQTT.ProxyProtocol {
		_, err := ParseNetwork(text)
		k.that(err == nil, "mqtt.proxy_protocol["+strconv.Itoa(i)+"]", "%q is no network such as 10.0.0.0/8, and no address", text)
	}
}

// ParseNetwork reads a network, or a single address as one.
func ParseNetwork(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.Unmap().Prefix(ip.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}
