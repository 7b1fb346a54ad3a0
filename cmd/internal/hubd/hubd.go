package hubd

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
	_ "time/tzdata" // zones on a machine that has none installed

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/bridge/absence"
	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/bridge/census"
	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/bridge/external"
	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/homeassistant"
	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/bridge/replay"
	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/bridge/seen"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/broker/order"
	"github.com/tacet-hub/tacet/broker/peers"
	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/broker/relay"
	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/store"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/cmd/internal/voice"
	"github.com/tacet-hub/tacet/scheduler"
)

// Options are what no configuration file may say.
type Options struct {
	// ColdStart skips settling where the data directory has no record of an
	// earlier start. It is safe only where every device that could
	// hold an area is started after the hub, in the same process' lifetime: the
	// demo.
	ColdStart bool
	// Version is shown in the metrics.
	Version string
	// Patience is how long each group of parts may take to stop, and how long the start
	// waits until the hub knows what it shows; 0 is 2 s. Tests have more: their machine
	// may be busy.
	Patience time.Duration
}

// grace is how long each group of parts may take to stop, and what those before it have
// left; four groups fit into the 10 s in which a hub that was told to end has ended.
const grace = 2 * time.Second

// Hub is one hub process. Make it with [New].
type Hub struct {
	cfg   conf.Config
	opt   Options
	log   *slog.Logger
	start time.Time

	store    *store.Store
	shared   *shared.Tables
	clips    *clip.Store
	sent     clipsSent
	voice    *voice.Voice
	auth     *auth.Authority
	who      *identity
	audit    *audit
	broker   *broker.Broker // nil with an outside one
	outside  *external.Bus  // nil with the embedded one
	bus      bus            // whichever there is
	bridges  []namedBridge
	shown    *homeassistant.Service // nil: nothing is shown
	roster   *arbiter.Roster
	peers    *peers.Service
	arbiter  *arbiter.Service
	nodes    *nodes // nil: this process is the whole hub
	census   *census.Census
	relay    *relay.Relay
	proof    *proof.Book
	orders   *order.Service
	schedule *scheduler.Service
	signalr  *signalr.Server
	devices  *devicehub.Hub
	registry *registry.Registry
	rulebook *registry.Rulebook
	history  *history.Store
	past     *replay.Memory
	seen     *seen.Book
	absences *absence.Book
	api      *api.API
	requests *api.Desk
	pump     *bridge.Pump
	view     *bridge.View
	figures  *bridge.Figures
	alerts   *bridge.Alerts

	updates  *updates
	rollouts *rollout.Service

	certs           tlsCerts
	webTLS, mqttTLS *certs // nil: not encrypted, none

	web, admin net.Listener
	newcomers  *newcomers // of web
	health     health
	ready      chan Ready
	patience   time.Duration // grace, or what the options say; for how long the start waits, too, for what it shows
}

// New checks the configuration and makes a hub that is not running yet.
func New(cfg conf.Config, opt Options, log *slog.Logger) (*Hub, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h := &Hub{cfg: cfg, opt: opt, log: log, start: time.Now(), newcomers: newNewcomers(), updates: newUpdates(cfg.Updates.In(cfg.Data)), ready: make(chan Ready, 1), patience: cmp.Or(opt.Patience, grace)}
	return h, nil
}

// Ready gives the addresses once every listener accepts.
func (h *Hub) Ready() <-chan Ready { return h.ready }

