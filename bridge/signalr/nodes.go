package signalr

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// join takes part in the cluster, if there is one, until the function that it
// returns is called.
func (s *Server) join(ctx context.Context) (leave func()) {
	if s.cfg.Cluster == nil {
		return func() {}
	}
	ctx, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	for i := range s.post.boxes {
		tasks.Go(func() { s.post.boxes[i].sort(ctx, s) })
	}
	if s.scribe != nil {
		tasks.Go(func() { s.scribe.write(ctx, s) })
		tasks.Go(func() { s.scribe.push(ctx, s) })
	}
	s.cfg.Cluster.Want(everybody, true)
	return func() {
		s.cfg.Cluster.Want(everybody, false)
		stop()
		tasks.Wait()
	}
}

// longestListen bounds how long [Server.Listen] blocks.
const longestListen = 5 * time.Second

// Listen has this node hear what other nodes send to groups, and blocks until it does:
// who joins them before done is called sees every event that is sent anywhere after his
// call was answered. It does not wait for others that cannot be reached, nor longer than
// five seconds or ctx. Where there are no other nodes it does nothing.
func (s *Server) Listen(ctx context.Context, groups ...string) (done func()) {
	c := s.cfg.Cluster
	if c == nil {
		return func() {}
	}
	ctx, stop := context.WithTimeout(ctx, longestListen)
	defer stop()
	for _, g := range groups {
		c.Want(groupTopic(g), true)
	}
	for _, g := range groups {
		c.Await(ctx, groupTopic(g))
	}
	return func() {
		for _, g := range groups {
			c.Want(groupTopic(g), false)
		}
	}
}

// listenForUser blocks until what other nodes send to the user of a connection is heard
// here, as [Server.Listen] does.
func (c *Conn) listenForUser() {
	if c.s.cfg.Cluster == nil || c.User() == "" {
		return
	}
	ctx, stop := context.WithTimeout(c.ctx, longestListen)
	defer stop()
	c.s.cfg.Cluster.Await(ctx, userTopic(c.User()))
}

// elsewhere has another node serve a request for a connection that is that node's, as
// the token says; false: it is for us to answer. What comes before a connection
// (negotiate, a preflight) any node serves.
func (s *Server) elsewhere(w http.ResponseWriter, r *http.Request) bool {
	if s.cfg.Forward == nil || s.cfg.Cluster == nil || r.Method == http.MethodOptions || lastPart(r.URL.Path) == "negotiate" {
		return false
	}
	node := nodeOf(r.URL.Query().Get("id"))
	return node != "" && node != s.cfg.Cluster.Self() && s.cfg.Forward(w, r, node)
}

// inquiry is the head of a question to another node, a line of JSON; the method and
// its arguments follow as a message.
type inquiry struct {
	Kind   byte     `json:"kind"`
	Target string   `json:"target,omitempty"`
	Except []string `json:"except,omitempty"`
	Parts  *parts   `json:"parts,omitempty"`
	One    bool     `json:"one,omitempty"`  // the first good answer is enough
	Text   string   `json:"text,omitempty"` // of a question about one connection; see remote.go
}

// askNodes has other nodes ask their connections of the target.
func askNodes[R any](ctx context.Context, t Target, one bool, method string, args []any, hand func(Answer[R]) bool) {
	l, _, node := t.letter()
	if l.Kind == 0 {
		return
	}
	var nodes []string
	if node != "" {
		nodes = []string{node}
	}
	q, err := t.inquire(l, one, method, args)
	if err != nil {
		return // our own connections say it
	}
	t.s.cfg.Cluster.Ask(ctx, nodes, q, func(node string, answer []byte, err error) bool {
		var list []protocol.Message
		if err == nil {
			list, err = parseAnswers(answer)
		}
		if err != nil {
			return hand(Answer[R]{Err: fmt.Errorf("node %s: %w", node, err)})
		}
		for _, m := range list {
			if !hand(answerOf[R](m, method)) {
				return false
			}
		}
		return true
	})
}

