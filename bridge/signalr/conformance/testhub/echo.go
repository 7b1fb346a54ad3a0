package testhub

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

const (
	pollPatience = 90 * time.Second
	maxEcho      = 1 << 20 // bytes in one request
	maxEchoes    = 10_000  // connections; who negotiates one more is answered 503
)

// link is one end of an echo.
type link interface {
	Receive(take func(p []byte) error) error
	Write(frames []byte) (int, error)
	Close() error
}

// echo gives back the bytes that it gets: the transports without the hub
// protocol. Connections are negotiated as those of a hub; who skips that gets a
// WebSocket.
type echo struct {
	mu    sync.Mutex
	links map[string]link // by id; nil while nothing has opened it
	polls sync.WaitGroup
	over  bool
}

// ServeHTTP implements http.Handler.
func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	switch {
	case strings.HasSuffix(r.URL.Path, "/negotiate"):
		e.negotiate(w, r)
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		e.socket(w, r, id)
	case !e.known(id):
		http.Error(w, "no connection with that ID", http.StatusNotFound)
	case r.Method == http.MethodPost:
		e.post(w, r, id)
	case r.Method == http.MethodDelete:
		e.end(id)
		w.WriteHeader(http.StatusAccepted)
	case strings.Contains(r.Header.Get("Accept"), "text/event-stream"):
		e.events(w, r, id)
	default:
		e.poll(w, r, id)
	}
}

func (e *echo) negotiate(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	id := rand.Text()
	if !e.issue(id) {
		http.Error(w, "too many echoes", http.StatusServiceUnavailable)
		return
	}
	both, text := []string{"Text", "Binary"}, []string{"Text"}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // an error means that the client is gone
		"negotiateVersion": 1, "connectionId": rand.Text(), "connectionToken": id,
		"availableTransports": []map[string]any{
			{"transport": "WebSockets", "transferFormats": both},
			{"transport": "ServerSentEvents", "transferFormats": text},
			{"transport": "LongPolling", "transferFormats": both},
		},
	})
}

// issue makes an id known; false when there are too many.
func (e *echo) issue(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.links == nil {
		e.links = make(map[string]link)
	}
	if len(e.links) >= maxEchoes {
		return false
	}
	e.links[id] = nil
	return true
}

func (e *echo) known(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.links[id]
	return ok
}

// find returns the link of an id, nil when there is none.
func (e *echo) find(id string) link {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.links[id]
}

func (e *echo) set(id string, l link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.links[id] = l
}

// end forgets a connection and closes its link.
func (e *echo) end(id string) {
	e.mu.Lock()
	l := e.links[id]
	delete(e.links, id)
	e.mu.Unlock()
	if l != nil {
		_ = l.Close()
	}
}

// run gives back until there is nothing more.
func (e *echo) run(id string, l link) {
	defer e.end(id)
	for {
		err := l.Receive(func(p []byte) error {
			kind := transport.Text
			if !utf8.Valid(p) {
				kind = transport.Binary
			}
			b, _ := transport.Seal(append(make([]byte, transport.FrameSpace), p...), kind)
			_, err := l.Write(b)
			return err
		})
		if err != nil {
			return
		}
	}
}

func (e *echo) socket(w http.ResponseWriter, r *http.Request, id string) {
	if id != "" && !e.known(id) {
		http.Error(w, "no connection with that ID", http.StatusNotFound)
		return
	}
	var l *transport.Socket
	l, err := transport.Upgrade(w, r, func(*http.Request) bool { return true }, transport.Events{
		Ping:  func(data string) { _, _ = l.Write(transport.PongFrame(data)) },
		Close: func(code int) { _, _ = l.Write(transport.CloseReply(code)) },
	})
	if err != nil {
		return
	}
	defer func() { _ = l.Close() }()
	e.run(id, l)
}

func (e *echo) events(w http.ResponseWriter, r *http.Request, id string) {
	l := transport.NewEventStream(w)
	e.set(id, l)
	var running sync.WaitGroup
	running.Go(func() { e.run(id, l) })
	l.Serve(r.Context(), func() {})
	_ = l.Close()
	running.Wait()
}

func (e *echo) poll(w http.ResponseWriter, r *http.Request, id string) {
	l, ok := e.find(id).(*transport.Polls)
	if !ok {
		l = transport.NewPolls()
		e.set(id, l)
		e.mu.Lock()
		over := e.over
		if !over {
			e.polls.Go(func() { e.run(id, l) })
		}
		e.mu.Unlock()
		if over {
			e.end(id)
		}
	}
	l.Poll(w, r, pollPatience)
}

func (e *echo) post(w http.ResponseWriter, r *http.Request, id string) {
	l, ok := e.find(id).(interface {
		Post(ctx context.Context, body io.Reader, most int64) error
	})
	if !ok || l.Post(r.Context(), r.Body, maxEcho) != nil {
		http.Error(w, "no connection with that ID", http.StatusNotFound)
	}
}

// close ends every echo and waits for those over long polling.
func (e *echo) close() {
	e.mu.Lock()
	e.over = true
	var ids []string
	for id := range e.links {
		ids = append(ids, id)
	}
	e.mu.Unlock()
	for _, id := range ids {
		e.end(id)
	}
	e.polls.Wait()
}
