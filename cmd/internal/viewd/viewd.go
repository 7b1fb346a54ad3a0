package viewd

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/census"
	"github.com/tacet-hub/tacet/bridge/courier"
	"github.com/tacet-hub/tacet/bridge/forward"
	"github.com/tacet-hub/tacet/bridge/redis"
	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/window"
	"github.com/tacet-hub/tacet/broker/area"
)

// Config sets a view up.
type Config struct {
	Redis   string // address of the server of the nodes; needed
	Prefix  string // of its keys; empty: tacet
	Node    string // name of this node; empty: view- and some letters, new at each start
	Addr    string // host:port of the web listener; empty: 127.0.0.1:8085
	Version string
	Log     *slog.Logger // nil: nothing is logged
}

// Validate reports all faults.
func (c Config) Validate() error {
	if c.Redis == "" {
		return fmt.Errorf("redis: the address of the server of the nodes is missing (--redis)")
	}
	if c.Node != "" && !area.IsID(c.Node) {
		return fmt.Errorf("node: %q is not 1 to 64 of A-Z a-z 0-9 _ -", c.Node)
	}
	return nil
}

// View is one process that serves the web. Make it with [New].
type View struct {
	cfg   Config
	log   *slog.Logger
	start time.Time

	server  *redis.Server
	mux     *backplane.Mux
	census  *census.Census
	forward *forward.Forwarder
	window  *window.Window
	hub     *signalr.Server
	web     net.Listener
	ready   chan string

	ending <-chan struct{} // closed when it drains; set once, by Run

	mu    sync.Mutex
	conns map[*signalr.Conn]struct{}
}

// New makes a view that is not running yet; its listener is bound.
func New(cfg Config) (v *View, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Node = cmp.Or(cfg.Node, "view-"+strings.ToLower(rand.Text()[:6]))
	cfg.Addr = cmp.Or(cfg.Addr, "127.0.0.1:8085")
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	v = &View{cfg: cfg, log: cfg.Log, start: time.Now(), ready: make(chan string, 1), conns: map[*signalr.Conn]struct{}{}}
	if v.server, err = redis.NewServer(redis.Config{URL: cfg.Redis, Node: cfg.Node, Prefix: cfg.Prefix, Note: backplane.WithoutBroker, Log: v.log}); err != nil {
		return nil, err
	}
	v.mux = backplane.NewMux(redis.NewPlane(v.server))
	courier.Absent(v.mux)
	registry.Absent(v.mux)
	if err := v.join(); err != nil {
		v.server.Close()
		return nil, err
	}
	if v.web, err = net.Listen("tcp", cfg.Addr); err != nil {
		v.server.Close()
		return nil, fmt.Errorf("http: %w (--http chooses another address)", err)
	}
	return v, nil
}

// join makes the parts that speak with the nodes of the hub.
func (v *View) join() (err error) {
	if v.census, err = census.New(census.Config{Self: v.cfg.Node}, v.mux, v.about, time.Now); err != nil {
		return err
	}
	v.forward = forward.New(forward.Config{Self: v.cfg.Node}, forward.By(v.mux), v.log)
	forward.Tell(v.mux, func() forward.Address { return forward.Address{URL: v.url()} })
	v.window = window.New(window.Config{Nodes: v.census.Nodes, Show: v.show, Lost: v.anew}, v.mux)
	cluster := backplane.NewCluster(v.mux)
	if v.hub, err = v.makeHub(cluster); err != nil {
		return err
	}
	cluster.Serve(v.hub)
	return nil
}

// Ready gives the address once it is served.
func (v *View) Ready() <-chan string { return v.ready }

// Run serves until ctx ends. It may run once.
func (v *View) Run(ctx context.Context) error {
	defer v.server.Close()
	upper, ctx := errgroup.WithContext(ctx)
	v.ending = ctx.Done()
	// The hub ends first, with a word to its clients; then what carries it.
	under, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	lower, under := errgroup.WithContext(under)
	lower.Go(func() error { return v.mux.Run(under) })
	lower.Go(func() error { return v.window.Run(under) })
	lower.Go(func() error { return v.forward.Run(under) })
	upper.Go(func() error { return v.census.Run(ctx) })
	upper.Go(func() error { return v.hub.Run(ctx) })
	upper.Go(func() error { return v.serve(ctx) })
	upper.Go(func() error { // a part below that fails ends the rest
		select {
		case <-under.Done():
			return context.Cause(under)
		case <-ctx.Done():
			return nil
		}
	})
	v.ready <- v.url()
	v.log.Info("view starts", "node", v.cfg.Node)
	err := upper.Wait()
	stop()
	if low := lower.Wait(); low != nil {
		err = low
	}
	return err
}

func (v *View) url() string { return "http://" + v.web.Addr().String() }

// connected tells whether the nodes can be reached and one of them is shown.
func (v *View) connected() (plane, source bool) {
	return v.mux.Plane().Stats().Connected, v.window.Source() != ""
}

// about is what this node tells the others of itself.
func (v *View) about() census.Report {
	plane, source := v.connected()
	s, url := v.mux.Plane().Stats(), v.url()
	r := census.Report{
		Kind: census.KindView, State: census.Ready, Version: v.cfg.Version, StartedAt: area.At(v.start), HTTP: &url, Areas: []area.Name{},
		Connections: census.Connections{Web: v.hub.Stats().Connections}, MemoryBytes: memory(),
		Backplane: census.Backplane{Mode: "redis", Connected: s.Connected, Missed: s.Missed, Losses: s.Losses},
	}
	if !plane || !source {
		r.State = census.Degraded
	}
	select {
	case <-v.ending:
		r.State = census.Draining
	default:
	}
	return r
}

// memory is what the process has of the system and has not given back, in bytes.
func memory() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// serve answers on the web listener until ctx ends.
func (v *View) serve(ctx context.Context) error {
	srv := &http.Server{Handler: v.routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(v.log.Handler(), slog.LevelDebug)}
	stopped := make(chan struct{})
	go func() { // ends with ctx, and serve waits for it
		defer close(stopped)
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = srv.Shutdown(end) // what has not ended by then is cut by Close
		_ = srv.Close()
	}()
	if err := srv.Serve(v.web); err != http.ErrServerClosed {
		return err
	}
	<-stopped
	return nil
}
