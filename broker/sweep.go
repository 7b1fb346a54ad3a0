package broker

import (
	"runtime"
	"sync"
)

// sweep writes what waits in outputs. Whoever puts something into one only adds
// it to a list, which goroutines go through that are there while there is
// something in it: one message to 500 clients is 500 copies for its publisher,
// and several messages that come together are one write for each client. An
// output stands in the list once, so connections bound it.
type sweep struct {
	start func(func()) // starts a goroutine that is waited for
	pool  sync.Pool    // of *[]byte

	mu      sync.Mutex
	list    []*output
	running int
}

const (
	sweepShare = 64       // outputs that wait for each goroutine before there is another
	keepBytes  = 64 << 10 // larger buffers are not kept
)

// add puts an output into the list, or writes nothing and returns. The output's
// lock is held.
func (s *sweep) add(o *output) {
	s.mu.Lock()
	s.list = append(s.list, o)
	more := s.running == 0 || s.running < runtime.GOMAXPROCS(0) && len(s.list) > s.running*sweepShare
	if more {
		s.running++
	}
	s.mu.Unlock()
	if more {
		s.start(s.run)
	}
}

// run goes through the list until it is empty.
func (s *sweep) run() {
	for all := s.take(nil); all != nil; all = s.take(all) {
		for _, o := range all {
			o.sweepOut()
		}
	}
}

// take answers the next outputs, a share of what there is.
func (s *sweep) take(done []*output) []*output {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.list), sweepShare)
	if n == 0 {
		s.running--
		s.list = nil
		return nil
	}
	done = append(done[:0], s.list[:n]...)
	s.list = s.list[:copy(s.list, s.list[n:])]
	return done
}

// sweepOut writes what waits in an output of the list.
func (o *output) sweepOut() {
	o.mu.Lock()
	o.swept = false
	var err error
	if !o.flushing && !o.closed.Load() && !o.corked && o.pending > 0 {
		err = o.empty()
	}
	out := !o.flushing && !o.closed.Load()
	o.mu.Unlock()
	switch {
	case err != nil:
		o.fail(err)
	case out:
		o.drained()
	}
}

// buffer answers an empty buffer.
func (s *sweep) buffer() []byte {
	if b, ok := s.pool.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 512)
}

// giveBack takes a buffer that is no longer used.
func (s *sweep) giveBack(b []byte) {
	if cap(b) <= keepBytes {
		s.pool.Put(&b)
	}
}
