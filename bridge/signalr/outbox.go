package signalr

import "sync"

const (
	// gather is how much is written at once: enough that a system call per event
	// no longer counts, little enough that a scratch buffer may be held by every
	// connection that is busy.
	gather = 64 << 10
	// frameCost is what a frame takes beside its bytes while it waits: itself, and
	// its slot in a queue that may be twice as long as it must. Without it short
	// frames would take half as much again as the bound says.
	frameCost = 64
	// backlog is from how many waiting frames on short ones are packed: copied
	// behind one another, so that a backlog of them is not mostly frameCost.
	backlog = 32
	// pack is how much is packed together.
	pack = 4 << 10
	// idleSlots is the longest queue whose memory an idle connection keeps.
	idleSlots = 8
)

// outbox is the ordered queue of frames to one connection, bounded in bytes. It
// does no I/O: put says when the caller must start a drain, and next hands that
// drain what to write. There is at most one drain at a time.
type outbox struct {
	limit int

	mu       sync.Mutex
	queue    []*frame
	packed   bool // the last one in the queue is a pack
	bytes    int  // of queue, by size, and of what the drain is writing
	draining bool // a drain is running and will look again
	sealed   bool // nothing may follow what is queued
	gone     bool // what is queued will not be written either
	empty    chan struct{}
	signaled bool  // empty is closed
	calm     *calm // told when bytes were written
}

// verdict is what became of a frame.
type verdict int

const (
	queued   verdict = iota // a running drain will take it
	starts                  // as queued, and the caller must start the drain
	refused                 // the connection is ending
	overflow                // it does not fit; the connection must be cut
)

// put queues frames, all or none; seal says that nothing may follow. A single
// frame that is longer than the bound is taken when nothing else waits.
func (o *outbox) put(seal bool, frames ...*frame) verdict {
	n := 0
	for _, f := range frames {
		n += f.size()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.sealed || o.gone:
		return refused
	case o.bytes+n > o.limit && o.bytes > 0:
		return overflow
	}
	for _, f := range frames {
		o.add(f)
	}
	o.sealed = seal
	if o.draining {
		return queued
	}
	o.draining = true
	return starts
}

// add queues a frame.
func (o *outbox) add(f *frame) {
	last := len(o.queue) - 1
	switch {
	case last < backlog || len(f.b) > pack/4:
		o.packed = false
	case o.packed && cap(o.queue[last].b)-len(o.queue[last].b) >= len(f.b):
		p := o.queue[last] // counts as full already
		p.b, p.n = append(p.b, f.b...), p.n+f.n
		return
	case o.bytes+pack+frameCost <= o.limit:
		f = &frame{b: append(make([]byte, 0, pack), f.b...), n: f.n}
		o.packed = true
	default:
		o.packed = false
	}
	o.queue = append(o.queue, f)
	o.bytes += f.size()
}

// lend is put for n bytes that the caller writes before everything else, if the
// outbox is empty: then it has started the drain. Otherwise nothing happens.
func (o *outbox) lend(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed || o.gone || o.draining {
		return false
	}
	o.bytes += n
	o.draining = true
	return true
}

// load is how many bytes are taken by what waits; none when nothing will be written any more.
func (o *outbox) load() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed || o.gone {
		return 0
	}
	return o.bytes
}

// next returns the bytes to write and how many frames and messages they are.
// wrote is how many bytes the last round has written. Nothing left ends the
// drain: the result is nil. scratch is used to join short frames.
func (o *outbox) next(wrote int, scratch []byte) (batch []byte, messages uint64) {
	defer o.calm.relax()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= wrote
	if len(o.queue) == 0 || o.gone {
		o.rest()
		return nil, 0
	}
	batch, messages = o.queue[0].b, o.queue[0].n
	taken := 1
	for ; taken < len(o.queue); taken++ {
		f := o.queue[taken]
		if len(batch)+len(f.b) > gather {
			break
		}
		if taken == 1 {
			batch = append(scratch[:0], batch...)
		}
		batch = append(batch, f.b...)
		messages += f.n
	}
	o.shift(taken)
	return batch, messages
}

// ends is next for a drain that has nothing behind what it wrote, as most have:
// false when something has queued.
func (o *outbox) ends(wrote int) bool {
	defer o.calm.relax()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= wrote
	if len(o.queue) > 0 && !o.gone {
		return false
	}
	o.rest()
	return true
}

// wrote counts what was written by an owner who hands the writing on.
func (o *outbox) wrote(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= n
}

// over says that nothing queued will be written.
func (o *outbox) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.gone
}

// shift removes the first frames; their bytes count until they are written.
func (o *outbox) shift(taken int) {
	for _, f := range o.queue[:taken] {
		o.bytes -= f.size() - len(f.b)
	}
	left := copy(o.queue, o.queue[taken:])
	clear(o.queue[left:])
	o.queue = o.queue[:left]
}

// rest ends a drain.
func (o *outbox) rest() {
	o.draining = false
	if cap(o.queue) > idleSlots || o.gone {
		o.queue = nil
	}
	if o.sealed || o.gone {
		o.signal()
	}
}

// abandon drops what is queued and refuses everything from now on. It reports
// whether it was the first to do so.
func (o *outbox) abandon() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := !o.gone
	o.gone = true
	if !o.draining {
		o.rest()
	}
	return first
}

// seal refuses everything that is not queued yet.
func (o *outbox) seal() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sealed = true
	if !o.draining {
		o.rest()
	}
}

func (o *outbox) signal() {
	if !o.signaled {
		o.signaled = true
		close(o.empty)
	}
}

// idle says that nothing is queued or being written.
func (o *outbox) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.draining
}
