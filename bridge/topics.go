package bridge

import (
	"container/list"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// Retainer lists what the broker retains.
type Retainer interface {
	Retained(filter string, most int) []area.Message
}

// maxShownDepth is how deep JSON may be nested to be shown as JSON: .NET's
// reader gives up the whole connection at 64, of which a frame needs a few.
const maxShownDepth = 32

// topics is the newest message of each topic, bounded in number and bytes: the
// topic that was silent longest goes, and is counted.
type topics struct {
	most, mostBytes int
	evicted         atomic.Uint64

	mu    sync.Mutex // guards what follows
	all   map[string]*list.Element
	order *list.List // of *heard; newest in front
	bytes int
}

// heard is the newest message of a topic, and the topic taken apart.
type heard struct {
	sampled
	topic area.Topic
}

func newTopics(most, mostBytes int) *topics {
	return &topics{most: most, mostBytes: mostBytes, all: map[string]*list.Element{}, order: list.New()}
}

// put keeps m as the newest of its topic, and answers that taken apart; an empty
// retained message ends the topic. What is hidden is not kept.
func (t *topics) put(m sampled) area.Topic {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.all[m.Topic]
	if e == nil {
		topic := area.ParseTopic(m.Topic)
		if ends(m) || hidden(topic) {
			return topic
		}
		e = t.order.PushFront(&heard{topic: topic})
		t.all[m.Topic] = e
	}
	h := e.Value.(*heard)
	t.bytes += size(m.Message) - size(h.Message)
	h.sampled = m
	t.order.MoveToFront(e)
	if ends(m) {
		t.remove(e)
	}
	for len(t.all) > t.most || t.bytes > t.mostBytes && len(t.all) > 1 {
		t.remove(t.order.Back())
		t.evicted.Add(1)
	}
	return h.topic
}

func ends(m sampled) bool { return m.Retain && len(m.Payload) == 0 }

// hidden tells whether a topic is between the hub and the leader of an area alone.
func hidden(t area.Topic) bool {
	return t.Kind == area.KindPeers || t.Kind == area.KindTrunkUp || t.Kind == area.KindTrunkDown
}

// size is what a message counts for in the list.
func size(m area.Message) int { return len(m.Topic) + len(m.Payload) }

func (t *topics) remove(e *list.Element) {
	h := t.order.Remove(e).(*heard)
	delete(t.all, h.Topic)
	t.bytes -= size(h.Message)
}

// newest is the newest message of a topic.
func (t *topics) newest(topic string) (area.Message, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.all[topic]
	if e == nil {
		return area.Message{}, false
	}
	return e.Value.(*heard).Message, true
}

// list is what matches the filter, by topic name, what the broker retains
// included; retained may be nil.
func (t *topics) list(filter string, retained Retainer) []area.TopicValue {
	found := map[string]area.TopicValue{}
	if retained != nil {
		for _, m := range retained.Retained(filter, t.most) {
			found[m.Topic] = area.TopicValue{Topic: m.Topic, Payload: showPayload(m.Payload), Retained: true, QoS: m.QoS}
		}
	}
	for _, m := range t.matching(filter) {
		v := show(m)
		if retained != nil {
			_, v.Retained = found[m.Topic]
		}
		found[m.Topic] = v
	}
	items := make([]area.TopicValue, 0, len(found))
	for _, topic := range slices.Sorted(maps.Keys(found)) {
		items = append(items, found[topic])
	}
	return items
}

func (t *topics) matching(filter string) (found []sampled) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for topic, e := range t.all {
		if area.MatchFilter(filter, topic) {
			found = append(found, e.Value.(*heard).sampled)
		}
	}
	return found
}

// show is a message as GET topics has it.
func show(m sampled) area.TopicValue {
	v := area.TopicValue{Topic: m.Topic, Payload: showPayload(m.Payload), Retained: m.Retain || m.Replay, QoS: m.QoS}
	if !m.Replay {
		v.TS = m.at.UnixMilli()
	}
	return v
}

// showPayload is [area.ShowPayload] for payloads that are to reach a browser as
// they are: JSON that is no UTF-8, which would end the WebSocket of everybody
// who gets it, is bytes, and JSON that is nested too deep is text.
func showPayload(p []byte) json.RawMessage {
	switch {
	case !utf8.Valid(p):
		return encode(struct {
			Base64 []byte `json:"base64"`
		}{p})
	case mapping.TooDeep(p, maxShownDepth):
		return encode(string(p))
	}
	return area.ShowPayload(p)
}

// encode writes a value of our own that cannot fail to be written.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("bridge: a value of our own does not encode: " + err.Error())
	}
	return b
}
