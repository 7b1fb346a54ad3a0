package hubd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// part is something that runs until its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

// stages runs parts in groups that stop one after the other, the first group
// first: who takes new work in stops before who does it, and who does it before
// what carries it.
type stages struct {
	groups [][]part
	grace  time.Duration // how long each group may take to stop; what the earlier ones leave of theirs is the later ones'
}

// run starts every group, the last one first, and waits for ctx to end or for a
// part to fail. Then it stops the groups in order. It answers the first failure.
func (s stages) run(ctx context.Context) error {
	var (
		cancels = make([]context.CancelFunc, len(s.groups))
		waits   = make([]*sync.WaitGroup, len(s.groups))
		failed  = make(chan error, 1)
	)
	for i := len(s.groups) - 1; i >= 0; i-- {
		var group context.Context
		group, cancels[i] = context.WithCancel(context.WithoutCancel(ctx))
		waits[i] = &sync.WaitGroup{}
		for _, p := range s.groups[i] {
			waits[i].Go(func() {
				err := p.run(group)
				if err == nil && group.Err() == nil {
					err = errors.New("ended by itself")
				}
				if err != nil && group.Err() == nil {
					select {
					case failed <- fmt.Errorf("%s: %w", p.name, err):
					default:
					}
				}
			})
		}
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	told := time.Now()
	for i, cancel := range cancels {
		cancel()
		most := time.Duration(i+1) * s.grace
		if !waited(waits[i], most-time.Since(told)) && err == nil {
			err = fmt.Errorf("stopping: part %d of %d did not end within %s", i+1, len(cancels), most)
		}
	}
	return err
}

// waited waits for a group, at most so long.
func waited(wg *sync.WaitGroup, most time.Duration) bool {
	done := make(chan struct{})
	go func() { // ends with the group; a group that never ends is reported, and the process with it
		wg.Wait()
		close(done)
	}()
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}
