package signalr

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// Cluster joins a server with those of other nodes that serve the same hub: what is
// sent to a target then reaches its connections wherever they are. The server's own
// connections are served first and without it; so what the cluster loses is lost for
// other nodes alone. Its methods must not block, but for Await and Ask.
type Cluster interface {
	// Self is the name of this node: letters, digits, - and _. The ids and the tokens
	// of connections end with it.
	Self() string
	// Publish hands a letter to every other node that wants to hear of the topic.
	Publish(topic string, l Letter) error
	// Send hands a letter to one node.
	Send(node string, l Letter) error
	// Want says that one more, or one less, here wants to hear of the topic. It is
	// called with locks held: it must not call back.
	Want(topic string, on bool)
	// Await blocks until what other nodes publish for a topic that is wanted here is
	// heard, they cannot be reached, or ctx ends.
	Await(ctx context.Context, topic string)
	// Ask has the servers of the nodes, of all others where none is named, answer by
	// [Server.Answer], and calls reply for each, one at a time, until it answers
	// false. It blocks until all have answered, are gone, or ctx ends.
	Ask(ctx context.Context, nodes []string, question []byte, reply func(node string, answer []byte, err error) bool)
}

// Letter is an event on its way to another node; it goes to [Server.Hear] there.
// What is in it is the servers' business.
type Letter struct {
	Kind   byte     // for whom the event is: all, a group, a user …
	Target string   // its name or id; empty where the kind needs none
	Except []string // ids of connections that do not get it
	Body   []byte   // the event, as the server that sends it has encoded it
}

// Kinds of letters.
const (
	toAll    byte = iota + 1
	toGroup       // Target is its name
	toUser        // Target is his id
	toClient      // Target is its id
	toMany        // Body begins with the parts
)

// Topics of [Cluster.Want]. Everybody wants everybody's.
const everybody = ""

func groupTopic(name string) string { return "g" + name }
func userTopic(id string) string    { return "u" + id }

// GroupOf is the group of which a topic of [Cluster.Want] and [Cluster.Await] is; false
// where it is of no group.
func GroupOf(topic string) (group string, ok bool) { return strings.CutPrefix(topic, groupTopic("")) }

// mark parts a connection's id from the name of its node.
const mark = "."

// nodeOf is the node in a connection's id; empty where there is none.
func nodeOf(id string) string {
	_, node, _ := strings.Cut(id, mark)
	return node
}

// newConnID is a connection's id, in which its node can be read.
func (c Config) newConnID() string {
	if c.Cluster == nil {
		return newID()
	}
	return newID() + mark + c.Cluster.Self()
}

// spread hands an event of the target to the other nodes. What they cannot be
// handed is counted.
func (s *Server) spread(t Target, e *event) {
	l, topic, node := t.letter()
	if l.Kind == 0 {
		return
	}
	body, err := e.wire()
	if err != nil {
		return // it was logged when it was encoded for our own, or nobody here speaks that
	}
	l.Body = append(l.Body, body...)
	if node != "" {
		err = s.cfg.Cluster.Send(node, l)
	} else {
		err = s.cfg.Cluster.Publish(topic, l)
	}
	if err != nil {
		s.count.unspread.Add(1)
	}
}

// letter is the letter of the target, without the event, and where it goes: to a
// node, or to all that want to hear of a topic. Its kind is 0 where all of the
// target is here.
func (t Target) letter() (l Letter, topic, node string) {
	l.Except = t.except
	switch {
	case t.client != "":
		if node = nodeOf(t.client); node == "" || node == t.s.cfg.Cluster.Self() {
			return Letter{}, "", ""
		}
		l.Kind, l.Target = toClient, t.client
	case t.all:
		l.Kind, topic = toAll, everybody
	case t.many == nil:
		l.Kind, l.Target, topic = toGroup, t.group, groupTopic(t.group)
	case len(t.many.groups)+len(t.many.clients)+len(t.many.tags) == 0:
	case len(t.many.groups)+len(t.many.clients) == 0 && len(t.many.tags) == 1 && t.many.tags[0].user:
		l.Kind, l.Target, topic = toUser, t.many.tags[0].value, userTopic(t.many.tags[0].value)
	default:
		l.Kind, l.Body, topic = toMany, t.many.appendTo(nil), everybody
	}
	return l, topic, node
}

// parts is the wire form of many.
type parts struct {
	Groups  []string   `json:"groups,omitempty"`
	Clients []string   `json:"clients,omitempty"`
	Users   []string   `json:"users,omitempty"`
	Tags    [][]string `json:"tags,omitempty"` // key and value
}

// appendTo writes m as JSON and a line's end.
func (m *many) appendTo(b []byte) []byte {
	p := parts{Groups: m.groups, Clients: m.clients}
	for _, t := range m.tags {
		if t.user {
			p.Users = append(p.Users, t.value)
		} else {
			p.Tags = append(p.Tags, []string{t.key, t.value})
		}
	}
	j, _ := json.Marshal(p) // texts alone
	return append(append(b, j...), '\n')
}

