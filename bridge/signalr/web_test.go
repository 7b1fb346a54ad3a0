package signalr_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// web is a client without WebSockets that writes what the tests want.
type web struct {
	t    *testing.T
	http *http.Client
	url  string
}

// web negotiates and answers a client that has opened nothing.
func (h *site) web(t *testing.T, query string) *web {
	t.Helper()
	a := h.negotiate(t, "?negotiateVersion=1&"+query)
	tr := &http.Transport{DialContext: h.pipe.Dial}
	t.Cleanup(tr.CloseIdleConnections)
	return &web{t, &http.Client{Transport: tr}, hubURL + "?" + query + "&id=" + a.ConnectionToken}
}

// answer is a whole response.
type reply struct {
	*http.Response
	body string
}

func (w *web) do(ctx context.Context, method, body string) reply {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, w.url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := w.http.Do(r)
	if err != nil {
		return reply{&http.Response{}, err.Error()}
	}
	defer a.Body.Close()
	b, _ := io.ReadAll(a.Body)
	return reply{a, string(b)}
}

func (w *web) poll() reply { w.t.Helper(); return w.do(context.Background(), "GET", "") }

// later polls beside the test.
func (w *web) later() chan reply {
	c := make(chan reply, 1)
	go func() { c <- w.do(context.Background(), "GET", "") }()
	return c
}

func (w *web) post(body string) reply {
	w.t.Helper()
	return w.do(context.Background(), "POST", body)
}

// want polls until the records have come.
func (w *web) want(records ...string) {
	w.t.Helper()
	want := strings.Join(records, "\x1e") + "\x1e"
	got := ""
	for len(got) < len(want) {
		a := w.poll()
		if a.StatusCode != 200 {
			w.t.Fatalf("got %.200q and then %d, want %.200q", got, a.StatusCode, want)
		}
		got += a.body
	}
	if got != want {
		w.t.Fatalf("got %.200q, want %.200q", got, want)
	}
}

// polling is a client over long polling that has shaken hands.
func (h *site) polling(t *testing.T, query string) *web {
	t.Helper()
	w := h.web(t, query)
	t.Cleanup(func() { w.do(context.Background(), "DELETE", "") })
	if a := w.poll(); a.StatusCode != 200 || a.body != "" {
		t.Fatalf("first poll: %d %q", a.StatusCode, a.body)
	}
	if a := w.post(hello); a.StatusCode != 200 {
		t.Fatalf("handshake: %d %q", a.StatusCode, a.body)
	}
	w.want("{}")
	return w
}

// events is an open event stream.
type events struct {
	*web
	answer *http.Response
	lines  *bufio.Reader
	cancel func()
}

// stream opens an event stream without shaking hands.
func (h *site) stream(t *testing.T, query string) *events {
	t.Helper()
	w := h.web(t, query)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", w.url, nil)
	r.Header.Set("Accept", "text/event-stream")
	a, err := w.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return &events{w, a, bufio.NewReader(a.Body), cancel}
}

// line reads one line as it is.
func (e *events) line() string {
	s, err := e.lines.ReadString('\n')
	if err != nil {
		return s + err.Error()
	}
	return s
}

// want reads events until the records have come.
func (e *events) want(records ...string) {
	e.t.Helper()
	want := strings.Join(records, "\x1e") + "\x1e"
	got := ""
	for len(got) < len(want) {
		line := e.line()
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok && line != "\r\n" {
			e.t.Fatalf("got %.200q and then line %q, want %.200q", got, line, want)
		}
		if ok {
			got += strings.TrimSuffix(data, "\r\n")
		}
	}
	if got != want {
		e.t.Fatalf("got %.200q, want %.200q", got, want)
	}
}

// serveTCP serves h on a port of this machine.
func serveTCP(t *testing.T, h http.Handler) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	var task sync.WaitGroup
	task.Go(func() { _ = s.Serve(l) }) // ends with ErrServerClosed
	t.Cleanup(func() { _ = s.Close(); task.Wait() })
	return l.Addr().String()
}
