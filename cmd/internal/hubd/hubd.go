package hubd

import (
	"bytes"
	"context"
	"crypto/rand"
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
	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/bridge/census"
	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/bridge/external"
	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/homeassistant"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/bridge/replay"
	"github.com/tacet-hub/tacet/bridge/rollout"
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
	"github.com/tacet-hub/tacet/cmd/internal/settings"
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
}

// grace is how long each group of parts may take to stop; four groups fit into
// the 10 s in which a hub that was told to end has ended.
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
}

// New checks the configuration and makes a hub that is not running yet.
func New(cfg conf.Config, opt Options, log *slog.Logger) (*Hub, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h := &Hub{cfg: cfg, opt: opt, log: log, start: time.Now(), newcomers: newNewcomers(), updates: newUpdates(cfg.Updates.In(cfg.Data)), ready: make(chan Ready, 1)}
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
	if err := h.openProof(); err != nil {
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
	err := stages{groups: h.parts(), grace: grace}.run(ctx)
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
	h.shared.Table("sessions").Watch(h.sessionChanged)
	return h.who.sessions.keepIn(h.shared.Table("sessions"), h.auth, h.log)
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

func (h *Hub) assemble() error {
	for _, step := range []func() error{h.makeAreas, h.makeOrders, h.makeHub, h.makeBridge, h.makeDeviceHub, h.makeSchedule, h.makeRollouts, h.makeBridges, h.makeShown, h.makeCensus, h.makeAPI, h.makeRequests} {
		if err := step(); err != nil {
			return err
		}
	}
	h.health.broker, h.health.bridges = h.brokerState, h.bridgeStates
	h.health.store = h.store
	return nil
}

func (h *Hub) makeAreas() (err error) {
	if h.roster, err = arbiter.NewRoster(arbiter.RosterConfig{Node: h.cfg.Node, Areas: areaConfigs(h.cfg.Areas)}, time.Now); err != nil {
		return err
	}
	if err = h.roster.KeepIn(h.shared.Table("areas"), h.log); err != nil {
		return err
	}
	h.shared.Table("areas").Watch(h.roster.ChangedElsewhere)
	if err = h.makePeers(); err != nil {
		return err
	}
	known, err := h.store.Ledger().Areas()
	if err != nil {
		return err
	}
	life := rand.Text()
	if err = h.makeNodes(life); err != nil {
		return err
	}
	cold := h.opt.ColdStart && len(known) == 0 // a record of an earlier start: a lease of it may be alive
	h.arbiter, err = arbiter.New(arbiter.Config{
		Node: h.cfg.Node, Addr: h.brokerAddr(), Web: h.webPort(), ColdStart: cold,
		Witness: h.proof, Voters: h.voters,
		Leaders: h.store.Table("leaders"), Members: h.peers, Life: life, Retained: h.bus.Retained, Nodes: h.arbiters(), Index: h.arbiterIndex(),
	}, h.bus, h.store.Ledger(), h.connections(), h.roster, h.clock, time.Now, h.log)
	return err
}

func areaConfigs(list []conf.Area) (out []arbiter.AreaConfig) {
	for _, a := range list {
		c := arbiter.AreaConfig{
			ID: a.ID, Name: a.Name, Source: area.SourceConfig, Mode: a.Mode, Topology: a.Topology, Policy: a.Policy,
			Lease: a.Lease, Volume: a.Volume, QuietHours: a.QuietHours, ClassicHold: a.ClassicHold, DumbHold: a.DumbHold,
			EmergencyBarge: a.EmergencyBarge,
		}
		for _, l := range a.Locations {
			c.Locations = append(c.Locations, arbiter.Place{ID: l.ID, Name: l.Name})
		}
		out = append(out, c)
	}
	return out
}

func (h *Hub) makeOrders() (err error) {
	kept, nodes, err := h.openOrders()
	if err != nil {
		return err
	}
	h.orders, err = order.New(order.Config{Nodes: nodes}, kept, h.roster, spokenFirst{h.arbiter, h}, renderer{h}, time.Now, h.log)
	return err
}

func (h *Hub) makeHub() (err error) {
	if h.past, err = replay.New(replay.Config{Wants: replayed}, time.Now); err != nil {
		return err
	}
	h.signalr, err = signalr.New(signalr.Config{
		Cluster: h.cluster(), Forward: h.forwards(), Redirect: h.toThisNode, Elsewhere: h.elsewhere(),
		KeepAliveInterval: h.cfg.Hub.Keepalive, ClientTimeoutInterval: h.cfg.Hub.ClientTimeout, HandshakeTimeout: h.cfg.Hub.HandshakeTimeout,
		MaximumReceiveMessageSize: h.cfg.Limits.HubMessageBytes, EnableDetailedErrors: h.cfg.Hub.DetailedErrors, AllowStatefulReconnects: true,
		Authenticate: h.who.authenticate, Require: []signalr.Requirement{h.who.requireUser}, MaximumConnectionsPerUser: h.cfg.Limits.ConnectionsPerUser,
		History: h.past, CheckOrigin: h.guard().allows, CloseTimeout: grace / 2, // a client that does not answer the goodbye must not hold up the end
	}, h.log)
	if err == nil && h.nodes != nil {
		h.nodes.hub.Serve(h.signalr)
		h.joinDirectory()
	}
	return err
}

func (h *Hub) makeBridge() error {
	var err error
	if h.rulebook, err = registry.NewRulebook(h.shared.Table("mappings"), rules(h.cfg.Mappings), func(t *mapping.Table) { h.pump.Remap(t) }, h.log); err != nil {
		return err
	}
	if h.history, err = history.New(history.Config{Dir: filepath.Join(h.cfg.Data, "history")}, time.Now, h.log); err != nil {
		return err
	}
	if h.registry, err = registry.New(registry.Config{Node: h.cfg.Node}, h.roster, h.history, registry.NewDurable(h.shared.Table("assignments")), h.store.Table("sensors"), time.Now, h.log); err != nil {
		return err
	}
	if h.pump, err = bridge.New(bridge.Config{}, bridge.Parts{
		Bus: h.everywhere(), Hub: burst{h.signalr.Burst(), h.shows()}, Mappings: h.rulebook.Rules(), Readings: h.registry, Areas: h.roster, Retained: h.bus, Now: time.Now,
	}, h.log); err != nil {
		return err
	}
	h.shared.Table("mappings").Watch(h.rulebook.Changed)
	h.shared.Table("assignments").Watch(h.registry.AssignmentChanged)
	if h.view, err = bridge.NewView(bridge.ViewConfig{}, bridge.ViewParts{
		Bus: h.bus, Hub: hereGroups{h.signalr, h.shows()}, Roster: h.roster, Orders: h.orders, Sensors: h.registry,
	}, h.log); err != nil {
		return err
	}
	h.alerts = bridge.NewAlerts(groups{h.signalr}, time.Now)
	h.figures = bridge.NewFigures(bridge.Sources{
		Overlaps: h.proof.Overlaps,
		Speaking: h.view.Speaking, Online: h.view.Online,
		Waiting:  h.orders.Waiting,
		SoundP95: func() time.Duration { return h.orders.Stats().ToSoundP95 },
		Messages: func() uint64 { return h.pump.Stats().Messages },
		Dropped:  h.dropped,
	}, hereGroups{h.signalr, h.shows()}, time.Now)
	return nil
}

// droppedByBroker counts what the queues of the broker, or of its clients, have
// lost.
func (h *Hub) droppedByBroker() (n uint64) {
	if h.broker != nil {
		b := h.broker.Stats()
		n = uint64(b.DroppedMessages + b.DroppedQueued)
	}
	for _, b := range h.bridges {
		n += b.Stats().Dropped + b.Stats().DroppedIn
	}
	return n
}

// dropped counts what any full queue has lost.
func (h *Hub) dropped() uint64 {
	return h.droppedByBroker() + h.pump.Stats().Dropped + h.pump.Stats().MirrorDropped +
		h.view.Stats().OrdersDropped + h.arbiter.Stats().Full + h.devices.Stats().Dropped
}

func rules(list []conf.Mapping) (out []mapping.Rule) {
	for _, m := range list {
		out = append(out, m.Rule())
	}
	return out
}

func (h *Hub) makeDeviceHub() (err error) {
	h.devices, err = devicehub.New(devicehub.Config{Node: h.cfg.Node}, devicehub.Parts{
		Server: h.signalr, Bus: h.bus, Arbiter: h.arbiter, Roster: h.roster, Orders: announcer{h}, View: h.view, Mirror: h.pump, Who: h.who.whoConnected, Clips: uploads{h},
		Streams: streams{h}, Past: h.past, Others: h.otherConns(),
		Clock: h.clock, Now: time.Now,
	}, h.log)
	return err
}

func (h *Hub) makeSchedule() (err error) {
	kept, err := scheduler.NewDurable(h.shared.Table("schedules"), h.log)
	if err != nil {
		return err
	}
	h.schedule, err = scheduler.New(scheduler.Config{Schedules: schedules(h.cfg.Schedules), NotBefore: settings.Built()}, kept, h.firings(), h.roster, time.Now, h.log)
	if err == nil {
		h.shared.Table("schedules").Watch(h.scheduleChanged(kept))
	}
	return err
}

func schedules(list []conf.Schedule) (out []area.Schedule) {
	for _, s := range list {
		out = append(out, area.Schedule{ID: s.ID, Cron: s.Cron, Every: s.Every, Once: s.Once, TimeZone: s.TimeZone, Work: s.Work, Enabled: s.Enabled, Source: area.SourceConfig})
	}
	return out
}

func (h *Hub) makeRollouts() (err error) {
	h.rollouts, err = rollout.New(rollout.Parts{Bus: h.everywhere(), Devices: devices{h}, Retained: h.bus, Table: h.store.Table("rollouts"), Now: time.Now}, h.log)
	return err
}

func (h *Hub) makeAPI() (err error) {
	h.api, err = api.New(api.Config{Who: h.who.who, MQTT: h.mqttFor}, api.Resources{
		Areas: areas{h}, Devices: devices{h}, Orders: stopper{h.orders, h}, Schedules: h.schedule, Readings: h.registry, Mappings: h.rulebook, Topics: topics{h}, Groups: members{h},
		Credentials: h.auth, Clips: sharedClips{h.clips, h}, Rollouts: rollouts{h.rollouts, h.updates}, Proofs: h.proof, Keys: h.peers, Nodes: h.census, Backups: &backups{h: h},
	}, h.log)
	return err
}

func (h *Hub) guard() guard {
	return guard{open: h.auth.Open(), origins: h.cfg.HTTP.AllowedOrigins}
}

// parts are the groups in the order in which they stop.
func (h *Hub) parts() [][]part {
	return [][]part{
		{{"web", h.serveWeb}, {"forward", h.runForward}, {"certificates", h.certs.run}, {"rights", h.watchRights}, {"admin", h.serveAdmin}, {"scheduler", h.schedule.Run}, {"requests", h.requests.Run}, {"hub", h.signalr.Run}, {"watchdog", h.watchItself}},
		append(h.bridgeParts(), []part{{"submits", h.takeSubmits}, {"home assistant", h.runShown}, {"devices", h.devices.Run}, {"presence", h.runDirectory}, {"rollouts", h.rollouts.Run}, {"figures", h.figures.Run}, {"alerts", h.alerts.Run}, {"doors", h.watchDoors}, {"trouble", h.watchTrouble}, {"pump", h.pump.Run}, {"view", h.view.Run}, {"registry", h.registry.Run}}...),
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
// is shown an area of which that is not known. An area whose record cannot be
// read never says it, and does not keep the hub from serving the others.
func (h *Hub) awaitBusy(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for slices.ContainsFunc(h.view.Areas(), unheard) {
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
