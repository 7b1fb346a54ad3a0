package signalr

import (
	"context"
	"errors"
	"fmt"
)

// StreamHandler is a hub method that answers with a stream of items: it sends
// them to out, and the stream ends when it returns. Its ctx ends when the client
// cancels or is gone; a method that returns because of that has not failed.
type StreamHandler func(ctx context.Context, c *Call, out *Stream[any]) error

// Stream takes the items of a server stream. Only the method that got it may use
// it, from one goroutine at a time, and only until it returns.
type Stream[T any] struct{ out *outlet }

// outlet is where the items of a call go.
type outlet struct {
	ctx  context.Context
	call *Call
}

// Send sends an item. It waits while much is queued for the connection, so that
// a stream is no faster than its client. It fails when the client has cancelled
// or is gone, and with an item that cannot be encoded; the method should then
// return that error.
func (s *Stream[T]) Send(item T) error { return s.out.send(item) }

func (o *outlet) send(item any) error {
	if err := o.ctx.Err(); err != nil {
		return err
	}
	f, err := o.encode(item)
	if err != nil {
		o.call.c.s.log.Error("item has no JSON", "conn", o.call.c.id, "err", fmt.Errorf("%s: %w", o.call.name, err))
		return err
	}
	o.call.streaming = true
	return o.call.c.stream(o.ctx, f)
}

func (o *outlet) encode(item any) (f *frame, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while encoding: %v", p)
		}
	}()
	return o.call.c.itemFrame(o.call.id, item)
}

// handler is the stream as a method that answers once.
func (h StreamHandler) handler(ctx context.Context, c *Call) (any, error) {
	c.c.s.count.streams.Add(1)
	c.c.in.stream(1)
	defer c.c.s.count.streams.Add(-1)
	defer c.c.in.stream(-1)
	err := h(ctx, c, &Stream[any]{&outlet{ctx, c}})
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed)) {
		return nil, nil // what the client wanted is no error
	}
	return nil, err
}

// ActiveStreams returns how many server streams run for this connection.
func (c *Conn) ActiveStreams() int { return c.in.streaming() }
