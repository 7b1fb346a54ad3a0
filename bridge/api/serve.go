package api

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// Prefix is where the API is mounted.
const Prefix = "/api/v1"

// Config is what the API needs to know beside its resources.
type Config struct {
	// Who says who asks; nil: everybody is [auth.Anonymous], who may do
	// everything. Its errors are [area.Error]s: unauthorized where that is not
	// known, forbidden, rate.
	Who func(*http.Request) (auth.Principal, error)
	// MQTT is where devices find the broker, as the caller of a request reaches
	// it; mqtts is nil where it does not listen with TLS. nil: mqtt://, the host
	// of the request and the usual port.
	MQTT func(*http.Request) (mqtt string, mqtts *string)
	// Now is the wall clock; nil: time.Now.
	Now func() time.Time
}

// Resources is what the API serves. None may be nil.
type Resources struct {
	Areas       Areas
	Devices     Devices
	Orders      Orders
	Schedules   Schedules
	Readings    Readings
	Mappings    Mappings
	Topics      Topics
	Groups      Groups
	Credentials Credentials
	Clips       Clips
	Rollouts    Rollouts
	Proofs      Proofs
	Keys        Keys
	Nodes       Nodes
	Backups     Backups
}

// Validate reports all resources that are missing at once.
func (r Resources) Validate() error {
	var faults []error
	for _, c := range []struct {
		name    string
		missing bool
	}{
		{"Areas", r.Areas == nil}, {"Devices", r.Devices == nil}, {"Orders", r.Orders == nil}, {"Schedules", r.Schedules == nil},
		{"Readings", r.Readings == nil}, {"Mappings", r.Mappings == nil}, {"Topics", r.Topics == nil}, {"Groups", r.Groups == nil}, {"Credentials", r.Credentials == nil}, {"Clips", r.Clips == nil}, {"Keys", r.Keys == nil}, {"Nodes", r.Nodes == nil},
		{"Rollouts", r.Rollouts == nil}, {"Proofs", r.Proofs == nil}, {"Backups", r.Backups == nil},
	} {
		if c.missing {
			faults = append(faults, fmt.Errorf("api: %s is missing", c.name))
		}
	}
	return errors.Join(faults...)
}

// API serves REST. It is safe for concurrent use.
type API struct {
	Resources
	cfg   Config
	log   *slog.Logger
	mux   *http.ServeMux
	count counts

	replays replays
}

type counts struct {
	requests, refused, unauthorized, forbidden, failed       atomic.Uint64
	tokensMade, tokensDeleted, enrolments, redeemed, revoked atomic.Uint64
	backups, backupsFailed                                   atomic.Uint64
}

// Stats is what the API counted since its start.
type Stats struct {
	Requests      uint64
	Refused       uint64 // answered with 4xx
	Unauthorized  uint64 // of them with 401
	Forbidden     uint64 // of them with 403
	Failed        uint64 // answered with 5xx
	TokensMade    uint64
	TokensDeleted uint64
	Enrolments    uint64 // codes made
	Redeemed      uint64 // codes traded for a credential
	Revoked       uint64 // credentials of devices taken away
	Backups       uint64 // given out as a whole
	BackupsFailed uint64
}

// Stats answers what was counted so far.
func (a *API) Stats() Stats {
	c := &a.count
	return Stats{
		Requests: c.requests.Load(), Refused: c.refused.Load(), Unauthorized: c.unauthorized.Load(), Forbidden: c.forbidden.Load(), Failed: c.failed.Load(),
		TokensMade: c.tokensMade.Load(), TokensDeleted: c.tokensDeleted.Load(),
		Enrolments: c.enrolments.Load(), Redeemed: c.redeemed.Load(), Revoked: c.revoked.Load(),
		Backups: c.backups.Load(), BackupsFailed: c.backupsFailed.Load(),
	}
}

