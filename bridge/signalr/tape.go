package signalr

import (
	"slices"
	"sync"
	"time"
)

// quietest is how long a client that does not speak is waited for.
const quietest = time.Second

// tape is the sending half of a connection that survives its transport: it
// numbers what counts, in the order in which it is queued, and keeps it until
// the client acknowledges it. Whatever is sent to the connection, by a call or
// by a group, passes [tape.post]; numbering and queueing are one step, so that
// nothing comes between a replay and what follows it.
//
// Ids begin with 1 and are never reset (HubProtocol.md, Stateful reconnect). The
// vendor's npm client begins to count after it has read the answer to its
// handshake, and what a socket brings in the same read as that answer goes by
// uncounted: on a resumption it would then take its latest message for a new one.
// So nothing that counts is written before the client has spoken once, which the
// vendor's clients do at once, or has been silent for [quietest].
type tape struct {
	limit int // bytes that may be unacknowledged

	mu     sync.Mutex
	on     bool     // the client speaks version 2
	quiet  bool     // the client has not spoken since its handshake: what counts is kept, and not yet written
	over   bool     // the connection has ended
	line   *line    // nil: there is no transport now
	next   *line    // taken over, and not yet read from
	unread []*line  // taken over, and replaced before anybody read from them
	kept   []*frame // unacknowledged
	first  uint64   // id of kept[0], or of the next message
	bytes  int      // of kept
	wake   chan struct{}
}

// start sets the first line.
func (t *tape) start(l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line = l
}

// enable begins to count and to keep; without it the connection ends with its
// first line.
func (t *tape) enable() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.on, t.quiet = true, true
}

// speak has what was held back written: the client counts.
func (t *tape) speak() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.play()
}

// play is speak with the lock held.
func (t *tape) play() {
	if !t.quiet {
		return
	}
	t.quiet = false
	if t.line != nil && len(t.kept) > 0 && t.line.put(false, t.kept...) == overflow {
		t.line.cut() // the replay will bring them
	}
}

// enabled says whether the connection outlives its line.
func (t *tape) enabled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.on && !t.over
}

// post queues frames on the current line, if there is one and the client has spoken,
// and keeps those that count for a replay. Those of one call count all, or are the last.
func (t *tape) post(seal bool, frames []*frame) (verdict, *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return refused, nil
	}
	if seal {
		t.play()
	}
	if t.on && !t.keep(frames) {
		return overflow, nil
	}
	if t.quiet && slices.ContainsFunc(frames, func(f *frame) bool { return f.counts }) {
		return queued, nil
	}
	t.over = seal
	v := refused
	if t.line != nil {
		v = t.line.out.put(seal, frames...)
	}
	if v == refused && t.on {
		return queued, nil // the line is dead, and the replay will bring them
	}
	return v, t.line
}

// keep adds what counts; false when it does not fit.
func (t *tape) keep(frames []*frame) bool {
	n := 0
	for _, f := range frames {
		if f.counts {
			n += f.size()
		}
	}
	if t.bytes+n > t.limit && t.bytes > 0 {
		return false
	}
	for _, f := range frames {
		if f.counts {
			t.kept = append(t.kept, f)
		}
	}
	t.bytes += n
	return true
}

// room says whether n more bytes can be kept.
func (t *tape) room(n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes == 0 || t.bytes+n <= t.limit
}

// ack forgets what the client has processed. An id that is too low or too high
// does no harm.
func (t *tape) ack(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for n < len(t.kept) && t.first+uint64(n) <= id {
		t.bytes -= t.kept[n].size()
		n++
	}
	t.first += uint64(n)
	if n == len(t.kept) {
		t.kept = nil // an idle connection holds nothing
		return
	}
	left := copy(t.kept, t.kept[n:])
	clear(t.kept[left:])
	t.kept = t.kept[:left]
}

// attach makes l the current line: the id of the first message that follows,
// everything unacknowledged, and then whatever is sent. It answers the line that
// was current; ok is false when the connection has ended.
func (t *tape) attach(l *line) (before *line, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || !t.on {
		return nil, false
	}
	if t.next != nil {
		t.unread = append(t.unread, t.next)
	}
	before, t.line, t.next, t.quiet = t.line, l, l, false
	l.c.line.Store(l)
	l.put(false, append([]*frame{l.c.sequence(t.first)}, t.kept...)...)
	select {
	case t.wake <- struct{}{}:
	default:
	}
	return before, true
}

// lose notes that l carries nothing any more.
func (t *tape) lose(l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.line == l {
		t.line = nil
	}
}

// take answers the line that is to be read next, nil when there is none, and
// those that were replaced before anybody read them.
func (t *tape) take() (next *line, unread []*line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next, unread = t.next, t.unread
	t.next, t.unread = nil, nil
	return next, unread
}

// end refuses lines and messages from now on.
func (t *tape) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over, t.kept, t.bytes = true, nil, 0
}
