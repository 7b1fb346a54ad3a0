package signalr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Kinds of questions that are about one connection, and have no message.
const (
	askJoin byte = iota + 64
	askLeave
	askClose
	askThere
)

// AddToGroup makes a connection, of whichever node, a member of a group; to add it again
// changes nothing. It blocks until the connection's node has answered, or ctx ends. It
// fails with [ErrClosed] where there is
// no such connection, and as [Conn.Join] does.
func (s *Server) AddToGroup(ctx context.Context, id, group string) error {
	return s.about(ctx, inquiry{Kind: askJoin, Target: id, Text: group})
}

// RemoveFromGroup ends a membership of a connection, of whichever node; where there is
// none it changes nothing. It blocks and fails as [Server.AddToGroup] does.
func (s *Server) RemoveFromGroup(ctx context.Context, id, group string) error {
	return s.about(ctx, inquiry{Kind: askLeave, Target: id, Text: group})
}

// CloseConn ends a connection of whichever node, as [Conn.Close] with a reason that its
// client is told. It blocks and fails as [Server.AddToGroup] does.
func (s *Server) CloseConn(ctx context.Context, id, reason string) error {
	return s.about(ctx, inquiry{Kind: askClose, Target: id, Text: reason})
}

// HasConn answers nil where a connection, of whichever node, is there, [ErrClosed] where it
// is not, and another error where its node does not answer until ctx ends.
func (s *Server) HasConn(ctx context.Context, id string) error {
	return s.about(ctx, inquiry{Kind: askThere, Target: id})
}

// about does something to a connection, here or at its node.
func (s *Server) about(ctx context.Context, q inquiry) error {
	node := nodeOf(q.Target)
	if s.cfg.Cluster == nil || node == "" || node == s.cfg.Cluster.Self() {
		return s.attend(ctx, q)
	}
	head, err := json.Marshal(q)
	if err != nil {
		return err
	}
	err = fmt.Errorf("%w: %s", ErrClosed, q.Target)
	s.cfg.Cluster.Ask(ctx, []string{node}, append(head, '\n'), func(node string, answer []byte, failed error) bool {
		if err = nil; failed != nil {
			err = fmt.Errorf("node %s: %w", node, failed)
		} else if len(answer) > 0 {
			err = refusalOf(string(answer))
		}
		return false
	})
	return err
}

// attend does something to an own connection.
func (s *Server) attend(ctx context.Context, q inquiry) (err error) {
	c := s.find(q.Target)
	if c == nil {
		return fmt.Errorf("%w: %s", ErrClosed, q.Target)
	}
	switch q.Kind {
	case askJoin:
		defer s.Listen(ctx, q.Text)()
		_, err = c.Join(q.Text)
	case askLeave:
		c.Leave(q.Text)
	case askClose:
		c.Close(Error(q.Text))
	}
	return err
}

// refusals are the errors that keep their meaning on the way from node to node.
var refusals = map[string]error{"closed": ErrClosed, "groups": ErrGroups, "forbidden": ErrForbidden}

// refusal is an error as the answer to another node; empty: none.
func refusal(err error) []byte {
	for word, known := range refusals {
		if errors.Is(err, known) {
			return []byte(word)
		}
	}
	if err != nil {
		return []byte(err.Error())
	}
	return nil
}

func refusalOf(word string) error {
	if known := refusals[word]; known != nil {
		return known
	}
	return errors.New(word)
}
