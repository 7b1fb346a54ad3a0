package signalr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// ErrNoResult is the error of a question that the client answered with nothing,
// though an answer was wanted.
var ErrNoResult = Error("Client didn't provide a result.")

// ErrQuestions is returned by [Conn.Invoke] when MaximumPendingResults answers
// are awaited from the connection.
var ErrQuestions = errors.New("too many questions to one connection")

// questions are the invocations of a client that wait for its answer. Their ids
// are the server's own.
type questions struct {
	mu      sync.Mutex
	last    uint64
	waiting map[string]chan protocol.Message
}

func (q *questions) open(most int) (id string, answer chan protocol.Message, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= most {
		return "", nil, ErrQuestions
	}
	if q.waiting == nil {
		q.waiting = make(map[string]chan protocol.Message)
	}
	q.last++
	id, answer = "s"+strconv.FormatUint(q.last, 10), make(chan protocol.Message, 1)
	q.waiting[id] = answer
	return id, answer, nil
}

func (q *questions) close(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if delete(q.waiting, id); len(q.waiting) == 0 {
		q.waiting = nil
	}
}

// answer hands a completion to who waits for it; false when nobody does.
func (q *questions) answer(m protocol.Message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	answer := q.waiting[m.ID]
	if answer == nil {
		return false
	}
	delete(q.waiting, m.ID)
	answer <- m
	return true
}

// Invoke calls a method of the client and waits for its answer, as JSON; nil is
// no result. ctx bounds the waiting and should have a deadline: a client may
// never answer. The error is a *[HubError] with the client's text (in
// particular "Client didn't provide a result." when it has no such method),
// that of ctx, [ErrQuestions], or one that wraps [ErrClosed] when the connection
// ends. The hub method that asks keeps later calls of its client waiting, but
// nothing else of it. It must not be used by a hook.
func (c *Conn) Invoke(ctx context.Context, method string, args ...any) (json.RawMessage, error) {
	v, err := c.ask(ctx, method, args)
	return asJSON(v), err
}

func (c *Conn) ask(ctx context.Context, method string, args []any) (none value, err error) {
	id, answer, err := c.questions.open(c.s.cfg.MaximumPendingResults)
	if err != nil {
		return none, err
	}
	defer c.questions.close(id)
	f, err := c.questionFrame(id, method, args)
	if err != nil {
		return none, err
	}
	c.relieve() // the answer must be read
	c.in.drink(1)
	defer c.in.drink(-1)
	if err := c.enqueue(f); err != nil {
		return none, err
	}
	select {
	case m := <-answer:
		if m.Failed {
			return none, Error(m.Error)
		}
		return m.Result, nil
	case <-ctx.Done():
		return none, ctx.Err()
	case <-c.ctx.Done():
		return none, fmt.Errorf("%w before it answered %s", ErrClosed, method)
	}
}

// Ask calls a method of a client and waits for an answer of type R; see
// [Conn.Invoke]. An answer of another type is an error, and none is
// [ErrNoResult].
func Ask[R any](ctx context.Context, c *Conn, method string, args ...any) (r R, err error) {
	v, err := c.ask(ctx, method, args)
	if err != nil {
		return r, err
	}
	if sizeOf(v) == 0 {
		return r, ErrNoResult
	}
	if err := bind(v, &r); err != nil {
		return r, fmt.Errorf("answer to %s: %w", method, err)
	}
	return r, nil
}
