package signalr

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
)

// ErrNobody is returned when a question to a [Target] finds no connection.
var ErrNobody = errors.New("no connection to ask")

// Answer is what one client answered.
type Answer[R any] struct {
	// ID is who was asked; empty where a whole node gave no answer.
	ID string
	// Conn is the same; nil where it is a connection of another node.
	Conn *Conn
	// Result is the answer; the zero value when there is an error.
	Result R
	// Err is as with [Conn.Invoke].
	Err error
}

// InvokeOne calls a method of every connection of the target and takes the
// first answer that is no error; the others are no longer waited for, and their
// answers are ignored. Without a good answer the error has those of all, or is
// [ErrNobody]. ctx bounds the waiting.
//
// The protocol has no word that would tell the other clients to stop:
// CancelInvocation goes from client to server alone, and the vendor's client
// (10.0.11) answers one from the server with a warning about a message of an
// invalid type (dotnet/aspnetcore#44831 asks for it). Where they must know, send
// an event to all but the connection that is returned; it is one of the target's
// own events, so it comes behind the question.
func (t Target) InvokeOne(ctx context.Context, method string, args ...any) (id string, result json.RawMessage, err error) {
	id, v, err := askOne[value](ctx, t, method, args...)
	return id, asJSON(v), err
}

// InvokeAll calls a method of every connection of the target and waits until
// each has answered or failed, or ctx ends. The answers are in no order.
func (t Target) InvokeAll(ctx context.Context, method string, args ...any) []Answer[json.RawMessage] {
	var list []Answer[json.RawMessage]
	for _, a := range askAll[value](ctx, t, method, args...) {
		list = append(list, Answer[json.RawMessage]{a.ID, a.Conn, asJSON(a.Result), a.Err})
	}
	return list
}

func askOne[R any](ctx context.Context, t Target, method string, args ...any) (who string, r R, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var errs []error
	answers, wait := ask[R](ctx, t, true, method, args)
	defer wait()
	defer cancel()
	for a := range answers {
		if a.Err == nil {
			return a.ID, a.Result, nil
		}
		errs = append(errs, a.Err)
	}
	if len(errs) == 0 {
		return "", r, ErrNobody
	}
	return "", r, errors.Join(errs...)
}

func askAll[R any](ctx context.Context, t Target, method string, args ...any) (list []Answer[R]) {
	answers, wait := ask[R](ctx, t, false, method, args)
	defer wait()
	for a := range answers {
		list = append(list, a)
	}
	return list
}

// ask asks every connection of the target, those of other nodes, too; there the
// first good answer is enough if one is. It closes answers when all have answered;
// wait waits for that, after ctx has ended or answers was read to its end.
func ask[R any](ctx context.Context, t Target, one bool, method string, args []any) (answers <-chan Answer[R], wait func()) {
	here, done := askHere[R](ctx, t, method, args)
	if t.s.cfg.Cluster == nil {
		return here, done
	}
	all, enough := make(chan Answer[R]), make(chan struct{})
	hand := func(a Answer[R]) bool {
		select {
		case all <- a:
			return true
		case <-enough:
			return false
		}
	}
	var tasks, closed sync.WaitGroup
	tasks.Go(func() { askNodes(ctx, t, one, method, args, hand) })
	tasks.Go(func() {
		for a := range here {
			if !hand(a) {
				return
			}
		}
	})
	closed.Go(func() { tasks.Wait(); close(all) })
	return all, func() { close(enough); closed.Wait(); done() }
}

// askHere asks this server's connections at once.
func askHere[R any](ctx context.Context, t Target, method string, args []any) (answers <-chan Answer[R], wait func()) {
	conns := t.Conns()
	all := make(chan Answer[R], len(conns))
	var asked, closed sync.WaitGroup
	for _, c := range conns {
		asked.Go(func() {
			r, err := Ask[R](ctx, c, method, args...)
			all <- Answer[R]{c.id, c, r, err}
		})
	}
	closed.Go(func() { asked.Wait(); close(all) })
	return all, closed.Wait
}
