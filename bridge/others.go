package bridge

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// What the pumps of a hub's nodes say to each other, and ask. Each reads what comes in
// at its own node, and what is retained at any, which every node has. Of the rest it
// gets what somebody here wants to see: a sample of the topics while the group of
// topics has a member, and what views and watchers of areas are shown.

// Others are the pumps of the hub's other nodes.
type Others interface {
	// Wanted tells whether another node wants the notes on a topic.
	Wanted(topic string) bool
	// Say sends a note to the nodes that want its topic. It does not block. It comes to
	// [Pump.Noted] there.
	Say(topic string, note []byte)
	// Want says that one more, or one less, here wants the notes on a topic.
	Want(topic string, on bool)
	// Await blocks until the others know what is wanted here, by Want and Subscribe; it
	// does not wait for those that do not answer.
	Await(ctx context.Context)
	// Subscribe calls enqueue for what comes in at other nodes on the topics that a
	// filter matches, not for what they retain already. It must not block.
	Subscribe(filter string, enqueue func(area.Message)) (cancel func(), err error)
	// Ask has each other node answer by [Pump.Answer], and calls more with what it
	// answers, one node at a time, until that has no further question for the node (nil);
	// with an error where it does not answer. It blocks until all have, or ctx ends.
	Ask(ctx context.Context, question []byte, more func(node string, answer []byte, err error) (question []byte))
}

// noOthers are those of a node that is alone.
type noOthers struct{}

func (noOthers) Wanted(string) bool                                              { return false }
func (noOthers) Say(string, []byte)                                              {}
func (noOthers) Want(string, bool)                                               {}
func (noOthers) Await(context.Context)                                           {}
func (noOthers) Subscribe(string, func(area.Message)) (func(), error)            { return func() {}, nil }
func (noOthers) Ask(context.Context, []byte, func(string, []byte, error) []byte) {}

// NoteTopics is the topic of notes of the sample of topics.
const NoteTopics = area.Root + "/hub/topics"

// topicNote is a message of the sample of topics, as nodes tell each other.
type topicNote struct {
	Topic   string    `json:"topic"`
	Payload []byte    `json:"payload"`
	QoS     byte      `json:"qos,omitempty"`
	Retain  bool      `json:"retain,omitempty"`
	At      time.Time `json:"at"`
}

// Noted takes a note of another node's pump. It does not block; it waits in the inbox
// with the messages.
func (p *Pump) Noted(node, topic string, note []byte) {
	p.in.Put(area.Message{Node: node, Topic: topic, Payload: note})
}

// note does what a note says; false: m is none.
func (p *Pump) note(m area.Message) bool {
	if m.Node == "" || m.Topic != NoteTopics {
		return false
	}
	p.count.notes.Add(1)
	var n topicNote
	if err := json.Unmarshal(m.Payload, &n); err != nil {
		p.count.notesUnread.Add(1)
		p.sayOnce(p.Now(), "note of another node cannot be read", "node", m.Node, "err", err)
		return true
	}
	p.sample.offer(sampled{area.Message{Node: m.Node, Topic: n.Topic, Payload: n.Payload, QoS: n.QoS, Retain: n.Retain}, n.At})
	return true
}

// tell tells the nodes that want it what the group of topics gets here, but for what
// they have told themselves.
func (p *Pump) tell(m sampled) {
	if m.Node == "" && p.Others.Wanted(NoteTopics) {
		p.Others.Say(NoteTopics, encode(topicNote{m.Topic, m.Payload, m.QoS, m.Retain, m.at}))
	}
}

// submits matches what an area is asked for: of the topics of areas the only one that
// is one topic of all nodes.
var submits = area.SubmitTopic("+")

// hearOthers subscribes to what the pump itself has to know of what comes in at other
// nodes: what the watchers of an area see.
func (p *Pump) hearOthers() (cancel func(), err error) { return p.Others.Subscribe(submits, p.in.Put) }
