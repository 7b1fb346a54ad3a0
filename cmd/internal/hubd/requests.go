package hubd

import (
	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// makeRequests answers requests of REST that come over MQTT.
func (h *Hub) makeRequests() (err error) {
	h.requests, err = api.NewDesk(api.DeskParts{Bus: h.heardOnce(), API: h.api, Principal: h.asks, MayAnswer: h.mayAnswer}, h.log)
	return err
}

// asks is on whose behalf a message was published: in open mode anybody's. What
// the hub published itself, for somebody at REST, is nobody's request.
func (h *Hub) asks(m area.Message) (auth.Principal, bool) {
	switch {
	case area.ReservedClient(m.From):
		return auth.Principal{}, false
	case h.auth.Open():
		return auth.Anonymous(), true
	}
	if h.broker == nil {
		return anybody(), true
	}
	return h.broker.Principal(m.From, m.Conn)
}

// mayAnswer tells whether the hub may publish on a topic in somebody's name: where
// he could do so himself, and read it.
func (h *Hub) mayAnswer(who auth.Principal, topic string) bool {
	if area.HubOnly(topic) {
		return false
	}
	if h.auth.Open() {
		return topic[0] != '$' && topic[0] != '@'
	}
	a := who.Access()
	return a.MayPublish(topic) && a.MayRead(topic)
}
