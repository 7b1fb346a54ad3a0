package transport

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// pollBuffer is how much may wait for a poll before Write blocks.
const pollBuffer = 64 << 10

// Polls is the server's end of a connection over long polling: each GET takes
// what has been written since the last, and POSTs bring what the client sends.
// Receive belongs to one goroutine; the other methods may be called from
// anywhere.
type Polls struct {
	posts
	done chan struct{} // the connection is over for both sides
	once sync.Once

	mu      sync.Mutex
	waiting []byte        // for the next poll
	changed chan struct{} // closed and replaced when anything here changes
	parked  *int          // names the poll that waits; nil when none does
	since   time.Time     // no poll has waited since then
	asked   bool          // there was a poll
	last    bool          // nothing follows what is waiting
}

// NewPolls makes the transport before its first poll.
func NewPolls() *Polls {
	return &Polls{posts: newPosts(), done: make(chan struct{}), changed: make(chan struct{}), since: time.Now()}
}

// Poll answers one GET: the first at once with nothing, the next with everything
// that is waiting (200), with nothing when patience ends (200), and with 204
// when a later poll takes its place or the connection is over. A poll whose client is
// gone takes nothing. One that could not be answered with what it took ends the connection:
// a client that polls again, by another way, must not go on as if nothing were missing.
func (p *Polls) Poll(w http.ResponseWriter, r *http.Request, patience time.Duration) {
	ctl := http.NewResponseController(w)
	_ = ctl.SetWriteDeadline(time.Time{})
	_ = ctl.SetReadDeadline(time.Time{})
	NoCache(w)
	me := p.park()
	defer p.unpark(me)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for r.Context().Err() == nil { // else what is waiting stays for the next one
		data, status, changed := p.take(me)
		switch {
		case status == http.StatusNoContent:
			w.WriteHeader(status)
			return
		case status != 0:
			if err := answer(w, ctl, data); err != nil && len(data) > 0 {
				_ = p.Close() // which cannot fail
			}
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			_ = answer(w, ctl, nil) // an error means that the client is gone, and nothing with it
			return
		case <-r.Context().Done():
		}
	}
}

// NoCache keeps everything between server and client from keeping the answer.
func NoCache(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")
}

// answer writes an answer whole. Its error means that the connection on which the poll
// came does not take it.
func answer(w http.ResponseWriter, ctl *http.ResponseController, data []byte) error {
	if len(data) > 0 {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_ = ctl.SetWriteDeadline(time.Now().Add(2 * controlTimeout))
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := ctl.Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// park makes the caller the poll that waits.
func (p *Polls) park() *int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parked = new(int)
	p.signal()
	return p.parked
}

// unpark ends the wait, unless another poll has taken the place.
func (p *Polls) unpark(me *int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parked == me {
		p.parked, p.since = nil, time.Now()
	}
}

// take gives a poll its answer: a status, and what was waiting; no status means
// that it has to wait for a change.
func (p *Polls) take(me *int) (data []byte, status int, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.asked
	p.asked = true
	switch {
	case p.parked != me:
		return nil, http.StatusNoContent, nil
	case first:
		return nil, http.StatusOK, nil
	case len(p.waiting) > 0:
		data, p.waiting = p.waiting, nil
		p.signal()
		return data, http.StatusOK, nil
	case p.last:
		p.goodbye() // the client knows: nothing more will come from it
		return nil, http.StatusNoContent, nil
	}
	return nil, 0, p.changed
}

// signal tells whoever waits to look again.
func (p *Polls) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Absent says for how long no poll has waited.
func (p *Polls) Absent() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parked != nil {
		return 0
	}
	return time.Since(p.since)
}

// Write takes whole WebSocket frames for the next poll; after a close frame the
// polls are told that the connection is over. It blocks while too much is
// waiting.
func (p *Polls) Write(frames []byte) (int, error) {
	for {
		changed, err := p.put(frames)
		if changed == nil {
			return len(frames), err
		}
		select {
		case <-changed:
		case <-p.done:
			return 0, net.ErrClosed
		}
	}
}

// put takes frames, or says what to wait for.
func (p *Polls) put(frames []byte) (wait <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.last:
		return nil, net.ErrClosed
	case len(p.waiting) > 0 && len(p.waiting)+len(frames) > pollBuffer:
		return p.changed, nil
	}
	p.last = unframe(frames, func(b []byte) { p.waiting = append(p.waiting, b...) })
	p.signal()
	return nil, nil
}

// SetWriteDeadline ends Write when t has passed already. Other deadlines mean
// nothing here: a client has time until its next poll, see [Polls.Absent].
func (p *Polls) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() && !t.After(time.Now()) {
		p.once.Do(func() { close(p.done) })
	}
	return nil
}

// Hangup is the client's end of the connection: what was sent is read, and the
// poll that waits is told.
func (p *Polls) Hangup() {
	p.mu.Lock()
	p.last, p.waiting = true, nil
	p.signal()
	p.mu.Unlock()
	p.goodbye()
}

// Close ends the connection at once.
func (p *Polls) Close() error {
	p.Hangup()
	p.once.Do(func() { close(p.done) })
	p.close()
	return nil
}
