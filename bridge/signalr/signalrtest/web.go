package signalrtest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// web is what the transports without WebSocket have in common: it sends by POST.
type web struct {
	http   *http.Client
	url    string
	header http.Header
	ctx    context.Context //nolint:containedctx // the life of the link
	cancel context.CancelFunc
}

func newWeb(url string, opts Options) web {
	ctx, cancel := context.WithCancel(context.Background())
	return web{
		http: &http.Client{Transport: &http.Transport{DialContext: opts.NetDial, TLSClientConfig: opts.TLS, ForceAttemptHTTP2: true}},
		url:  url, header: opts.Header, ctx: ctx, cancel: cancel,
	}
}

// ask sends a request; the caller closes the body of an answer.
func (w *web) ask(method, accept string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(w.ctx, method, w.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = w.header.Clone()
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	return w.http.Do(r)
}

// Send implements link.
func (w *web) Send(p []byte) error {
	a, err := w.ask(http.MethodPost, "", p)
	if err != nil {
		return err
	}
	_ = a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", a.StatusCode)
	}
	return nil
}

// Close implements link.
func (w *web) Close() error {
	w.cancel()
	w.http.CloseIdleConnections()
	return nil
}

// polls is the link over long polling.
type polls struct{ web }

// dialPolls makes the first poll, which the server answers at once.
func dialPolls(url string, opts Options) (link, error) {
	p := &polls{newWeb(url, opts)}
	if err := p.Receive(func([]byte) error { return nil }); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// Receive implements link: one poll.
func (p *polls) Receive(take func(b []byte) error) error {
	a, err := p.ask(http.MethodGet, "", nil)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	switch a.StatusCode {
	case http.StatusNoContent:
		return io.EOF
	case http.StatusOK:
	default:
		return fmt.Errorf("status %d", a.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(a.Body, recordLimit))
	if err == nil && len(b) > 0 {
		err = take(b)
	}
	return err
}

// SetReadDeadline implements link: polls end by themselves.
func (p *polls) SetReadDeadline(time.Time) error { return nil }

// CloseWith implements link: the poll that waits is answered.
func (p *polls) CloseWith(int) error {
	a, err := p.ask(http.MethodDelete, "", nil)
	if err == nil {
		_ = a.Body.Close()
	}
	return err
}

// stream is the link over server-sent events.
type stream struct {
	web
	answer *http.Response
	lines  *bufio.Scanner
	clock  *time.Timer
}

// dialStream opens the event stream.
func dialStream(url string, opts Options) (link, error) {
	s := &stream{web: newWeb(url, opts)}
	a, err := s.ask(http.MethodGet, "text/event-stream", nil)
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	if a.StatusCode != http.StatusOK {
		_ = a.Body.Close()
		_ = s.Close()
		return nil, fmt.Errorf("status %d", a.StatusCode)
	}
	s.answer, s.lines = a, bufio.NewScanner(a.Body)
	s.lines.Buffer(nil, recordLimit)
	s.clock = time.AfterFunc(time.Hour, s.cancel)
	return s, nil
}

// Receive implements link: one line of the stream.
func (s *stream) Receive(take func(b []byte) error) error {
	if !s.lines.Scan() {
		if err := s.lines.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	if data, ok := bytes.CutPrefix(s.lines.Bytes(), []byte("data: ")); ok {
		return take(data)
	}
	return nil
}

// SetReadDeadline implements link.
func (s *stream) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		s.clock.Stop()
		return nil
	}
	s.clock.Reset(time.Until(t))
	return nil
}

// CloseWith implements link: the Close message ends the stream.
func (s *stream) CloseWith(int) error { return s.Send([]byte("{\"type\":7}\x1e")) }

// Close implements link.
func (s *stream) Close() error {
	if s.clock != nil {
		s.clock.Stop()
	}
	_ = s.web.Close()
	if s.answer != nil {
		return s.answer.Body.Close()
	}
	return nil
}

// dialer answers how to open a transport at an address.
func dialer(url string, opts Options) func(ctx context.Context) (link, error) {
	switch opts.Transport {
	case LongPolling:
		return func(context.Context) (link, error) { return dialPolls(url, opts) }
	case ServerSentEvents:
		return func(context.Context) (link, error) { return dialStream(url, opts) }
	}
	return func(ctx context.Context) (link, error) {
		return transport.Dial(ctx, "ws"+url[len("http"):], transport.DialConfig{Header: opts.Header,
			NetDial: opts.NetDial, TLS: opts.TLS, Binary: opts.Protocol.Binary(),
		})
	}
}
