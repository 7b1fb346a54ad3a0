package signalrtest

import (
	"context"
	"encoding/json"
	"io"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// Stream is a call whose method answers with a stream, or to which uploads
// belong. [Client.Stream] and [Client.Upload] open one. Items may be sent while
// items come; one goroutine at a time may call Next.
type Stream struct {
	c       *Client
	id      string
	uploads []string

	items  []protocol.Message // guarded by the client; items, and the completion
	signal chan struct{}
}

// Stream calls a hub method that answers with a stream.
func (c *Client) Stream(ctx context.Context, method string, args ...any) (*Stream, error) {
	return c.open(ctx, protocol.StreamInvocation, method, 0, args)
}

// Upload calls a hub method with n uploads, which [Stream.Send] and
// [Stream.End] feed; [Stream.Result] waits for the answer.
func (c *Client) Upload(ctx context.Context, method string, n int, args ...any) (*Stream, error) {
	return c.open(ctx, protocol.Invocation, method, n, args)
}

// StreamUpload calls a hub method with n uploads that answers with a stream.
func (c *Client) StreamUpload(ctx context.Context, method string, n int, args ...any) (*Stream, error) {
	return c.open(ctx, protocol.StreamInvocation, method, n, args)
}

func (c *Client) open(ctx context.Context, kind protocol.Type, method string, n int, args []any) (*Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &Stream{c: c, signal: make(chan struct{}, 1)}
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return nil, c.err
	}
	s.id = c.newID()
	for range n {
		s.uploads = append(s.uploads, c.newID())
	}
	if c.streams == nil {
		c.streams = make(map[string]*Stream)
	}
	c.streams[s.id] = s
	c.mu.Unlock()
	err := c.post(&protocol.Message{Type: kind, ID: s.id, Target: method, Args: protocol.Values(args...), StreamIDs: s.uploads})
	return s, err
}

// streamed hands a message to the stream it belongs to; false when there is
// none.
func (c *Client) streamed(m protocol.Message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[m.ID]
	if s == nil {
		return false
	}
	s.items = append(s.items, m)
	if m.Type == protocol.Completion {
		delete(c.streams, m.ID)
	}
	select {
	case s.signal <- struct{}{}:
	default:
	}
	return true
}

// Next waits for the next item; [io.EOF] is the end in good order, an [Error]
// that of the server.
func (s *Stream) Next(ctx context.Context) (json.RawMessage, error) {
	m, err := s.next(ctx)
	switch {
	case err != nil:
		return nil, err
	case m.Type == protocol.StreamItem:
		return m.Item.JSON(), nil
	case m.Failed:
		return nil, Error(m.Error)
	}
	return nil, io.EOF
}

// Result waits for the answer of a method that answers once; nil is no result.
func (s *Stream) Result(ctx context.Context) (json.RawMessage, error) {
	m, err := s.next(ctx)
	switch {
	case err != nil:
		return nil, err
	case m.Failed:
		return nil, Error(m.Error)
	}
	return m.Result.JSON(), nil
}

func (s *Stream) next(ctx context.Context) (protocol.Message, error) {
	for {
		s.c.mu.Lock()
		if len(s.items) > 0 {
			m := s.items[0]
			s.items = s.items[1:]
			s.c.mu.Unlock()
			return m, nil
		}
		s.c.mu.Unlock()
		select {
		case <-s.signal:
		case <-ctx.Done():
			return protocol.Message{}, ctx.Err()
		case <-s.c.done:
			return protocol.Message{}, s.c.Err()
		}
	}
}

// Send sends an item of the i-th upload.
func (s *Stream) Send(i int, item any) error {
	return s.c.post(&protocol.Message{Type: protocol.StreamItem, ID: s.uploads[i], Item: protocol.Of(item)})
}

// End completes the i-th upload; a reason is its error.
func (s *Stream) End(i int, reason string) error {
	return s.c.post(&protocol.Message{Type: protocol.Completion, ID: s.uploads[i], Failed: reason != "", Error: reason})
}

// Cancel asks the server to end the call; its completion still comes.
func (s *Stream) Cancel() error {
	return s.c.post(&protocol.Message{Type: protocol.CancelInvocation, ID: s.id})
}