// Run serves until ctx ends and then drains. It may run once. Its error says
// what could not be started, or which part failed.
func (h *Hub) Run(ctx context.Context) error {
	if err := os.MkdirAll(h.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if err := h.openStore(); err != nil {
		return err
	}
	defer h.store.Close()
	if err := h.joinServer(); err != nil {
		return err
	}
	if err := h.openShared(ctx); err != nil {
		return err
	}
	defer h.closeNodes()
	if err := h.openClips(); err != nil {
		return err
	}
	if err := h.openProof(ctx); err != nil {
		return err
	}
	if err := h.loadTLS(); err != nil {
		return err
	}
	if err := h.makeAuth(); err != nil {
		return err
	}
	if err := h.listen(); err != nil {
		return err
	}
	defer h.web.Close()
	defer h.admin.Close()
	if err := h.assemble(); err != nil {
		return err
	}
	defer h.gateSubmits(ctx)()
	defer h.gateStatus()()
	deaf, err := h.watchHealth()
	if err != nil {
		return err
	}
	defer deaf()
	defer h.forgetEnded()()
	defer h.orders.Watch(h.voice.Changed)()
	defer context.AfterFunc(ctx, func() { h.health.set(draining); h.census.Tell() })()
	return h.serveParts(ctx)
}

// openStore opens the store, and says what of it is lost: the hub starts all
// the same.
func (h *Hub) openStore() (err error) {
	if h.store, err = store.Open(filepath.Join(h.cfg.Data, "tacet.db")); err != nil {
		return err
	}
	if aside := h.store.Quarantined(); aside != "" {
		h.log.Error("store was damaged and is set aside, what could be read of it is used", "err", aside)
	}
	for table, n := range h.store.Damage() {
		h.log.Error("store was damaged", "rule", table, "n", n)
	}
	return nil
}

// serveParts runs every part until ctx ends or one fails, and says so once they
// serve.
func (h *Hub) serveParts(ctx context.Context) error {
	r := h.readiness()
	defer r.remove(h.cfg.Data)
	var said sync.WaitGroup
	defer said.Wait()
	saying, stop := context.WithCancel(ctx)
	defer stop()
	said.Go(func() { h.announce(saying, r) })
	h.log.Info("hub starts", "node", h.cfg.Node)
	err := stages{groups: h.parts(), grace: h.patience}.run(ctx)
	h.log.Info("hub stopped", "node", h.cfg.Node, "dur", time.Since(h.start).Round(time.Second))
	return err
}

// makeAuth learns who may come in.
func (h *Hub) makeAuth() error {
	cfg, err := h.cfg.Identity()
	if err != nil {
		return err
	}
	if h.auth, err = auth.New(cfg, h.shared.Table("auth"), time.Now, h.log); err != nil {
		return err
	}
	h.audit = &audit{log: h.log, now: time.Now}
	h.who = &identity{auth: h.auth, sessions: newSessions(time.Now), audit: h.audit}
	if h.cfg.Redis.URL != "" {
		h.who.sessions.home = sessionMark + h.cfg.Node
	}
	h.shared.Table("auth").Watch(h.auth.ChangedElsewhere)
	h.shared.Table("sign-ins").Watch(h.sessionChanged)
	return h.who.sessions.keepIn(h.shared.Table("sign-ins"), h.auth, h.log)
}

// listen binds the listeners, so that a port in use is an error at once.
func (h *Hub) listen() (err error) {
	if err = h.openBroker(); err != nil {
		return err
	}
	if h.web, err = net.Listen("tcp", h.cfg.HTTP.Addr); err != nil {
		return fmt.Errorf("http: %w (--http chooses another address)", err)
	}
	if h.admin, err = net.Listen("tcp", h.cfg.HTTP.AdminAddr); err != nil {
		h.web.Close()
		return fmt.Errorf("admin: %w (http.admin_addr chooses another address)", err)
	}
	return nil
}

// clock is the control plane's: monotonic since the hub was made.
func (h *Hub) clock() area.Instant { return area.Instant(time.Since(h.start)) }

func (h *Hub) guard() guard {
	return guard{open: h.auth.Open(), origins: h.cfg.HTTP.AllowedOrigins}
}

// parts are the groups in the order in which they stop.
func (h *Hub) parts() [][]part {
	return [][]part{
		{{"web", h.serveWeb}, {"forward", h.runForward}, {"certificates", h.certs.run}, {"rights", h.watchRights}, {"admin", h.serveAdmin}, {"scheduler", h.schedule.Run}, {"requests", h.requests.Run}, {"hub", h.signalr.Run}, {"watchdog", h.watchItself}},
		append(h.bridgeParts(), []part{{"submits", h.takeSubmits}, {"home assistant", h.runShown}, {"devices", h.devices.Run}, {"presence", h.runDirectory}, {"rollouts", h.rollouts.Run}, {"figures", h.figures.Run}, {"alerts", h.alerts.Run}, {"doors", h.watchDoors}, {"trouble", h.watchTrouble}, {"pump", h.pump.Run}, {"view", h.view.Run}, {"registry", h.registry.Run}, {"last seen", h.seen.Run}, {"absences", h.absences.Run}}...),
		append(h.orderParts(), []part{{"arbiter", func(ctx context.Context) error { return h.arbiter.Run(ctx, reporter{h}) }}, {"peers", h.runPeers}, {"orders", h.orders.Run}, {"speech", h.voice.Run}, {"census", h.census.Run}}...),
		append(h.nodeParts(), []part{{"broker", h.runBroker}, {"proof", h.proof.Run}, {"history", h.history.Run}}...),
	}
}

// announce waits until the bridge listens and the web answers, writes ready.json
// and says so.
func (h *Hub) announce(ctx context.Context, r Ready) {
	for _, listening := range []<-chan struct{}{h.pump.Ready(), h.view.Ready()} {
		select {
		case <-listening:
		case <-ctx.Done():
			return
		}
	}
	h.awaitBusy(ctx)
	if !h.answers(ctx, r.HTTP) {
		return
	}
	h.health.set(ready)
	if err := r.write(h.cfg.Data); err != nil {
		h.log.Error("hub is not to be found by the other commands", "err", err)
	}
	h.ready <- r
}

// answers waits until the web listener does. That it is ours it knows by the
// certificate itself, which need not name this address.
func (h *Hub) answers(ctx context.Context, url string) bool {
	own := &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		if !bytes.Equal(s.PeerCertificates[0].Raw, h.webTLS.now.Load().Certificates[0].Certificate[0]) {
			return errors.New("not the certificate of this hub")
		}
		return nil
	}}
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: own}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		resp, err := client.Get(url + "/healthz")
		if err == nil {
			resp.Body.Close()
			return true
		}
	}
	return false
}

// awaitBusy waits until the view has heard what each area does, so that nobody
// is shown an area of which that is not known, and until the other nodes are known, of
// whose clients somebody may ask. An area whose record cannot be read never says it, and
// does not keep the hub from serving the others; nor does a server that is away.
func (h *Hub) awaitBusy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, h.patience)
	defer cancel()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for slices.ContainsFunc(h.view.Areas(), unheard) || !h.knowsNodes() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// unheard tells whether an area is shown without a word of its arbiter, whose
// first term is 1.
func unheard(a area.Area) bool {
	b, err := area.ParseBusy(a.Busy)
	return err != nil || b.Term == 0 && b.Rev == 0
}

func (h *Hub) readiness() Ready {
	r := Ready{
		HTTP: "http://" + h.web.Addr().String(), Admin: "http://" + h.admin.Addr().String(),
		Node: h.cfg.Node, PID: os.Getpid(),
	}
	if h.webTLS != nil {
		r.HTTP = "https://" + h.web.Addr().String()
	}
	r.MQTT, r.MQTTS = h.brokerURLs()
	return r
}
