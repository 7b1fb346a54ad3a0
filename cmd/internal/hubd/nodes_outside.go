package hubd

import (
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Several nodes may have one outside broker (mqtt.external beside redis.url). Each then
// hears everything, and what one publishes comes to the clients of all: nothing of MQTT
// goes between the nodes. Who does what:
//
//   - An area: its owner takes what devices say of it from the broker, and alone publishes
//     what is the area's (package arbiter).
//   - Who is live, what is retained, the newest of each topic: each node hears it.
//   - What a node publishes itself, for a client of its own: that node acts on it, as if
//     it alone had a broker.
//   - All else that is said there: one node acts on it, which has the say ([Hub.speaks]):
//     readings, events of groups, works that are submitted, requests, commands of Home
//     Assistant, alarms of devices' health. It shows the site to Home Assistant, sends the
//     members of areas their documents, and answers devices where no area's owner does.
//
// The eldest node that reaches the broker has the say (nodes_reach.go). When it is killed
// the next one has it once that is noticed (redis.node_timeout). Of what came in between
// works are taken then ([standby]), devices say again what matters to an area, and a sensor
// has its next word; events of groups, requests and commands are lost. A node that does not
// reach the broker is heard of sooner (redis.heartbeat), gives up its areas, and serves its
// own clients with what the others hear. One that reaches the broker and not the server of
// the nodes keeps a say that it had: what is said then may have its consequences twice, at
// its own clients and at those of the others; nothing is granted by it, as ever.

// oneBroker tells whether all nodes have the same broker, which is not theirs.
func (h *Hub) oneBroker() bool { return h.outside != nil && h.nodes != nil }

// speaks tells whether this node has the say.
func (h *Hub) speaks() bool { return !h.oneBroker() || h.nodes.say.has() }

// acts tells whether what follows from a message for all of the hub is this node's to do.
func (h *Hub) acts(m area.Message) bool { return m.Node == "" && (m.From != "" || h.speaks()) }

// heardOnce is the bus of parts that answer what they hear: one of the nodes does.
func (h *Hub) heardOnce() bus {
	if !h.oneBroker() {
		return h.bus
	}
	return everywhere{h.bus, func(filter string, enqueue func(area.Message)) (func(), error) {
		return h.bus.Subscribe(filter, func(m area.Message) {
			if h.acts(m) {
				enqueue(m)
			}
		})
	}}
}

// joinOutside has it be known which of the nodes has the say.
func (h *Hub) joinOutside() {
	if !h.oneBroker() {
		return
	}
	h.joinReach()
	h.nodes.say.watch(h.peers.Changed) // documents are sent that the node before has not
}

// outsideParts is what tells the other nodes how this one stands with the broker.
func (h *Hub) outsideParts() []part {
	if !h.oneBroker() {
		return nil
	}
	return []part{{"reach of the outside broker", h.tellReach}}
}

// sayChanges calls changed when another node may have the say.
func (h *Hub) sayChanges(changed func()) (cancel func()) {
	if !h.oneBroker() {
		return func() {}
	}
	return h.nodes.say.watch(changed)
}

// whoSpeaks is how the arbiter knows that; nil: each node has a broker of its own.
func (h *Hub) whoSpeaks() func() bool {
	if !h.oneBroker() {
		return nil
	}
	return h.speaks
}

// whoActs is how the pump knows it; nil, too.
func (h *Hub) whoActs() func(area.Message) bool {
	if !h.oneBroker() {
		return nil
	}
	return h.acts
}

// say is whether this node has the say. It is safe for concurrent use.
type say struct {
	judging sync.Mutex // held from when it is found out until it is noted; before mu

	mu      sync.Mutex // guards what follows
	is      bool
	next    int
	changed map[int]func()
}

func (s *say) has() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.is
}

// judge notes what find finds out. What was found out later counts.
func (s *say) judge(find func() bool) {
	s.judging.Lock()
	defer s.judging.Unlock()
	s.set(find())
}

// set notes it, and tells who watches where it has changed.
func (s *say) set(is bool) {
	s.mu.Lock()
	var tell []func()
	if s.is != is {
		for _, f := range s.changed {
			tell = append(tell, f)
		}
	}
	s.is = is
	s.mu.Unlock()
	for _, f := range tell {
		f()
	}
}

// watch has changed called at each change; it must only signal.
func (s *say) watch(changed func()) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = map[int]func(){}
	}
	n := s.next
	s.next++
	s.changed[n] = changed
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.changed, n)
	}
}

// standby keeps what the node that has the say has heard as well, for as long as it may
// be gone unnoticed: submitsMost works, of which the oldest give way, since that node has
// them most likely.
type standby struct {
	long time.Duration

	mu   sync.Mutex
	list []stoodBy
}

type stoodBy struct {
	at time.Time
	m  area.Message
}

func (s *standby) put(m area.Message, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.list) > 0 && (len(s.list) >= submitsMost || now.Sub(s.list[0].at) > s.long) {
		s.list = s.list[1:]
	}
	s.list = append(s.list, stoodBy{now, m})
}

// take hands out what is not too old.
func (s *standby) take(now time.Time) (out []area.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.list {
		if now.Sub(x.at) <= s.long {
			out = append(out, x.m)
		}
	}
	s.list = nil
	return out
}
