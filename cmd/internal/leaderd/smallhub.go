package leaderd

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/broker/order"
	"github.com/tacet-hub/tacet/firmware/leader/host"
)

// smallHub is the web side of a local leader: the device hub at /hubs/devices,
// over the leader's arbiter, so that SignalR devices of the area go on, and the
// clips that this device has.
type smallHub struct {
	clips shelf
	clock func() area.Instant
	now   func() time.Time
	log   *slog.Logger
}

// Limits of the web listener of a leader.
const (
	webHeaderTime  = 10 * time.Second
	webIdleTime    = 2 * time.Minute
	webHeaderBytes = 16 << 10
	webPerUser     = 10
	webGrace       = time.Second
)

// open makes the parts of one reign's hub; run serves until its context ends.
func (s smallHub) open(l net.Listener, in host.Inside) (run func(context.Context) error, err error) {
	who := guests{in.Auth}
	server, err := signalr.New(signalr.Config{
		Authenticate: who.authenticate, Require: []signalr.Requirement{who.require}, MaximumConnectionsPerUser: webPerUser,
		AllowStatefulReconnects: true, CloseTimeout: webGrace / 2,
	}, s.log)
	if err != nil {
		return nil, err
	}
	view, err := bridge.NewView(bridge.ViewConfig{}, bridge.ViewParts{Bus: in.Broker, Hub: groups{server}, Roster: in.Roster, Orders: in.Orders, Sensors: noSensors{}}, s.log)
	if err != nil {
		return nil, err
	}
	devices, err := devicehub.New(devicehub.Config{Node: in.Node}, devicehub.Parts{
		Server: server, Bus: in.Broker, Arbiter: in.Arbiter, Roster: in.Roster, Orders: announcements{in}, View: view, Mirror: noMirror{}, Clips: noUploads{}, Streams: noStreams{},
		Who: who.connected, Clock: s.clock, Now: s.now,
	}, s.log)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /clips/{clip}", s.clip(who))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	handler := server.At("/hubs/devices", mux)
	return func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		for _, part := range []func(context.Context) error{server.Run, view.Run, devices.Run, func(ctx context.Context) error { return s.serve(ctx, l, handler) }} {
			g.Go(func() error { return part(ctx) })
		}
		return g.Wait()
	}, nil
}

// serve answers on the listener until ctx ends.
func (s smallHub) serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: webHeaderTime, IdleTimeout: webIdleTime, MaxHeaderBytes: webHeaderBytes,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), webGrace)
		defer cancel()
		_ = srv.Shutdown(grace) // what has not ended by then is cut by Close
		_ = srv.Close()
	})
	err := srv.Serve(l)
	if !stop() {
		<-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// clip answers the bytes of a clip of this device's, which never change.
func (s smallHub) clip(who guests) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := who.of(r); err != nil {
			http.Error(w, "name or password is wrong", http.StatusUnauthorized)
			return
		}
		sum, err := clip.ParseSum(r.PathValue("clip"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		f, err := s.clips.look(sum)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer f.Close()
		w.Header().Set("ETag", `"`+sum.Hex()+`"`)
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, f)
	}
}

// guests says who asks over HTTP: by name and password, as at the broker, in an
// Authorization header of kind Basic; or, since SignalR clients send a token alone,
// by the same text as a bearer token or as access_token, or by an API token of the hub
// in its place.
type guests struct{ auth *auth.Authority }

func (g guests) of(r *http.Request) (auth.Principal, error) {
	if g.auth.Open() {
		return auth.Anonymous(), nil
	}
	name, password, ok := r.BasicAuth()
	if !ok {
		name, password, ok = pairOf(r)
	}
	if token := tokenOf(r); !ok && token != "" {
		return g.auth.Bearer(r.Context(), r.RemoteAddr, token)
	}
	if !ok {
		return auth.Principal{}, area.Errorf(area.CodeUnauthorized, "name and password are needed")
	}
	return g.auth.Password(r.Context(), r.RemoteAddr, name, password)
}

