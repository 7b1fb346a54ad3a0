package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// posts is the way in of a transport whose client sends by POST: the bodies,
// one after the other in the order in which they came, are one stream. Nothing
// is kept of them: a POST waits until the reader has taken its bytes.
type posts struct {
	turn    chan struct{} // who holds its token may post; waiters come in order
	in, out net.Conn      // the two ends of the stream
}

func newPosts() posts {
	p := posts{turn: make(chan struct{}, 1)}
	p.in, p.out = net.Pipe()
	return p
}

// ErrBody is wrapped by the error of a POST whose body broke off: some of it may
// have been taken, so the stream is of no use any more.
var ErrBody = errors.New("the request's body ended too early")

// ErrTooLong is wrapped by the error of a POST whose body is longer than it may
// be; what came before was taken.
var ErrTooLong = errors.New("the request's body is too long")

// Post hands over the body of one request, of at most so many bytes. It blocks
// while another one does and while the reader is busy. Its errors: what ctx
// says, one that wraps [ErrBody] or [ErrTooLong], or net.ErrClosed when the
// connection has ended.
func (p *posts) Post(ctx context.Context, body io.Reader, most int64) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	buf := chunks.Get().(*[]byte)
	defer chunks.Put(buf)
	for {
		n, err := body.Read(*buf)
		if most -= int64(n); most < 0 {
			return ErrTooLong
		}
		if n > 0 {
			if _, err := p.in.Write((*buf)[:n]); err != nil {
				return net.ErrClosed
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return errors.Join(ErrBody, err)
		}
	}
}

// Receive hands over what has come, part by part; see [Socket.Receive].
func (p *posts) Receive(take func(b []byte) error) error {
	buf := chunks.Get().(*[]byte)
	defer chunks.Put(buf)
	n, err := p.out.Read(*buf)
	if n > 0 {
		if err := take((*buf)[:n]); err != nil {
			return err
		}
	}
	return err
}

// SetReadDeadline bounds Receive.
func (p *posts) SetReadDeadline(t time.Time) error { return p.out.SetReadDeadline(t) }

// goodbye ends the stream: Receive returns io.EOF.
func (p *posts) goodbye() { _ = p.in.Close() }

// close ends the stream for both sides.
func (p *posts) close() { _ = p.out.Close() }
