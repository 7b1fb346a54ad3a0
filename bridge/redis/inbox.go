package redis

import (
	"context"
	"strconv"
	"sync"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

func itoa(n int) string { return strconv.Itoa(n) }

// arrival is something for the hearing goroutine: a batch, a subscription that
// stands, or news of the nodes or of the connection.
type arrival struct {
	from  channel
	b     string
	stood bool        // the subscription of from stands, for the first time or anew
	begin chan<- bool // note where the counting is, and say whether that could be read
	ended bool        // it is no longer wanted
	nodes []backplane.Node
	state bool
	up    bool
	call  bool
}

// inbox is what waits to be heard. Batches over the bound are dropped; their numbers
// show it.
type inbox struct {
	most int
	wake chan struct{}

	mu    sync.Mutex
	list  []arrival
	bytes int
}

func newInbox(most int) *inbox { return &inbox{most: most, wake: make(chan struct{}, 1)} }

func (in *inbox) put(a arrival) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.bytes+len(a.b) > in.most {
		return
	}
	in.bytes += len(a.b)
	in.list = append(in.list, a)
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

func (in *inbox) take(into []arrival) []arrival {
	in.mu.Lock()
	defer in.mu.Unlock()
	list := in.list
	in.list, in.bytes = into[:0], 0
	return list
}

// hear is the goroutine that calls the handler, until ctx ends.
func (p *Plane) hear(ctx context.Context) {
	e := newEar(ctx, p)
	var spare []arrival
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.in.wake:
		}
		list := p.in.take(spare)
		for i := range list {
			e.take(&list[i])
		}
		clear(list)
		spare = list
	}
}
