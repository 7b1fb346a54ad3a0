package trunk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// defaultLinger is how long the connection outlives the last wish for it.
const defaultLinger = 10 * time.Second

// Config says whose link it is.
type Config struct {
	Device area.DeviceID // needed
	// Uplink says where the hub is and how the device signs in there. Its ClientID
	// is the link's own to set.
	Uplink uplink.Config
	Linger time.Duration // the connection outlives the last wish for it by so long; 0: 10 s
}

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	if !area.IsID(string(c.Device)) {
		faults = append(faults, fmt.Errorf("trunk: device %q is no id", c.Device))
	}
	if c.Linger < 0 {
		faults = append(faults, fmt.Errorf("trunk: linger %v is negative", c.Linger))
	}
	c.Uplink.ClientID = ClientID(c.Device)
	return errors.Join(append(faults, c.Uplink.Validate())...)
}

// ClientID is the MQTT client id of a device's link.
func ClientID(d area.DeviceID) string { return string(d) + ":trunk" }

// Link is a device's connection to the hub on behalf of its area. Make it with
// [New]; all methods but Run are safe for concurrent use and do not block.
type Link struct {
	cfg   Config
	up    *uplink.Client
	log   *slog.Logger
	life  string
	wake  chan struct{} // wanted has changed
	stand atomic.Bool
	count struct{ sent, refused, heard, malformed atomic.Uint64 }

	mu       sync.Mutex
	wanted   map[string]bool // by reason
	next     int
	watchers map[int]watcher
}

// watcher is somebody who wants to know.
type watcher struct {
	heard   func(area.Trunk)
	changed func(up bool)
}

// Stats counts what a [Link] has done since it was made.
type Stats struct {
	Sent      uint64 // messages handed to the connection
	Refused   uint64 // messages that found no connection, or its queue full
	Heard     uint64
	Malformed uint64 // messages of the hub that could not be read
}

// New makes a link; it connects when it runs and is wanted.
func New(cfg Config, log *slog.Logger) (*Link, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Linger == 0 {
		cfg.Linger = defaultLinger
	}
	cfg.Uplink.ClientID = ClientID(cfg.Device)
	up, err := uplink.New(cfg.Uplink, log)
	if err != nil {
		return nil, err
	}
	return &Link{cfg: cfg, up: up, log: log, life: rand.Text(), wake: make(chan struct{}, 1), wanted: map[string]bool{}, watchers: map[int]watcher{}}, nil
}

// Life names this start of the process on the trunk.
func (l *Link) Life() string { return l.life }

// Want says that the connection is wanted for a reason, or no longer. Reasons are
// apart: it stands while there is one.
func (l *Link) Want(why string, wanted bool) {
	l.mu.Lock()
	if wanted {
		l.wanted[why] = true
	} else {
		delete(l.wanted, why)
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Link) isWanted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.wanted) > 0
}

// Aim says where it connects, as package uplink has it; where that is no change
// it does nothing.
func (l *Link) Aim(to uplink.Target) error { return l.up.Aim(to) }

// Home is the hub, as the configuration has it.
func (l *Link) Home() uplink.Target { return l.up.Home() }

// Documents calls heard with each roster document that the hub sends to the
// device while the link stands; it must only enqueue.
func (l *Link) Documents(heard func(payload []byte)) (cancel func(), err error) {
	return l.up.Subscribe(area.PeersTopic(l.cfg.Device), func(m area.Message) {
		if !m.Replay {
			heard(m.Payload)
		}
	})
}

// Watch calls heard for each message of the hub, and changed when a connection
// stands, once it hears what the hub says, and when it is gone. Both must only
// enqueue; each may be nil.
func (l *Link) Watch(heard func(area.Trunk), changed func(up bool)) (cancel func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.next
	l.next++
	l.watchers[id] = watcher{heard: heard, changed: changed}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, id)
	}
}

func (l *Link) all() []watcher {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]watcher, 0, len(l.watchers))
	for id := range l.next {
		if w, ok := l.watchers[id]; ok {
			list = append(list, w)
		}
	}
	return list
}

// Up tells whether a connection stands.
func (l *Link) Up() bool { return l.stand.Load() }

// Refused tells whether the hub did not take the device's credential when it was
// asked last.
func (l *Link) Refused() bool { return l.up.Refused() }

// Send says something to the hub; where it has no life, that of the link is filled
// in. It answers
// [uplink.ErrOffline] or [uplink.ErrFull] where it cannot be sent now: it is for
// the caller to say it again.
func (l *Link) Send(t area.Trunk) error {
	if t.Life == "" {
		t.Life = l.life
	}
	m := area.Message{Topic: area.TrunkUpTopic(l.cfg.Device), Payload: t.Encode(), QoS: 1}
	if err := l.up.Publish(context.Background(), m); err != nil { // without blocking
		l.count.refused.Add(1)
		return err
	}
	l.count.sent.Add(1)
	return nil
}

// Stats is what was counted so far.
func (l *Link) Stats() Stats {
	return Stats{Sent: l.count.sent.Load(), Refused: l.count.refused.Load(), Heard: l.count.heard.Load(), Malformed: l.count.malformed.Load()}
}

// Run keeps the connection while it is wanted, until ctx ends; it then returns
// nil. It may be called once.
func (l *Link) Run(ctx context.Context) error {
	cancel, err := l.up.Subscribe(area.TrunkDownTopic(l.cfg.Device), l.deliver)
	if err != nil {
		return err
	}
	defer cancel()
	defer l.up.Watch(func(up bool, _ uint64, _ string) { l.changed(up) })()
	for l.await(ctx, true) {
		run, stop := context.WithCancel(ctx)
		var work sync.WaitGroup
		work.Go(func() { _ = l.up.Run(run) }) // it always answers nil
		l.await(ctx, false)
		stop()
		work.Wait()
	}
	return nil
}

// await waits until the link is wanted, or until it was not for a while; false
// where ctx has ended.
func (l *Link) await(ctx context.Context, wanted bool) bool {
	linger := time.NewTimer(l.cfg.Linger)
	defer linger.Stop()
	for {
		over := linger.C
		if l.isWanted() {
			if wanted {
				return ctx.Err() == nil
			}
			over = nil
		} else if wanted {
			over = nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-over:
			return true
		case <-l.wake:
			linger.Reset(l.cfg.Linger)
		}
	}
}

func (l *Link) changed(up bool) {
	if l.stand.Swap(up) == up {
		return
	}
	for _, w := range l.all() {
		if w.changed != nil {
			w.changed(up)
		}
	}
}

// deliver hears the hub. What is retained is somebody's mistake, and old.
func (l *Link) deliver(m area.Message) {
	if m.Replay {
		return
	}
	t, err := area.ParseTrunk(m.Payload)
	if err != nil {
		l.count.malformed.Add(1)
		l.log.Warn("trunk message dropped", "topic", m.Topic, "n", len(m.Payload), "err", err)
		return
	}
	l.count.heard.Add(1)
	for _, w := range l.all() {
		if w.heard != nil {
			w.heard(t)
		}
	}
}

// Wanted lists the reasons for which the link is wanted, for a status.
func (l *Link) Wanted() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]string, 0, len(l.wanted))
	for why := range l.wanted {
		list = append(list, why)
	}
	slices.Sort(list)
	return list
}
