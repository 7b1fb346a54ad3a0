package signalr

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// dispatch is what a message does. It runs on the reader's goroutine and waits
// only for room among the calls.
func (c *Conn) dispatch(m protocol.Message) {
	switch m.Type {
	case protocol.Invocation:
		c.invoke(m)
	case protocol.StreamInvocation:
		c.stream(m)
	case protocol.CancelInvocation:
		if call := c.in.find(m.ID); call != nil {
			call.cancel()
		}
	case protocol.Close:
		c.leave(m)
	case protocol.Ping, protocol.Ack, protocol.Sequence:
	case protocol.StreamItem, protocol.Completion:
		// Answers to streams and questions that ended, or never were: late ones are
		// no fault of the client.
	default:
		if !c.oddTypes {
			c.oddTypes = true
			c.s.log.Info("messages of an unknown type ignored", "conn", c.id, "n", int(m.Type))
		}
	}
}

// invoke queues a call. Also calls that cannot run are queued, so that
// completions come in the order of the calls.
func (c *Conn) invoke(m protocol.Message) {
	h := c.s.methods[strings.ToLower(m.Target)]
	switch {
	case h == nil:
		h = refusal(unknownMethod(m.Target))
	case len(m.StreamIDs) > 0:
		h = refusal(explain(m.Target, Error(fmt.Sprintf("Client sent %d stream(s), Hub method expects 0.", len(m.StreamIDs))), false))
	default:
		c.s.count.calls.Add(1)
	}
	c.queue(m, h)
}

func (c *Conn) stream(m protocol.Message) {
	text := unknownMethod(m.Target)
	if c.s.methods[strings.ToLower(m.Target)] != nil {
		text = notStreaming(m.Target)
	}
	c.queue(m, refusal(text))
}

// verbatim is an error that is the whole text of a completion.
type verbatim struct{ text string }

func (e *verbatim) Error() string { return e.text }

// refusal is the handler of a call that cannot run.
func refusal(text string) Handler {
	return func(context.Context, *Call) (any, error) { return nil, &verbatim{text} }
}

func (c *Conn) queue(m protocol.Message, h Handler) {
	call := &Call{c: c, id: m.ID, name: m.Target, args: m.Args, h: h, ctx: c.ctx, cancel: func() {}}
	for _, a := range m.Args {
		call.size += len(a)
	}
	if m.ID != "" {
		call.ctx, call.cancel = context.WithCancel(c.ctx)
	}
	if c.in.put(call, c.stall) {
		c.tasks.Go(c.work)
	}
}

// stall notes that the reader does or does not wait for its own calls; while it
// does, the client is not held to be silent.
func (c *Conn) stall(on bool) {
	c.heard.Store(int64(c.s.now()))
	c.listening.Store(!on)
}

// leave is the client's Close message.
func (c *Conn) leave(m protocol.Message) {
	var cause error
	if m.Error != "" {
		cause = fmt.Errorf("closed by the client: %s", m.Error)
	}
	c.part(cause, transport.CloseNormal)
}

// work runs the connection's calls one after the other until none waits.
func (c *Conn) work() {
	for call := c.in.next(); call != nil; call = c.in.next() {
		call.run()
	}
}

// run calls the handler and completes the call unless it was detached.
func (c *Call) run() {
	defer func() {
		if p := recover(); p != nil {
			c.c.s.log.Error("hub method panicked", "conn", c.c.id, "err", fmt.Errorf("%s: %v\n%s", c.name, p, debug.Stack()))
			c.complete(nil, fmt.Errorf("panic: %v", p))
		}
	}()
	if c.c.in.crowded() {
		c.c.s.count.refused.Add(1)
		c.complete(nil, Error("too many calls of this connection are unanswered"))
		return
	}
	result, err := c.h(c.ctx, c)
	if c.detached && err == nil {
		return
	}
	c.complete(result, err)
}

// complete answers the call, once.
func (c *Call) complete(result any, err error) bool {
	if c.completed.Swap(true) {
		return false
	}
	defer c.cancel()
	c.c.in.done(c, c.detached)
	if err != nil {
		c.c.s.count.failed.Add(1)
	}
	if c.id == "" {
		return true
	}
	f := c.completion(result, err)
	_ = c.c.enqueue(f) // an error means that the caller is gone
	return true
}

func (c *Call) completion(result any, err error) *frame {
	if err == nil {
		f, fault := c.encode(result)
		if fault == nil {
			return f
		}
		c.c.s.log.Error("result has no JSON", "conn", c.c.id, "err", fmt.Errorf("%s: %w", c.name, fault))
		err = fault
	}
	if v, ok := err.(*verbatim); ok {
		return errorFrame(c.id, v.text)
	}
	return errorFrame(c.id, explain(c.name, err, c.c.s.cfg.EnableDetailedErrors))
}

// encode makes the completion; a panic of the result's own encoder is an error
// like any other, because the caller must have its answer.
func (c *Call) encode(result any) (f *frame, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while encoding: %v", p)
		}
	}()
	return resultFrame(c.id, result)
}
