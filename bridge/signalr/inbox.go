package signalr

import "sync"

// swamp is by how much the bounds of what waits may be exceeded while a method
// waits for something that only the reader can bring.
const swamp = 16

// inbox holds a connection's calls: those that wait, in order, and all that are
// not completed, by id; and the uploads of these calls.
//
// Calls that answer once run in at most slots workers, one after the other.
// Calls with streams run beside them, each in a goroutine of its own; they start
// in their turn, but do not wait for a worker. While a method waits for the
// client they do not wait for their turn either: what the client wants to send
// or to know may be what its answer depends on.
type inbox struct {
	tasks                           *sync.WaitGroup // of the connection
	maxCalls, maxBytes, maxDetached int
	slots, maxBeside, maxItems      int

	mu       sync.Mutex
	room     sync.Cond // the reader may have room now, or the inbox is closed
	waiting  []*Call
	lone     [1]*Call // memory of waiting when one waits
	bytes    int
	workers  int // running, each will look again
	closed   bool
	detached int
	beside   int              // calls with streams, waiting and running
	streams  int              // of these: running server streams
	first    *Call            // one of the open calls with an id
	open     map[string]*Call // the others
	uploads  map[string]*upload
	thirst   int // goroutines that wait for what only the reader can bring
}

func (in *inbox) init(cfg Config, tasks *sync.WaitGroup) {
	in.tasks = tasks
	in.maxCalls, in.maxDetached = cfg.MaximumQueuedCalls, cfg.MaximumDetachedCalls
	in.maxBytes = 8 * cfg.MaximumReceiveMessageSize
	in.slots, in.maxBeside, in.maxItems = cfg.MaximumParallelInvocationsPerClient, cfg.MaximumStreams, cfg.StreamBufferCapacity
	in.room.L = &in.mu
}

// full says whether the next call must wait outside. While somebody waits for
// the reader it may not stop for that.
func (in *inbox) full() bool {
	if in.closed || in.thirst > 0 {
		return false
	}
	return len(in.waiting) >= in.maxCalls || in.bytes >= in.maxBytes
}

// swamped says whether the next call must be refused.
func (in *inbox) swamped() bool {
	return len(in.waiting) >= swamp*in.maxCalls || in.bytes >= swamp*in.maxBytes
}

// await lets the reader wait while it is held up, and tells stalled so. in.mu
// is held.
func (in *inbox) await(held func() bool, stalled func(bool)) {
	if !held() {
		return
	}
	stalled(true)
	defer stalled(false)
	for held() {
		in.room.Wait()
	}
}

// place is what the reader must do with a call.
type place int

const (
	placed    place = iota // nothing: somebody will run it, or nobody any more
	toWorker               // start a worker
	toRun                  // run it in a goroutine of its own
	toRefuse               // answer it with an error: too many wait
	duplicate              // answer it with an error: an upload's id is in use
	taken                  // answer it with an error: its own id is that of an open call
)

// put adds a call; it blocks while the inbox is full and tells stalled when it
// does.
func (in *inbox) put(call *Call, stalled func(bool)) place {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.await(in.full, stalled)
	switch {
	case in.closed:
		return placed
	case in.swamped() || call.beside && in.beside >= in.maxBeside:
		return toRefuse
	case call.beside && in.known(call.id) != nil:
		return taken // its items could not be told from those of the other
	case !in.bind(call):
		return duplicate
	}
	in.note(call)
	if call.beside {
		in.beside++
		if len(in.waiting) == 0 || in.thirst > 0 {
			in.starts(call)
			return toRun
		}
	}
	if len(in.waiting) == 0 {
		in.waiting = in.lone[:0]
	}
	in.waiting = append(in.waiting, call)
	in.bytes += call.size
	if in.workers >= in.slots {
		return placed
	}
	in.workers++
	return toWorker
}

// note makes a call known by its id, so that it can be cancelled. Most
// connections have one call at a time, and need no map.
func (in *inbox) note(call *Call) {
	switch {
	case call.id == "" || in.known(call.id) != nil:
	case in.first == nil:
		in.first = call
	case in.open == nil:
		in.open = map[string]*Call{call.id: call}
	default:
		in.open[call.id] = call
	}
}

// known returns the uncompleted call of an id.
func (in *inbox) known(id string) *Call {
	if in.first != nil && in.first.id == id {
		return in.first
	}
	return in.open[id]
}

// forget is the opposite of note.
func (in *inbox) forget(call *Call) {
	switch {
	case in.first == call:
		in.first = nil
	case in.open[call.id] == call:
		delete(in.open, call.id)
	}
}

// next takes the oldest waiting call for a worker, and the calls before and
// right behind it that run beside. No call ends the worker.
func (in *inbox) next() (call *Call, beside []*Call) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.waiting) > 0 && !in.closed {
		first := in.waiting[0]
		if call != nil && !first.beside {
			break
		}
		in.waiting[0] = nil
		in.waiting = in.waiting[1:]
		in.bytes -= first.size
		in.starts(first)
		if first.beside {
			beside = append(beside, first)
		} else {
			call = first
		}
	}
	in.room.Broadcast()
	if call == nil {
		in.workers--
	}
	if len(in.waiting) == 0 {
		in.waiting = nil
	}
	return call, beside
}

// starts notes of a call that is about to run whether too many are detached.
func (in *inbox) starts(call *Call) { call.crowded = in.detached >= in.maxDetached }

func (in *inbox) detach() {
	in.mu.Lock()
	in.detached++
	in.mu.Unlock()
}

// stream counts server streams that run.
func (in *inbox) stream(n int) {
	in.mu.Lock()
	in.streams += n
	in.mu.Unlock()
}

// streaming returns how many server streams run.
func (in *inbox) streaming() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.streams
}

// done forgets a completed call.
func (in *inbox) done(call *Call, detached bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if detached {
		in.detached--
	}
	if call.beside {
		in.beside--
	}
	in.forget(call)
	in.unbind(call)
}

// find returns the uncompleted call of an id.
func (in *inbox) find(id string) *Call {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.known(id)
}

// drink marks that a goroutine waits for the reader; with -1, that it no longer
// does.
func (in *inbox) drink(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.thirst += n
	if n > 0 {
		in.room.Broadcast()
		in.overtake()
	}
}

// overtake starts the waiting calls that run beside.
func (in *inbox) overtake() {
	left := in.waiting[:0]
	for _, call := range in.waiting {
		if call.beside {
			in.bytes -= call.size
			in.starts(call)
			in.tasks.Go(call.run) // not closed, so the connection still waits for its tasks
			continue
		}
		left = append(left, call)
	}
	clear(in.waiting[len(left):])
	in.waiting = left
}

// close drops what waits and lets nobody wait.
func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	in.waiting = nil
	in.room.Broadcast()
	for _, u := range in.uploads {
		u.wake()
	}
	in.mu.Unlock()
}
