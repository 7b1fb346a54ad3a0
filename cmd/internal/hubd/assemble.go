package hubd

import (
	"crypto/rand"
	"path/filepath"
	"time"

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/bridge/replay"
	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/order"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
	"github.com/tacet-hub/tacet/scheduler"
)

// assemble makes every part, each after those that it is handed.
func (h *Hub) assemble() error {
	for _, step := range []func() error{h.makeSeen, h.makeAbsences, h.makeAreas, h.makeOrders, h.makeHub, h.makeBridge, h.makeDeviceHub, h.makeSchedule, h.makeRollouts, h.makeBridges, h.makeShown, h.makeCensus, h.makeAPI, h.makeRequests} {
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
			EmergencyBarge: a.EmergencyBarge, PerNode: a.OnLedgerLoss == conf.PerNode,
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
		Cluster: h.cluster(), Forward: h.forwards(), Redirect: h.toThisNode, Elsewhere: h.elsewhere(), Log: h.groupLog(), Repositioned: devicehub.Repositioned,
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
	if h.registry, err = registry.New(registry.Config{Node: h.cfg.Node}, h.roster, h.history, registry.NewDurable(h.shared.Table("assignments")), h.shared.Table("sensors"), time.Now, h.log); err != nil {
		return err
	}
	if h.pump, err = bridge.New(bridge.Config{}, bridge.Parts{
		Bus: h.orKept(), Others: h.otherPumps(), Hub: burst{h.signalr.Burst(), h.shows()}, Here: hereGroups{h.signalr, h.shows()}, Mappings: h.rulebook.Rules(), Readings: h.registry, Areas: h.roster, Retained: h.bus, Acts: h.whoActs(), Now: time.Now,
	}, h.log); err != nil {
		return err
	}
	h.shared.Table("mappings").Watch(h.rulebook.Changed)
	h.shared.Table("assignments").Watch(h.registry.AssignmentChanged)
	h.joinSensors()
	if h.view, err = bridge.NewView(bridge.ViewConfig{}, bridge.ViewParts{
		Bus: h.bus, Hub: hereGroups{h.signalr, h.shows()}, Roster: sightedPlayers{h.roster, h.seen}, Orders: h.orders, Sensors: h.registry,
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
	h.devices, err = devicehub.New(devicehub.Config{Node: h.cfg.Node, NodeTimeout: h.cfg.Redis.NodeTimeout}, devicehub.Parts{
		Server: h.signalr, Bus: h.bus, Arbiter: h.arbiter, Roster: h.roster, Orders: announcer{h}, View: h.view, Mirror: h.pump, Who: h.who.whoConnected, Clips: uploads{h},
		Streams: streams{h}, Past: h.past, Others: h.otherConns(), Marks: h.groupMarks(), Log: h.groupPast(), Absences: h.keepsAbsences(),
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
	kept := h.shared.Table("rollouts")
	h.rollouts, err = rollout.New(rollout.Parts{
		Node: h.cfg.Node, Mine: func() bool { return h.duty(hasBroker) }, Bus: h.everywhere(), Devices: devices{h}, Retained: h.bus, Table: kept, Now: time.Now,
	}, h.log)
	if err == nil {
		kept.Watch(h.rollouts.Changed)
	}
	return err
}

func (h *Hub) makeAPI() (err error) {
	h.api, err = api.New(api.Config{Who: h.who.who, MQTT: h.mqttFor}, api.Resources{
		Areas: areas{h}, Devices: devices{h}, Orders: stopper{h.orders, h}, Schedules: h.schedule, Readings: h.registry, Mappings: h.rulebook, Topics: topics{h}, Groups: members{h},
		Credentials: h.auth, Clips: sharedClips{h.clips, h}, Rollouts: rollouts{h.rollouts, h}, Proofs: h.proof, Keys: h.peers, Nodes: h.census, Backups: &backups{h: h},
	}, h.log)
	return err
}