// cutMany reads what appendTo wrote.
func cutMany(b []byte) (*many, []byte, bool) {
	head, rest, ok := strings.Cut(string(b), "\n")
	var p parts
	if !ok || json.Unmarshal([]byte(head), &p) != nil {
		return nil, nil, false
	}
	return p.many(), []byte(rest), true
}

func (p *parts) many() *many {
	m := &many{groups: p.Groups, clients: p.Clients}
	for _, u := range p.Users {
		m.tags = append(m.tags, userTag(u))
	}
	for _, t := range p.Tags {
		if len(t) == 2 {
			m.tags = append(m.tags, tag{key: t[0], value: t[1]})
		}
	}
	return m
}

// wire is the event for other nodes: one byte that says which protocol, and the
// message in it. It is one that is there already, where there is one.
func (e *event) wire() ([]byte, error) {
	for d := dialects - 1; d >= 0; d-- {
		if f := e.frames[d]; f != nil {
			return append([]byte{byte(d)}, transport.Unseal(f.b)...), nil
		}
	}
	d := dialect(protocol.MessagePack)
	return codecs[d].Append([]byte{byte(d)}, &e.m)
}

// parseWire reads an event of another node. In the protocol in which it came it
// need not be encoded anew.
func parseWire(b []byte) (*event, error) {
	m, d, err := parseRecord(b)
	if err != nil {
		return nil, err
	}
	if m.Type != protocol.Invocation {
		return nil, errWire
	}
	e := &event{m: protocol.Message{Type: protocol.Invocation, Target: m.Target, Args: m.Args}}
	e.frames[d] = &frame{b: sealed(codecs[d], append(make([]byte, transport.FrameSpace, transport.FrameSpace+len(b)), b[1:]...)), n: 1, counts: true}
	return e, nil
}

var errWire = errors.New("malformed letter of another node")

// parseRecord reads one byte for the protocol and one message.
func parseRecord(b []byte) (m protocol.Message, d int, err error) {
	if len(b) == 0 || int(b[0]) >= dialects {
		return m, 0, errWire
	}
	d = int(b[0])
	split := protocol.NewSplitter(len(b))
	split.Use(codecs[d])
	n := 0
	err = split.Feed(b[1:], func(record []byte) (err error) {
		n++
		m, err = codecs[d].Parse(record)
		return err
	})
	if err == nil && n != 1 {
		err = errWire
	}
	return m, d, err
}

// post is the letters of other nodes that wait for a worker each. Those of one
// target have the same, so that they stay in order.
type post struct {
	boxes []postbox
}

// postboxLen bounds what waits in one box. Over it letters are dropped and counted.
const postboxLen = 8192

type postbox struct {
	wake    chan struct{}
	mu      sync.Mutex
	letters []Letter
}

func newPost() *post {
	p := &post{boxes: make([]postbox, runtime.GOMAXPROCS(0))}
	for i := range p.boxes {
		p.boxes[i].wake = make(chan struct{}, 1)
	}
	return p
}

// Hear takes a letter of another node. It does not block: over the bound of its
// queue the letter is dropped and counted. The letter must not be changed
// afterwards.
func (s *Server) Hear(l Letter) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(l.Target)) // never fails
	b := &s.post.boxes[h.Sum32()%uint32(len(s.post.boxes))]
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.letters) >= postboxLen {
		s.count.unheard.Add(1)
		return
	}
	b.letters = append(b.letters, l)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// sort hands letters on until ctx ends.
func (b *postbox) sort(ctx context.Context, s *Server) {
	var spare []Letter
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		}
		b.mu.Lock()
		list := b.letters
		b.letters = spare[:0]
		b.mu.Unlock()
		for _, l := range list {
			s.arrived(l)
		}
		clear(list)
		spare = list
	}
}

// arrived sends an event of another node to our own connections.
func (s *Server) arrived(l Letter) {
	if l.Kind >= toNumbered && l.Kind <= toTail {
		s.arrivedRecord(l)
		return
	}
	t := Target{s: s, except: l.Except}
	body, ok := l.Body, true
	switch l.Kind {
	case toAll:
		t.all = true
	case toGroup:
		t.group = l.Target
	case toUser:
		t.many = &many{tags: []tag{userTag(l.Target)}}
	case toClient:
		t.client = l.Target
	case toMany:
		t.many, body, ok = cutMany(body)
	default:
		ok = false
	}
	var e *event
	var err error = errWire
	if ok {
		e, err = parseWire(body)
	}
	if err != nil {
		s.count.unheard.Add(1)
		s.log.Warn("letter of another node dropped", "n", len(l.Body), "err", err)
		return
	}
	s.count.heard.Add(1)
	t.deliver(e)
}

// clusterCounts is what came of letters, and of what a log numbers.
type clusterCounts struct{ unspread, heard, unheard, loose, filled, passed atomic.Uint64 }
