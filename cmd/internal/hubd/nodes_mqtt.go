package hubd

import (
	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/relay"
)

// unsureBytes is what is remembered for each other node of what was sent to it: six
// seconds, and those until its death is known, of 600 messages of 256 bytes a second.
const unsureBytes = 4 << 20

// makeRelay makes what carries MQTT messages to the other nodes, where there are some.
func (h *Hub) makeRelay() (err error) {
	if h.cfg.Redis.URL == "" {
		return nil
	}
	cfg := relay.Config{Node: h.cfg.Node, Unsure: unsureBytes, Log: h.log}
	for _, b := range h.cfg.MQTT.Bridges {
		cfg.Sides = append(cfg.Sides, area.FromBridge+":"+b.Name)
	}
	h.relay, err = relay.New(cfg)
	return err
}

// joinRelay joins it with those of the other nodes.
func (h *Hub) joinRelay() {
	if h.relay != nil {
		backplane.JoinRelay(h.nodes.mux, h.relay)
	}
}

// relayParts is the part that carries, and what it has to know of bridges.
func (h *Hub) relayParts() []part {
	if h.relay == nil {
		return nil
	}
	return []part{{"relay", h.relay.Run}, {"links of bridges", h.tellLinks}}
}

// everywhere is the bus of parts that want to hear what comes in at any node.
func (h *Hub) everywhere() bus {
	if h.broker == nil {
		return h.bus
	}
	return everywhere{h.bus, h.broker.SubscribeEverywhere}
}

type everywhere struct {
	bus
	subscribe func(string, func(area.Message)) (func(), error)
}

func (e everywhere) Subscribe(filter string, enqueue func(area.Message)) (cancel func(), err error) {
	return e.subscribe(filter, enqueue)
}

// orKept is the bus of parts that want to hear what comes in here, and what is retained
// at any node.
func (h *Hub) orKept() bus {
	if h.broker == nil {
		return h.bus
	}
	return everywhere{h.bus, h.actedOn(h.broker.SubscribeKept)}
}

// besides is the bus of a bridge: it also carries what comes in at nodes that do not
// have the bridge.
func (h *Hub) besides(bridge string) bus {
	if h.relay == nil {
		return h.bus
	}
	from := area.FromBridge + ":" + bridge
	return everywhere{h.bus, func(filter string, enqueue func(area.Message)) (func(), error) {
		return h.broker.SubscribeEverywhere(filter, func(m area.Message) {
			if m.Node == "" || !h.relay.HasSide(m.Node, from) {
				enqueue(m)
			}
		})
	}}
}
