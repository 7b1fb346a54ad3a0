package hubd

import (
	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// brokerConfig is what the configuration says of the broker.
func (h *Hub) brokerConfig() broker.Config {
	l := h.cfg.Limits
	c := broker.Config{
		Addr: h.cfg.MQTT.Addr, Auth: h.auth, Relay: h.relay,
		MaxConnections: l.MQTTConnections, MaxPerAddr: l.MQTTConnectionsPerAddr, MaxSessions: l.MQTTSessions,
		MaxHalfOpen: l.MQTTHalfOpen, MaxHalfOpenPerAddr: l.MQTTHalfOpenPerAddr,
		MaxConnectBytes: l.MQTTConnectBytes, MaxPacketBytes: l.MQTTPacketBytes,
		MaxRate: l.MessagesPerSecond, MaxSubscriptions: l.SubscriptionsPerDevice,
		MaxRetained: l.RetainedPerDevice, MaxRetainedBytes: l.RetainedBytesPerDevice, MaxRetainedTotal: l.RetainedBytes,
		MaxQueue: l.SessionQueue, MaxQueueBytes: l.SessionQueueBytes,
	}
	if h.mqttTLS != nil {
		c.TLSAddr, c.TLS = h.cfg.MQTT.TLS.Addr, h.mqttTLS.config()
	}
	for _, text := range h.cfg.MQTT.ProxyProtocol {
		if p, err := conf.ParseNetwork(text); err == nil { // conf has checked it
			c.ProxyFrom = append(c.ProxyFrom, p)
		}
	}
	return c
}
