package signalr

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

type lazyKey struct{}

func TestLazyContext(t *testing.T) {
	for name, end := range map[string]func(*lazyContext, context.CancelFunc){
		"ended":             func(l *lazyContext, _ context.CancelFunc) { l.end() },
		"parent's end":      func(_ *lazyContext, parent context.CancelFunc) { parent() },
		"one and the other": func(l *lazyContext, parent context.CancelFunc) { parent(); l.end(); l.end() },
	} {
		for _, early := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) { // which fails when a goroutine stays
				parent, cancel := context.WithCancel(context.WithValue(context.Background(), lazyKey{}, 1))
				defer cancel()
				l := &lazyContext{parent: parent}
				if l.Err() != nil {
					t.Errorf("%s: %v before the end", name, l.Err())
				}
				var child context.Context = l
				if early {
					var stop context.CancelFunc
					child, stop = context.WithCancel(l)
					defer stop()
				}
				end(l, cancel)
				<-child.Done()
				if !errors.Is(l.Err(), context.Canceled) || !errors.Is(child.Err(), context.Canceled) || l.Value(lazyKey{}) != 1 {
					t.Errorf("%s: %v, %v, %v", name, l.Err(), child.Err(), l.Value(lazyKey{}))
				}
				if _, ok := l.Deadline(); ok {
					t.Errorf("%s: a deadline", name)
				}
			})
		}
	}
}
