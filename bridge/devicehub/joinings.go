package devicehub

import (
	"context"
	"sync"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// joinings has one at a time bring a connection into a group, or out of it: its client, and
// the hub, which has it rejoin the groups of a lost one. Who comes second sees what the
// first has done, so that the client is sent what it has missed once. It is safe for
// concurrent use.
type joinings struct {
	mu  sync.Mutex
	now map[joining]chan struct{} // closed at the end
}

type joining struct {
	c     *signalr.Conn
	group string
}

// take waits until nobody else is at it. Its error is ctx's.
func (j *joinings) take(ctx context.Context, c *signalr.Conn, group string) (done func(), err error) {
	what, end := joining{c, group}, make(chan struct{})
	for {
		before := j.enter(what, end)
		if before == nil {
			return func() { j.leave(what); close(end) }, nil
		}
		select {
		case <-before:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// enter answers the end of who is at it; nil: it is the caller's turn.
func (j *joinings) enter(what joining, end chan struct{}) (before chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if before = j.now[what]; before == nil {
		j.now[what] = end
	}
	return before
}

func (j *joinings) leave(what joining) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.now, what)
}
