package signalr

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
)

// Call is one invocation of a hub method by a client.
type Call struct {
	c       *Conn
	id      string
	name    string
	args    []value
	size    int
	uploads []*upload
	beside  bool // it has streams: it does not wait for the calls before it
	crowded bool // too many were detached when it started
	method  *Method
	fault   error // why it cannot run
	ctx     context.Context
	life    lazyContext // is ctx, when there is an id

	detached  bool // set by the handler's goroutine only
	streaming bool // an item was sent; as detached
	completed atomic.Bool
}

// Conn returns the caller.
func (c *Call) Conn() *Conn { return c.c }

// Name returns the method's name as the client wrote it.
func (c *Call) Name() string { return c.name }

// HasID says whether the client waits for an answer. Without it result and
// error go nowhere.
func (c *Call) HasID() bool { return c.id != "" }

// Len returns the number of arguments; uploads are none.
func (c *Call) Len() int { return len(c.args) }

// Raw returns the i-th argument as JSON, nil when there are fewer.
func (c *Call) Raw(i int) json.RawMessage {
	if i < 0 || i >= len(c.args) {
		return nil
	}
	return asJSON(c.args[i])
}

// Bind decodes the arguments into the given pointers, one each. When number or
// types do not fit, the handler should return the error as it is: the caller
// then sees the vendor's text.
func (c *Call) Bind(into ...any) error { return c.BindOptional(len(into), into...) }

// BindOptional is Bind for a method whose arguments after the first required
// ones may be missing; their targets stay as they are.
func (c *Call) BindOptional(required int, into ...any) error {
	if n := len(c.args); n < required || n > len(into) {
		return &bindError{fmt.Sprintf("Invocation provides %d argument(s) but target expects %d.", n, len(into))}
	}
	for i, raw := range c.args {
		if err := bind(raw, into[i]); err != nil {
			return &bindError{fmt.Sprintf("Error binding arguments. Make sure that the types of the provided values "+
				"match the types of the hub method being invoked. (argument %d: %v)", i, err)}
		}
	}
	return nil
}

// Detach makes the call independent of the handler: what the handler returns
// after it (except an error) is ignored, the connection's next call runs, and
// the Reply completes this one. Only the handler may call it, once, and not that
// of a stream.
func (c *Call) Detach() *Reply {
	if !c.detached {
		c.detached = true
		c.c.in.detach()
	}
	return &Reply{c}
}

// Reply completes a detached call. It is safe for concurrent use.
type Reply struct{ call *Call }

// Call returns the call that is waiting.
func (r *Reply) Call() *Call { return r.call }

// cancel ends the context of a call with an id.
func (c *Call) cancel() {
	if c.id != "" {
		c.life.end()
	}
}

// Context returns the call's context; it ends when the caller cancels or is
// gone, and with the completion.
func (r *Reply) Context() context.Context { return r.call.ctx }

// Complete ends the call as a handler's return would, and reports whether it
// was the first to do so. It does not block. A call must be completed also
// when its context has ended.
func (r *Reply) Complete(result any, err error) bool { return r.call.complete(result, err) }
