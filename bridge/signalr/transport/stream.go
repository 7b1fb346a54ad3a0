package transport

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// ErrGone is the error of a client that went away without a word.
var ErrGone = errors.New("the client is gone")

// EventStream is the server's end of a connection over server-sent events: the
// answer to one GET, which is written as long as the connection lives, and POSTs
// for what the client sends. It carries text alone. Receive belongs to one
// goroutine; the other methods may be called from anywhere.
type EventStream struct {
	posts
	w    http.ResponseWriter
	ctl  *http.ResponseController
	done chan struct{} // nothing more will be written
	once sync.Once

	mu    sync.Mutex // one writer at a time
	begun bool
	buf   []byte // of the writer

	state sync.Mutex // guards over, and deadlines against the end of the request
	over  bool       // the request is answered
}

// NewEventStream answers a GET when [EventStream.Serve] is called, on the
// request's goroutine.
func NewEventStream(w http.ResponseWriter) *EventStream {
	return &EventStream{posts: newPosts(), w: w, ctl: http.NewResponseController(w), done: make(chan struct{})}
}

// begin sends the header and a first line. The client posts as soon as it has
// that, so whoever takes the posts must be ready before.
func (s *EventStream) begin() error {
	if s.begun {
		return nil
	}
	s.begun = true
	_ = s.ctl.SetReadDeadline(time.Time{}) // the server's own bounds do not fit an answer without an end
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache,no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Encoding", "identity")
	h.Set("X-Accel-Buffering", "no") // or a proxy may keep events back
	s.w.WriteHeader(http.StatusOK)
	return s.send([]byte(":\r\n"))
}

// Serve keeps the request until the connection ends: by [EventStream.Close], by
// a close frame that was written, or because the client is gone; then gone is
// called.
func (s *EventStream) Serve(ctx context.Context, gone func()) {
	s.mu.Lock()
	_ = s.SetWriteDeadline(time.Time{})
	err := s.begin()
	s.mu.Unlock()
	if err != nil {
		gone()
		s.end()
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		gone()
	}
	s.end()
	s.release()
}

// release ends writing for good, so that no writer outlives the request: one
// that waits for the peer is woken by a deadline. (Without one there is none to
// set: over HTTP/2 it would break off the answer.)
func (s *EventStream) release() {
	if s.mu.TryLock() {
		s.finish()
		return
	}
	s.state.Lock()
	s.over = true
	_ = s.ctl.SetWriteDeadline(time.Unix(1, 0))
	s.state.Unlock()
	s.mu.Lock()
	s.finish()
}

// finish gives the end of the answer its own bound; s.mu is held, and given back.
func (s *EventStream) finish() {
	s.state.Lock()
	s.over = true
	_ = s.ctl.SetWriteDeadline(time.Now().Add(controlTimeout))
	s.state.Unlock()
	s.mu.Unlock()
}

// Write sends whole WebSocket frames as one event; a close frame ends the
// answer.
func (s *EventStream) Write(frames []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return 0, net.ErrClosed
	default:
	}
	if err := s.begin(); err != nil {
		return 0, err
	}
	s.buf = s.buf[:0]
	last := unframe(frames, func(p []byte) { s.buf = append(s.buf, p...) })
	if len(s.buf) > 0 {
		if err := s.send(event(s.buf)); err != nil {
			return 0, err
		}
	}
	if cap(s.buf) > chunk {
		s.buf = nil
	}
	_ = s.SetWriteDeadline(time.Time{}) // over HTTP/2 it would end the answer when its time comes, whoever writes
	if last {
		s.end()
	}
	return len(frames), nil
}

// event is a server-sent event; each line of the payload is a line of it.
func event(payload []byte) []byte {
	lines := bytes.Split(payload, []byte("\n"))
	b := make([]byte, 0, len(payload)+10*len(lines))
	for _, line := range lines {
		b = append(append(append(b, "data: "...), bytes.TrimSuffix(line, []byte("\r"))...), '\r', '\n')
	}
	return append(b, '\r', '\n')
}

func (s *EventStream) send(p []byte) error {
	if _, err := s.w.Write(p); err != nil {
		return err
	}
	return s.ctl.Flush()
}

// end lets Serve return; the reader finds the end of the stream.
func (s *EventStream) end() {
	s.once.Do(func() { close(s.done) })
	s.goodbye()
}

// SetWriteDeadline bounds Write.
func (s *EventStream) SetWriteDeadline(t time.Time) error {
	s.state.Lock()
	defer s.state.Unlock()
	if s.over {
		return net.ErrClosed
	}
	return s.ctl.SetWriteDeadline(t)
}

// Close ends the answer.
func (s *EventStream) Close() error {
	s.end()
	s.close()
	return nil
}