// route is one verb on one path below [Prefix].
type route struct {
	method, path string
	needs        auth.Action // that the caller may do somewhere; the verb looks where. 0: nobody has to say who he is
	serve        func(*API, *call) (answer, error)
}

// verb is what serves the route. A write takes an idempotency key; the order
// service remembers those of new orders, and a clip sent again is the same.
func (r route) verb() func(*API, *call) (answer, error) {
	if r.method == http.MethodGet || r.path == "/orders" || r.path == "/clips" || secretive(r) {
		return r.serve
	}
	return func(a *API, c *call) (answer, error) { return a.once(c, r.serve) }
}

// secretive tells whether the answer of a write is a secret, which is shown once
// and kept nowhere.
func secretive(r route) bool {
	return r.method == http.MethodPost && (r.path == "/tokens" || r.path == "/enrolments" || r.path == "/enrolments/{code}")
}

// routes is everything that is served.
func routes() []route {
	return slices.Concat(areaRoutes, locationRoutes, deviceRoutes, orderRoutes, scheduleRoutes, readingRoutes, mappingRoutes, groupRoutes, sendRoutes, topicRoutes, clipRoutes, rolloutRoutes, tokenRoutes, enrolmentRoutes, nodeRoutes, backupRoutes, contractRoutes)
}

// New makes the API; it serves every path below /api/.
func New(cfg Config, res Resources, log *slog.Logger) (*API, error) {
	if err := res.Validate(); err != nil {
		return nil, err
	}
	if cfg.Who == nil {
		cfg.Who = func(*http.Request) (auth.Principal, error) { return auth.Anonymous(), nil }
	}
	if cfg.MQTT == nil {
		cfg.MQTT = func(r *http.Request) (string, *string) { return "mqtt://" + HostOf(r) + ":1883", nil }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &API{Resources: res, cfg: cfg, log: log, mux: http.NewServeMux()}
	byPath := map[string]map[string]route{}
	for _, r := range routes() {
		if byPath[r.path] == nil {
			byPath[r.path] = map[string]route{}
		}
		byPath[r.path][r.method] = r
	}
	for path, verbs := range byPath {
		a.mux.Handle(Prefix+path, a.resource(verbs))
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.serve(w, r, auth.Read, func(*API, *call) (answer, error) {
			return answer{}, area.Errorf(area.CodeNotFound, "nothing is served at %q", r.URL.Path)
		})
	})
	return a, nil
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// resource serves the verbs of one path.
func (a *API) resource(verbs map[string]route) http.Handler {
	var allow []string
	for m := range verbs {
		allow = append(allow, m)
		if m == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	slices.Sort(allow)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		if v, ok := verbs[method]; ok {
			a.serve(w, r, v.needs, v.verb())
			return
		}
		w.Header().Set("Allow", strings.Join(allow, ", "))
		a.serve(w, r, auth.Read, func(*API, *call) (answer, error) {
			return answer{}, area.Errorf(area.CodeMethod, "%.20q is not served here, but %s", r.Method, strings.Join(allow, ", "))
		})
	})
}

// serve runs one verb for a caller with the right to it, and writes its answer.
func (a *API) serve(w http.ResponseWriter, r *http.Request, needs auth.Action, verb func(*API, *call) (answer, error)) {
	a.count.requests.Add(1)
	c := &call{Request: r, w: w, id: rand.Text()[:16]}
	h := w.Header()
	h.Set("X-Request-Id", c.id)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	var out answer
	err := a.admit(c, needs)
	if err == nil {
		out, err = a.run(verb, c)
	}
	if err != nil {
		a.refuse(c, err)
		return
	}
	if err := out.write(c); err != nil {
		a.refuse(c, err)
	}
}

// run turns a panic into an error: one bad request does not take its
// connection's others down, and its caller gets a document.
func (a *API) run(verb func(*API, *call) (answer, error), c *call) (out answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return verb(a, c)
}
