package hubd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/tacet-hub/tacet/bridge/dashboard"
	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// Limits of the web listener. There is no write timeout: a WebSocket and a long
// answer have their own.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	headerBytes   = 64 << 10
)

// hubPath is where programs and browsers find the hub (DESIGN.md §3.2).
const hubPath = "/hubs/devices"

func (h *Hub) serveWeb(ctx context.Context) error {
	l := h.web
	if h.webTLS != nil {
		l = tls.NewListener(l, h.webTLS.config())
	}
	return h.serve(ctx, l, h.guarded(h.atHome(h.routes())), h.newcomers)
}

func (h *Hub) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", h.api)
	mux.HandleFunc("GET /healthz", h.health.alive)
	mux.HandleFunc("GET /readyz", h.known(h.health.report))
	mux.HandleFunc("GET /clips/{clip}", h.serveClip)
	h.updateRoutes(mux)
	mux.HandleFunc("GET /install.sh", h.serveInstall)
	h.signInRoutes(mux)
	if h.cfg.MQTT.WebSocket && h.broker != nil {
		mux.HandleFunc("GET /mqtt", h.mqttOverWeb)
	}
	mux.Handle("/", dashboard.Handler())
	return h.signalr.At(hubPath, mux)
}

// guarded puts before a handler what keeps foreign pages out.
func (h *Hub) guarded(next http.Handler) http.Handler {
	return hardened(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.guard().wrap(next).ServeHTTP(w, r) }))
}

// mqttOverWeb serves one MQTT connection inside a WebSocket.
func (h *Hub) mqttOverWeb(w http.ResponseWriter, r *http.Request) {
	conn, err := transport.NetConn(w, r, "mqtt", h.guard().allows)
	if err != nil {
		h.log.Debug("no mqtt over websocket", "err", err) // the caller was answered
		return
	}
	if err := h.broker.Establish(conn); err != nil {
		h.log.Debug("mqtt over websocket ended early", "conn", r.RemoteAddr, "err", err)
	}
}

func (h *Hub) serveAdmin(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h.metrics())
	mux.HandleFunc("GET /readyz", h.health.report)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return h.serve(ctx, h.admin, hardened(guard{open: true}.wrap(mux)), newNewcomers())
}

// serve answers on a listener until ctx ends, and then waits for what is being
// answered.
func (h *Hub) serve(ctx context.Context, l net.Listener, handler http.Handler, bound *newcomers) error {
	srv := &http.Server{
		Handler: timely(handler), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
	bound.watch(srv)
	stopped := make(chan struct{})
	go func() { // ends with ctx, and serve waits for it
		defer close(stopped)
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace/2)
		defer cancel()
		_ = srv.Shutdown(end) // what has not ended by then is cut by Close
		_ = srv.Close()
	}()
	err := srv.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		<-stopped
		return nil
	}
	return err
}

// webPort is how the web listener is told to devices: they know by which host
// they reach this machine.
func (h *Hub) webPort() string {
	_, port, err := net.SplitHostPort(h.web.Addr().String())
	if err != nil {
		return ""
	}
	if h.webTLS != nil {
		return "https://:" + port
	}
	return "http://:" + port
}
