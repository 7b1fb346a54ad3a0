package signalr

import "context"

// Event0 is an event without arguments, by its name. The types Event0 to Event4
// are the typed face of a client: a constant of such a type says what the
// clients of a hub understand, and the compiler checks every use of it.
//
//	const Said signalr.Event2[string, int] = "Said"
//	Said.Send(hub.Group("kitchen"), "hello", 3)
type Event0 string

// Send is [Target.Send] for this event.
func (e Event0) Send(to Target) int { return to.Send(string(e)) }

// Event1 is [Event0] with one argument.
type Event1[A any] string

// Send is [Target.Send] for this event.
func (e Event1[A]) Send(to Target, a A) int { return to.Send(string(e), a) }

// Event2 is [Event0] with two arguments.
type Event2[A, B any] string

// Send is [Target.Send] for this event.
func (e Event2[A, B]) Send(to Target, a A, b B) int { return to.Send(string(e), a, b) }

// Event3 is [Event0] with three arguments.
type Event3[A, B, C any] string

// Send is [Target.Send] for this event.
func (e Event3[A, B, C]) Send(to Target, a A, b B, c C) int { return to.Send(string(e), a, b, c) }

// Event4 is [Event0] with four arguments.
type Event4[A, B, C, D any] string

// Send is [Target.Send] for this event.
func (e Event4[A, B, C, D]) Send(to Target, a A, b B, c C, d D) int {
	return to.Send(string(e), a, b, c, d)
}

// Question0 is a method of a client that answers an R, by its name. As with
// [Event0] the compiler checks its uses.
//
//	const Where signalr.Question0[string] = "Where"
//	room, err := Where.Ask(ctx, call.Conn())
type Question0[R any] string

// Ask asks one client; see [Conn.Invoke].
func (q Question0[R]) Ask(ctx context.Context, c *Conn) (R, error) { return Ask[R](ctx, c, string(q)) }

// AskOne takes the first good answer; see [Target.InvokeOne].
func (q Question0[R]) AskOne(ctx context.Context, to Target) (id string, r R, err error) {
	return askOne[R](ctx, to, string(q))
}

// AskAll takes every answer; see [Target.InvokeAll].
func (q Question0[R]) AskAll(ctx context.Context, to Target) []Answer[R] {
	return askAll[R](ctx, to, string(q))
}

// Question1 is [Question0] with one argument.
type Question1[A, R any] string

// Ask asks one client; see [Conn.Invoke].
func (q Question1[A, R]) Ask(ctx context.Context, c *Conn, a A) (R, error) {
	return Ask[R](ctx, c, string(q), a)
}

// AskOne takes the first good answer; see [Target.InvokeOne].
func (q Question1[A, R]) AskOne(ctx context.Context, to Target, a A) (id string, r R, err error) {
	return askOne[R](ctx, to, string(q), a)
}

// AskAll takes every answer; see [Target.InvokeAll].
func (q Question1[A, R]) AskAll(ctx context.Context, to Target, a A) []Answer[R] {
	return askAll[R](ctx, to, string(q), a)
}

// Question2 is [Question0] with two arguments.
type Question2[A, B, R any] string

// Ask asks one client; see [Conn.Invoke].
func (q Question2[A, B, R]) Ask(ctx context.Context, c *Conn, a A, b B) (R, error) {
	return Ask[R](ctx, c, string(q), a, b)
}

// AskOne takes the first good answer; see [Target.InvokeOne].
func (q Question2[A, B, R]) AskOne(ctx context.Context, to Target, a A, b B) (id string, r R, err error) {
	return askOne[R](ctx, to, string(q), a, b)
}

// AskAll takes every answer; see [Target.InvokeAll].
func (q Question2[A, B, R]) AskAll(ctx context.Context, to Target, a A, b B) []Answer[R] {
	return askAll[R](ctx, to, string(q), a, b)
}