// inquire is the question in its wire form.
func (t Target) inquire(l Letter, one bool, method string, args []any) ([]byte, error) {
	q := inquiry{Kind: l.Kind, Target: l.Target, Except: l.Except, One: one}
	if l.Kind == toMany {
		q.Parts = new(parts)
		_ = json.Unmarshal(bytes.TrimSuffix(l.Body, []byte("\n")), q.Parts) // it was just written
	}
	head, _ := json.Marshal(q) // plain fields
	d := dialect(protocol.MessagePack)
	return codecs[d].Append(append(head, '\n', byte(d)), &protocol.Message{Type: protocol.Invocation, Target: method, Args: protocol.Values(args...)})
}

func answerOf[R any](m protocol.Message, method string) (a Answer[R]) {
	a.ID = m.ID
	switch {
	case m.Failed && m.Error == context.DeadlineExceeded.Error():
		a.Err = context.DeadlineExceeded
	case m.Failed:
		a.Err = Error(m.Error)
	case sizeOf(m.Result) == 0:
		if _, raw := any(a.Result).(value); !raw {
			a.Err = ErrNoResult
		}
	default:
		if err := bind(m.Result, &a.Result); err != nil {
			a.Err = fmt.Errorf("answer to %s: %w", method, err)
		}
	}
	return a
}

// parseAnswers reads completions, whose ids are those of connections.
func parseAnswers(b []byte) (list []protocol.Message, err error) {
	split := protocol.NewSplitter(len(b) + 1)
	split.Use(protocol.MessagePack)
	err = split.Feed(bytes.Clone(b), func(record []byte) error {
		m, err := protocol.MessagePack.Parse(bytes.Clone(record))
		if err == nil && m.Type != protocol.Completion {
			err = errWire
		}
		list = append(list, m)
		return err
	})
	return list, err
}

// Answer answers a question of another node's server; see [Cluster.Ask]. It blocks
// until the clients have answered, or ctx ends.
func (s *Server) Answer(ctx context.Context, question []byte) ([]byte, error) {
	head, record, ok := bytes.Cut(question, []byte("\n"))
	var q inquiry
	if !ok || json.Unmarshal(head, &q) != nil {
		return nil, errWire
	}
	if q.Kind >= askJoin && q.Kind <= askThere {
		return refusal(s.attend(ctx, q)), nil
	}
	m, _, err := parseRecord(record)
	if err != nil {
		return nil, err
	}
	t, ok := s.inquired(q)
	if !ok {
		return nil, errWire
	}
	args := make([]any, len(m.Args))
	for i, a := range m.Args {
		args[i] = a
	}
	return t.answers(ctx, q.One, m.Target, args), nil
}

// inquired is the target of a question among this server's connections.
func (s *Server) inquired(q inquiry) (t Target, ok bool) {
	t = Target{s: s, except: q.Except}
	switch {
	case q.Kind == toAll:
		t.all = true
	case q.Kind == toGroup:
		t.group = q.Target
	case q.Kind == toUser:
		t.many = &many{tags: []tag{userTag(q.Target)}}
	case q.Kind == toClient:
		t.client = q.Target
	case q.Kind == toMany && q.Parts != nil:
		t.many = q.Parts.many()
	default:
		return t, false
	}
	return t, true
}

// onTheWay is what an answer may take to the node that asks: a tenth of the time that it
// waits, but not more than this.
const onTheWay = 250 * time.Millisecond

// inTime ends so long before ctx does that the answers that are there reach who asks: one
// client that is silent must not take those of the others with it.
func inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-min(onTheWay, time.Until(end)/10)))
}

// answers asks the target's connections of this server alone.
func (t Target) answers(ctx context.Context, one bool, method string, args []any) (b []byte) {
	ctx, cancel := inTime(ctx)
	defer cancel()
	answers, wait := askHere[value](ctx, t, method, args)
	defer wait()
	defer cancel()
	for a := range answers {
		m := protocol.Message{Type: protocol.Completion, ID: a.ID, Result: a.Result}
		if a.Err != nil {
			m.Failed, m.Error, m.Result = true, a.Err.Error(), value{}
		}
		if one && a.Err == nil {
			b = b[:0]
		}
		next, err := protocol.MessagePack.Append(b, &m)
		if err != nil {
			next, _ = protocol.MessagePack.Append(b, &protocol.Message{Type: protocol.Completion, ID: a.ID, Failed: true, Error: err.Error()}) // text has an encoding
		}
		b = next
		if one && a.Err == nil {
			break
		}
	}
	return b
}
