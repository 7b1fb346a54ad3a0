package signalr

import (
	"context"
	"sync"
	"time"
)

// lazyContext is context.WithCancel of a parent, made when somebody needs it:
// most calls end before anybody asks whether they were cancelled, and to enter
// and leave the parent's list of children is a good part of what they cost.
type lazyContext struct {
	parent context.Context

	mu     sync.Mutex
	over   bool
	real   context.Context // nil until it is needed
	cancel context.CancelFunc
}

// get makes the real context.
func (l *lazyContext) get() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.real == nil {
		l.real, l.cancel = context.WithCancel(l.parent)
		if l.over {
			l.cancel()
		}
	}
	return l.real
}

// end cancels the context.
func (l *lazyContext) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.cancel != nil {
		l.cancel()
	}
}

// Deadline implements context.Context.
func (l *lazyContext) Deadline() (time.Time, bool) { return l.parent.Deadline() }

// Done implements context.Context.
func (l *lazyContext) Done() <-chan struct{} { return l.get().Done() }

// Err implements context.Context.
func (l *lazyContext) Err() error {
	l.mu.Lock()
	asked, over := l.real != nil, l.over
	l.mu.Unlock()
	if asked || over {
		return l.get().Err()
	}
	return l.parent.Err()
}

// Value implements context.Context; package context finds the real one by it,
// so that children need no goroutine.
func (l *lazyContext) Value(key any) any { return l.get().Value(key) }
