package redis

import (
	"context"
	"sync"
)

// lock is a mutex that can also be waited for until a context ends: what it guards is
// held for as long as a server that stands still is waited for. Its zero value is free.
type lock struct {
	once sync.Once
	held chan struct{}
}

func (l *lock) turn() chan struct{} {
	l.once.Do(func() { l.held = make(chan struct{}, 1) })
	return l.held
}

// Lock waits for as long as it takes.
func (l *lock) Lock() { l.turn() <- struct{}{} }

// Unlock lets the next one have it.
func (l *lock) Unlock() { <-l.turn() }

// within is Lock for who waits no longer than ctx, whose error it answers then.
func (l *lock) within(ctx context.Context) error {
	select {
	case l.turn() <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