// tokenOf is the token that a request shows; empty: none.
func tokenOf(r *http.Request) string {
	if token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); bearer {
		return token
	}
	return r.URL.Query().Get("access_token")
}

// pairOf is name and password of a token.
func pairOf(r *http.Request) (name, password string, ok bool) {
	text, err := base64.StdEncoding.DecodeString(tokenOf(r))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(text), ":")
}

// principalClaim holds the whole principal of a connection.
const principalClaim = "tacet"

func (g guests) authenticate(r *http.Request) (signalr.Principal, error) {
	p, err := g.of(r)
	if err != nil || p.Kind == auth.KindAnonymous {
		return signalr.Principal{}, err
	}
	return signalr.Principal{Name: p.Name, Roles: p.Roles, Claims: map[string]any{principalClaim: p}}, nil
}

// require lets only those connect who are known, unless the area is open.
func (g guests) require(a signalr.Access) error {
	if g.auth.Open() {
		return nil
	}
	return signalr.RequireUser()(a)
}

// connected is on whose behalf a client is connected.
func (g guests) connected(c *signalr.Conn) auth.Principal {
	if p, ok := c.Principal().Claims[principalClaim].(auth.Principal); ok {
		return p
	}
	if g.auth.Open() {
		return auth.Anonymous()
	}
	return auth.Principal{}
}

// groups sends the view's events to the hub's groups.
type groups struct{ s *signalr.Server }

func (g groups) Send(group, event string, args ...any) { g.s.Group(group).Send(event, args...) }

func (g groups) SendLatest(group, event, key string, args ...any) {
	g.s.Group(group).SendLatest(event, key, args...)
}

// announcements is the leader's orders as hub calls see them.
type announcements struct{ in host.Inside }

func (a announcements) Announce(ctx context.Context, req area.OrderRequest, who string, may func(area.Name) error) (area.Accepted, error) {
	o, err := a.in.Orders.Accept(ctx, req, order.By{Who: who, May: may})
	if err != nil {
		return area.Accepted{}, err
	}
	return o.Accepted(), nil
}

func (a announcements) Find(ctx context.Context, id area.WorkID) (area.Order, error) {
	return a.in.Orders.Find(ctx, id)
}

func (a announcements) Cancel(ctx context.Context, id area.WorkID) (area.Order, error) {
	return a.in.Orders.Cancel(ctx, id)
}

func (a announcements) StopArea(ctx context.Context, in area.Name) (any, error) {
	a.in.Arbiter.StopPlay(in)
	return a.in.Orders.StopArea(ctx, in, true)
}

func (a announcements) StopAll(ctx context.Context) (any, error) { return a.StopArea(ctx, a.in.Area) }

// noSensors: readings go up to the hub, which knows what they mean.
type noSensors struct{}

func (noSensors) Devices() []area.Device                          { return nil }
func (noSensors) Device(area.DeviceID) (area.Device, bool)        { return area.Device{}, false }
func (noSensors) ReadingsOf(area.DeviceID) []area.Reading         { return nil }
func (noSensors) Watch(func(area.DeviceID, bool)) (cancel func()) { return func() {} }

// noMirror: topics and groups are joined at the hub.
type noMirror struct{}

func (noMirror) GroupSent(string, area.Group, string, []byte) {}

// noStreams: who looks on does so at the hub.
type noStreams struct{}

func (noStreams) StreamTopics(context.Context, string, int, func(area.TopicValue) error) error {
	return errAtHub
}

func (noStreams) StreamReadings(context.Context, int, func(area.Reading) bool, func(area.Reading) error) error {
	return errAtHub
}

func (noStreams) StreamOrders(context.Context, *area.Name, func(area.Order) bool, func(area.Order) error) error {
	return errAtHub
}

var errAtHub = area.Errorf(area.CodeDegraded, "the local leader of an area has no such stream: it is at the hub")

// noUploads: a leader keeps no clips of others.
type noUploads struct{}

func (noUploads) Upload(context.Context, string, io.Reader) (string, error) {
	return "", area.Errorf(area.CodeDegraded, "the hub cannot be reached, and the local leader keeps no clips")
}
