package redis

import (
	"sync"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// parcel is an envelope on its way to a channel.
type parcel struct {
	to channel
	e  backplane.Envelope
}

func (p *parcel) cost() int { return len(p.e.Body) + len(p.e.Target) + 64 + 16*len(p.e.Except) }

// outbox is what waits to be sent, bounded in bytes. What does not fit is refused,
// and leaves a hole in the channel's numbers, so that the receivers are told.
type outbox struct {
	most int
	wake chan struct{}

	mu    sync.Mutex
	list  []parcel
	bytes int // of the list, and of what the sender still holds
	holes map[channel]uint64
	count uint64
	beats bool
}

func newOutbox(most int) *outbox {
	return &outbox{most: most, wake: make(chan struct{}, 1), holes: map[channel]uint64{}}
}

func (o *outbox) put(p parcel) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bytes+p.cost() > o.most {
		o.count++
		o.holes[p.to]++
		return backplane.ErrFull
	}
	o.bytes += p.cost()
	o.list = append(o.list, p)
	o.nudge()
	return nil
}

// beat has the sender tell each channel which number comes next.
func (o *outbox) beat() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.beats = true
	o.nudge()
}

// beating tells whether a beat has been asked for since.
func (o *outbox) beating() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.beats
}

func (o *outbox) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) refused() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}

// take gets all that waits; into is memory for the next.
func (o *outbox) take(into []parcel) (list []parcel, holes map[channel]uint64, beat bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	list, o.list = o.list, into[:0]
	if len(o.holes) > 0 {
		holes, o.holes = o.holes, map[channel]uint64{}
	}
	beat, o.beats = o.beats, false
	return list, holes, beat
}

// sent gives room for n bytes back.
func (o *outbox) sent(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= n
}
