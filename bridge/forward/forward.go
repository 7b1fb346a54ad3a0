package forward

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Address is where a node's web listener is.
type Address struct {
	URL string `json:"url"`           // http or https, host and port
	Pin string `json:"pin,omitempty"` // SHA-256 of the certificate that it shows, in hex; empty without TLS
}

// Finder asks a node where its web listener is. The error of a node that is not there
// wraps [ErrNoNode].
type Finder func(ctx context.Context, node string) (Address, error)

// ErrNoNode is the error for a node that is not there.
var ErrNoNode = errors.New("forward: no such node")

// Config bounds a forwarder. Zero values mean the defaults.
type Config struct {
	Self string        // name of this node
	Most int           // most requests under way, WebSockets among them; default 10,000
	Wait time.Duration // for a node to be found, and for a connection to it; default 2 s
}

// Header says of a request that another node has handed it on, and which.
const Header = "Tacet-Forwarded-By"

// Forwarder hands requests on. It is safe for concurrent use.
type Forwarder struct {
	cfg   Config
	find  Finder
	log   *slog.Logger
	slots chan struct{}
	ctx   context.Context
	end   context.CancelFunc
	count struct{ forwarded, refused, failed atomic.Uint64 }

	mu    sync.Mutex
	nodes map[string]*node
}

// New makes a forwarder.
func New(cfg Config, find Finder, log *slog.Logger) *Forwarder {
	if cfg.Most == 0 {
		cfg.Most = 10_000
	}
	if cfg.Wait == 0 {
		cfg.Wait = 2 * time.Second
	}
	f := &Forwarder{cfg: cfg, find: find, log: log, slots: make(chan struct{}, cfg.Most), nodes: map[string]*node{}}
	f.ctx, f.end = context.WithCancel(context.Background())
	return f
}

// Stats counts since the start, but for UnderWay.
type Stats struct {
	Forwarded uint64 // requests that another node was to serve
	Refused   uint64 // that found too many under way
	Failed    uint64 // whose node could not be reached
	UnderWay  int    // now
}

// Stats is a snapshot of the counters.
func (f *Forwarder) Stats() Stats {
	return Stats{Forwarded: f.count.forwarded.Load(), Refused: f.count.refused.Load(), Failed: f.count.failed.Load(), UnderWay: len(f.slots)}
}

// Run waits for ctx to end, and then ends what is under way. It returns nil.
func (f *Forwarder) Run(ctx context.Context) error {
	<-ctx.Done()
	f.end()
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, n := range f.nodes {
		n.transport.CloseIdleConnections()
		delete(f.nodes, name)
	}
	return nil
}

// Serve has a node serve a request, and blocks until that is done. It is false, and
// nothing was answered, where the node is not there, is this one, or where the request
// comes from another node already: then it is for nobody.
func (f *Forwarder) Serve(w http.ResponseWriter, r *http.Request, to string) bool {
	if to == f.cfg.Self || r.Header.Get(Header) != "" || f.ctx.Err() != nil {
		return false
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		f.count.refused.Add(1)
		w.Header().Set("Retry-After", "2")
		http.Error(w, "too many requests are for other nodes now", http.StatusServiceUnavailable)
		return true
	}
	n, err := f.node(r.Context(), to)
	if errors.Is(err, ErrNoNode) {
		return false
	}
	if err != nil {
		f.failed(w, r, to, err)
		return true
	}
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	defer context.AfterFunc(f.ctx, stop)()
	f.count.forwarded.Add(1)
	n.proxy.ServeHTTP(w, r.WithContext(ctx))
	return true
}

// failed answers a request whose node cannot be reached. Where the node is will be
// asked anew.
func (f *Forwarder) failed(w http.ResponseWriter, r *http.Request, to string, err error) {
	if r.Context().Err() != nil {
		return // the client is gone, or we are
	}
	f.forget(to)
	f.count.failed.Add(1)
	f.log.Info("node that has the connection cannot be reached", "node", to, "err", err)
	http.Error(w, "the node that has this connection cannot be reached", http.StatusBadGateway)
}

// node is a node of which it is known where it is, by asking where it is not.
func (f *Forwarder) node(ctx context.Context, name string) (*node, error) {
	f.mu.Lock()
	n := f.nodes[name]
	f.mu.Unlock()
	if n != nil {
		return n, nil
	}
	ctx, stop := context.WithTimeout(ctx, f.cfg.Wait)
	defer stop()
	at, err := f.find(ctx, name)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(at.URL)
	if err != nil {
		return nil, err
	}
	n = f.reach(name, u, at.Pin)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes[name] = n
	return n, nil
}

// forget has the next request ask where a node is.
func (f *Forwarder) forget(name string) {
	f.mu.Lock()
	n := f.nodes[name]
	delete(f.nodes, name)
	f.mu.Unlock()
	if n != nil {
		n.transport.CloseIdleConnections()
	}
}

// Keep forgets all nodes but those that are named: the others are gone.
func (f *Forwarder) Keep(names map[string]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, n := range f.nodes {
		if !names[name] {
			n.transport.CloseIdleConnections()
			delete(f.nodes, name)
		}
	}
}

// node is the way to one node.
type node struct {
	proxy     *httputil.ReverseProxy
	transport *http.Transport
}

// reach makes the way to a node.
func (f *Forwarder) reach(name string, u *url.URL, pin string) *node {
	n := &node{transport: newTransport(f.cfg.Wait, pin)}
	n.proxy = &httputil.ReverseProxy{
		Transport:     n.transport,
		FlushInterval: -1, // each event of a stream goes out as it comes
		ErrorLog:      slog.NewLogLogger(f.log.Handler(), slog.LevelDebug),
		ErrorHandler:  func(w http.ResponseWriter, r *http.Request, err error) { f.failed(w, r, name, err) },
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(u)
			p.Out.Host = p.In.Host
			for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if v, ok := p.In.Header[h]; ok {
					p.Out.Header[h] = v
				}
			}
			p.Out.Header.Set(Header, f.cfg.Self)
		},
	}
	return n
}
