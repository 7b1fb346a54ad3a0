package signalr

import "sync"

// inbox holds a connection's calls: those that wait, in order, and all that are
// not completed, by id.
type inbox struct {
	maxCalls, maxBytes, maxDetached int

	mu       sync.Mutex
	room     sync.Cond // a waiting call was taken, or the inbox is closed
	waiting  []*Call
	bytes    int
	working  bool // a worker is running and will look again
	closed   bool
	detached int
	open     map[string]*Call
}

func (in *inbox) init(cfg Config) {
	in.maxCalls, in.maxDetached = cfg.MaximumQueuedCalls, cfg.MaximumDetachedCalls
	in.maxBytes = 8 * cfg.MaximumReceiveMessageSize
	in.room.L = &in.mu
}

// full says whether the next call must wait outside.
func (in *inbox) full() bool {
	return len(in.waiting) >= in.maxCalls || in.bytes >= in.maxBytes
}

// put adds a call; it blocks while the inbox is full and tells stalled when it
// does. start means that the caller must start a worker.
func (in *inbox) put(call *Call, stalled func(bool)) (start bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.full() && !in.closed {
		stalled(true)
		defer stalled(false)
		for in.full() && !in.closed {
			in.room.Wait()
		}
	}
	if in.closed {
		return false
	}
	in.waiting = append(in.waiting, call)
	in.bytes += call.size
	if call.id != "" {
		if in.open == nil {
			in.open = make(map[string]*Call)
		}
		if in.open[call.id] == nil {
			in.open[call.id] = call
		}
	}
	start = !in.working
	in.working = true
	return start
}

// next takes the oldest waiting call; none ends the worker.
func (in *inbox) next() *Call {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.waiting) == 0 || in.closed {
		in.working, in.waiting = false, nil
		return nil
	}
	call := in.waiting[0]
	in.waiting[0] = nil
	in.waiting = in.waiting[1:]
	in.bytes -= call.size
	in.room.Signal()
	return call
}

// crowded says whether too many calls are detached.
func (in *inbox) crowded() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.detached >= in.maxDetached
}

func (in *inbox) detach() {
	in.mu.Lock()
	in.detached++
	in.mu.Unlock()
}

// done forgets a completed call.
func (in *inbox) done(call *Call, detached bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if detached {
		in.detached--
	}
	if in.open[call.id] == call {
		delete(in.open, call.id)
	}
}

// find returns the uncompleted call of an id.
func (in *inbox) find(id string) *Call {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.open[id]
}

// close drops what waits and lets nobody wait.
func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	in.waiting = nil
	in.room.Broadcast()
	in.mu.Unlock()
}
