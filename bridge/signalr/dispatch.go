package signalr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// dispatch is what a message does. It runs on the reader's goroutine and waits
// only for room among the calls and among the items of an upload; while a method
// waits for the client, not even for that.
func (c *Conn) dispatch(m *protocol.Message) {
	switch m.Type {
	case protocol.Invocation:
		c.invoke(m, false)
	case protocol.StreamInvocation:
		c.invoke(m, true)
	case protocol.CancelInvocation:
		if call := c.in.find(m.ID); call != nil {
			call.cancel()
		}
	case protocol.StreamItem:
		if !c.in.item(m.ID, m.Item, c.stall) {
			c.s.count.late.Add(1)
		}
	case protocol.Completion:
		c.completed(m)
	case protocol.Close:
		c.leave(m)
	case protocol.Ping, protocol.Ack, protocol.Sequence:
	default:
		if !c.oddTypes {
			c.oddTypes = true
			c.s.log.Info("messages of an unknown type ignored", "conn", c.id, "n", int(m.Type))
		}
	}
}

// completed is the answer to a question of ours, or the end of an upload. One
// that comes too late is no fault of the client.
func (c *Conn) completed(m *protocol.Message) {
	if c.questions.answer(*m) {
		return
	}
	end := io.EOF
	if m.Failed {
		end = Error(m.Error)
	}
	if !c.in.finish(m.ID, end) {
		c.s.count.late.Add(1)
	}
}

// invoke places a call. Also calls that cannot run are queued, so that
// completions come in the order of the calls.
func (c *Conn) invoke(m *protocol.Message, stream bool) {
	call := &Call{c: c, id: m.ID, name: m.Target, args: m.Args, ctx: c.ctx}
	for _, a := range m.Args {
		call.size += sizeOf(a)
	}
	if m.ID != "" {
		call.life.parent = c.ctx
		call.ctx = &call.life
	}
	call.method = c.s.findMethod(m.Target)
	if call.fault = mismatch(call.method, m, stream); call.fault == nil {
		c.tally.calls.Add(1)
		call.attach(m.StreamIDs)
	}
	c.place(call)
}

// mismatch says why a call cannot run.
func mismatch(method *Method, m *protocol.Message, stream bool) error {
	switch {
	case method == nil:
		return &verbatim{unknownMethod(m.Target)}
	case stream && method.Stream == nil:
		return &verbatim{notStreaming(m.Target)}
	case !stream && method.Stream != nil:
		return &verbatim{isStreaming(m.Target)}
	case len(m.StreamIDs) != method.Uploads:
		return Error(fmt.Sprintf("Client sent %d stream(s), Hub method expects %d.", len(m.StreamIDs), method.Uploads))
	}
	return nil
}

// attach gives the call its uploads.
func (c *Call) attach(ids []string) {
	c.beside = c.method.Stream != nil || len(ids) > 0
	for _, id := range ids {
		c.uploads = append(c.uploads, &upload{in: &c.c.in, id: id, signal: make(chan struct{}, 1)})
	}
}

// place queues a call or has it run.
func (c *Conn) place(call *Call) {
	switch c.in.put(call, c.stall) {
	case toWorker:
		c.runSoon()
	case toRun:
		c.tasks.Go(call.run)
	case toRefuse:
		c.s.count.refused.Add(1)
		call.refuse(errCrowded)
	case taken:
		call.refuse(&verbatim{fmt.Sprintf("Invocation ID '%s' is already in use.", call.id)})
	case duplicate:
		call.refuse(Error("a stream id of the call is in use"))
	}
}

// stall notes that the reader does or does not wait for its own calls; while it
// does, the client is not held to be silent.
func (c *Conn) stall(on bool) {
	c.heard.Store(int64(c.s.now()))
	c.listening.Store(!on)
	if on {
		c.settle()
	}
}

// leave is the client's Close message.
func (c *Conn) leave(m *protocol.Message) {
	var cause error
	if m.Error != "" {
		cause = fmt.Errorf("closed by the client: %s", m.Error)
	}
	c.part(cause, transport.CloseNormal)
}

// work runs the connection's calls one after the other until none waits, and
// starts those that run beside.
func (c *Conn) work() {
	for {
		call, beside := c.in.next()
		for _, b := range beside {
			c.tasks.Go(b.run)
		}
		if call == nil {
			return
		}
		call.run()
	}
}

// errCrowded is the error of a call for which there is no room.
var errCrowded = Error("too many calls of this connection are unanswered")

// run calls the method and completes the call unless it was detached.
func (c *Call) run() {
	defer func() {
		if p := recover(); p != nil {
			c.c.s.log.Error("hub method panicked", "conn", c.c.id, "err", fmt.Errorf("%s: %v\n%s", c.name, p, debug.Stack()))
			c.complete(nil, fmt.Errorf("panic: %v", p))
		}
	}()
	result, err := c.handle(c.ctx)
	if c.detached && err == nil {
		return
	}
	c.complete(result, err)
}

// handle calls the method behind the filters, if there is one and the caller
// may.
func (c *Call) handle(ctx context.Context) (any, error) {
	switch {
	case c.method != nil && c.c.permit(c.method.Require, Access{Method: c.name}) != nil:
		return nil, &verbatim{unauthorized(c.name)}
	case c.fault != nil:
		return nil, c.fault
	case c.crowded:
		c.c.s.count.refused.Add(1)
		return nil, errCrowded
	}
	h := c.method.handler()
	for i := len(c.c.s.filters) - 1; i >= 0; i-- {
		h = c.c.s.filters[i].around(h)
	}
	return h(ctx, c)
}

// refuse completes a call that was not placed.
func (c *Call) refuse(err error) { c.answer(nil, err) }

// complete ends a placed call, once.
func (c *Call) complete(result any, err error) bool {
	if c.completed.Swap(true) {
		return false
	}
	c.c.in.done(c, c.detached)
	c.answer(result, err)
	return true
}

// answer sends the completion, if the client wants one.
func (c *Call) answer(result any, err error) {
	defer c.cancel()
	if err != nil {
		c.c.s.count.failed.Add(1)
	}
	if c.id == "" {
		return
	}
	d := newDraft()
	defer d.done()
	c.completion(d, result, err)
	_ = c.c.reply(d) // an error means that the caller is gone
}

func (c *Call) completion(d *draft, result any, err error) {
	if err == nil {
		if err = c.encode(d, result); err == nil {
			return
		}
		c.c.s.log.Error("result has no JSON", "conn", c.c.id, "err", fmt.Errorf("%s: %w", c.name, err))
	}
	d.m = failureOf(c.id, c.explain(err))
	if err := d.write(c.c.codec); err != nil {
		panic("signalr: " + err.Error()) // text always has an encoding
	}
}

// explain gives the text of an error completion.
func (c *Call) explain(err error) string {
	detailed := c.c.s.cfg.EnableDetailedErrors
	var v *verbatim
	switch {
	case errors.As(err, &v):
		return v.text
	case c.streaming:
		return describe("An error occurred on the server while streaming results.", err, detailed)
	}
	return explain(c.name, err, detailed)
}

// encode makes the completion; a panic of the result's own encoder is an error
// like any other, because the caller must have its answer.
func (c *Call) encode(d *draft, result any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while encoding: %v", p)
		}
	}()
	d.m = resultOf(c.id, result)
	return d.write(c.c.codec)
}
