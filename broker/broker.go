package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
)

// listenerName is what the library knows every connection of ours by.
const listenerName = "tacet"

// pendingWrites is how many messages the library may hold for one client that
// its write loop has not come to: only $SYS takes that way, see deliver.go.
const pendingWrites = 64

// Broker is an MQTT broker. It is safe for concurrent use.
type Broker struct {
	cfg    Config
	log    *slog.Logger
	server *mqtt.Server
	hook   *hook
	own    *mqtt.Client // publishes what the hub says, and wills

	half     *halfOpen
	sessions sessions
	wills    wills
	events   events
	watchers watchers
	seats    seats
	holdings holdings
	backlogs backlogs
	gates    gates
	lines    limiter
	barrier  barrier
	inputs   inputs
	sweep    sweep
	audience audiences
	kept     *durable
	count    counters
	rights   rights
	heirs    *heirs

	retained sync.RWMutex // held while the tree is written or scanned: see hook.OnPublish
	tree     tree
	marks    *marks       // nil: there are no other nodes
	lastMsg  atomic.Int64 // number of the newest message, for the order of queues
	lastSub  atomic.Int64 // number of the newest inline subscription
	subs     sync.Map     // of *subscription, by number
	lastConn atomic.Uint64

	work sync.WaitGroup // connections and flushers

	mu    sync.Mutex
	doors []door
	links map[*link]struct{}
	state state
}

// state is how far the broker has come. It only grows.
type state int

const (
	stateNew state = iota
	stateRunning
	stateClosing
)

var _ area.Bus = (*Broker)(nil)

// New makes a broker that listens nowhere yet. Publishing, subscribing and
// Establish work at once.
func New(cfg Config, log *slog.Logger) (*Broker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	b := &Broker{cfg: cfg.withDefaults(), log: log, links: map[*link]struct{}{}}
	b.lines.log, b.tree = log, newTree()
	b.seats.b, b.heirs = b, newHeirs(b)
	b.half = newHalfOpen(b.cfg.MaxHalfOpen, b.cfg.MaxHalfOpenPerAddr)
	b.watchRights()
	b.server = mqtt.New(b.options())
	b.hook = &hook{b: b}
	b.sweep.start = b.work.Go
	b.holdings = holdings{
		topics: b.cfg.MaxRetained, ownBytes: b.cfg.MaxRetainedBytes, allBytes: b.cfg.MaxRetainedTotal,
		ownerOf: b.ownerOf, tree: b.tree.all.Retained,
	}
	if b.cfg.Relay != nil {
		b.marks = newMarks(b.cfg.Relay.Node())
		b.cfg.Relay.Serve(b)
	}
	b.own = b.server.NewClient(nil, mqtt.LocalListener, mqtt.InlineClientId, true)
	b.kept = newDurable(b, cfg.Store)
	b.own.Properties.ProtocolVersion = 5 // else the properties of a will are lost
	if err := b.server.AddHook(b.hook, nil); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if err := b.kept.restore(); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return b, nil
}

// options sets what of BROKER.md §2 can be set.
func (b *Broker) options() *mqtt.Options {
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumClients = math.MaxInt64                   // seats counts them, and tells why
	caps.MaximumPacketSize = uint32(b.cfg.MaxPacketBytes) // row 3
	caps.MaximumMessageExpiryInterval = 0                 // row 1: else retained messages go after a day
	caps.MaximumSessionExpiryInterval = uint32(min(b.cfg.SessionExpiry/time.Second, 1<<32-1))
	caps.MaximumInflight = uint16(b.cfg.MaxQueue)
	caps.MaximumClientWritesPending = pendingWrites
	caps.TopicAliasMaximum = 0                             // row 13: none is announced, and one that comes is refused
	caps.Compatibilities.NoInheritedPropertiesOnAck = true // row 34
	return &mqtt.Options{
		Capabilities:            caps,
		ClientNetReadBufferSize: readerBytes, // see input.go
		SysTopicResendInterval:  30,          // row 29: each stops the world
		Logger:                  slog.New(libraryLog{Handler: b.log.Handler(), lines: &b.lines, full: b.queueFull}),
	}
}

// Run serves until ctx ends, closes every connection, and waits for all of
// them; then it returns nil, or why listening ended by itself. It may run once.
// The broker cannot be used after it. No will is published for the clients that
// it leaves behind: it is the broker that goes, not they.
func (b *Broker) Run(ctx context.Context) error {
	doors, err := b.run()
	if err != nil {
		return err
	}
	if err := b.server.Serve(); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.work.Go(func() { b.keepRights(ctx) })
	b.work.Go(func() { b.kept.sweep(ctx) })
	b.work.Go(func() { b.lines.run(ctx) })
	b.work.Go(func() { b.heirs.run(ctx) })
	b.work.Go(func() { b.expireRetained(ctx) })
	failed := make([]error, len(doors))
	for i, d := range doors {
		b.work.Go(func() {
			defer cancel()
			failed[i] = b.accept(ctx, d)
		})
	}
	<-ctx.Done()
	b.shutdown()
	return errors.Join(failed...)
}

func (b *Broker) run() ([]door, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != stateNew {
		return nil, errors.New("broker: has run already")
	}
	b.state = stateRunning
	return b.doors, nil
}

// shutdown closes everything and waits for it.
func (b *Broker) shutdown() {
	b.mu.Lock()
	b.state = stateClosing
	doors := b.doors
	links := make([]*link, 0, len(b.links))
	for l := range b.links {
		links = append(links, l)
	}
	b.mu.Unlock()
	closeAll(doors)
	for _, l := range links {
		b.cut(l, Closed, packets.ErrServerShuttingDown)
	}
	b.work.Wait()
	b.wills.stop()
	_ = b.server.Close()
}

func (b *Broker) closing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state == stateClosing
}

// cut ends a connection and says why: to the client, where its protocol has
// words for it, and in the event.
func (b *Broker) cut(l *link, reason string, code packets.Code) {
	l.because(reason)
	cl := l.client.Load()
	switch {
	case cl == nil:
		_ = l.Close()
	case cl.Properties.ProtocolVersion == 5:
		_ = b.server.DisconnectClient(cl, code)
	default: // 3.1.1 has no DISCONNECT from the server
		cl.Stop(code)
	}
}

// Disconnect closes the connection of a client, and tells an MQTT 5 client the
// reason (in words). False: it is not connected. It does not wait for the end.
func (b *Broker) Disconnect(client string, reason string) bool {
	l := b.sessions.get(client)
	if l == nil {
		return false
	}
	b.log.Info("client disconnected by us", "device", client, "conn", l.addr, "err", reason)
	b.cut(l, Closed, packets.Code{Code: packets.ErrAdministrativeAction.Code, Reason: reason})
	return true
}
