package homeassistant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/order"
)

// Config sets a service up.
type Config struct {
	Prefix  string // of Home Assistant's discovery; default homeassistant
	Version string // of the hub, shown there
}

// Bus carries messages, and knows what is retained.
type Bus interface {
	area.Bus
	Retained(filter string, most int) []area.Message
}

// Site is what is shown. Its methods must not block for long.
type Site interface {
	Areas() []area.Area
	Players() []area.Device
	Watch(changed func()) (cancel func()) // changed only signals
}

// Orders does what is asked for.
type Orders interface {
	Announce(ctx context.Context, r area.OrderRequest, by order.By) error
	Cancel(ctx context.Context, id area.WorkID) error
	StopArea(ctx context.Context, a area.Name) error
	Watch(enqueue func(area.Order)) (cancel func())
}

// Chimes are the tones of a siren.
type Chimes interface {
	Names() []string                                               // of those that sound
	Length(name string) time.Duration                              // 0: there is none of that name
	Clip(ctx context.Context, name string) (sum string, err error) // the name of its sound, as orders have it
}

// Parts are what a service stands on.
type Parts struct {
	Bus    Bus
	Site   Site
	Orders Orders
	Chimes Chimes
	Who    func(area.Message) (auth.Principal, bool) // who published a command; false: nobody may know
	// Mine tells whether this node is the one that shows the site and does what is
	// commanded, where all nodes of a hub hear one broker; Changes calls changed when that
	// may be another. nil: this one is.
	Mine    func() bool
	Changes func(changed func()) (cancel func())
}

// Stats counts since the start.
type Stats struct {
	Topics    int    // that are there now
	Published uint64 // documents and states, again or anew
	Removed   uint64 // topics that were cleared
	Births    uint64 // times that Home Assistant said it is online
	Commands  uint64 // done
	Refused   uint64 // commands that could not be done
	Dropped   uint64 // commands that found the queue full
}

// How the service behaves in time.
const (
	gather   = 200 * time.Millisecond // changes are gathered for so long
	spread   = 3 * time.Second        // over which everything is published again
	step     = 50 * time.Millisecond
	patience = 30 * time.Second // of a command
)

// commandsMost is how many commands may wait.
const commandsMost = 256

// Service shows the site. Make it with [New], then run it.
type Service struct {
	Parts
	cfg   Config
	log   *slog.Logger
	wake  chan struct{} // has room for one signal: something may be different
	birth chan struct{} // has room for one signal: Home Assistant came
	queue chan area.Message

	mu      sync.Mutex                 // guards playing
	playing map[area.WorkID]area.Order // what sounds now: one in each area

	published, removed, births, commands, refused, dropped atomic.Uint64
	topics                                                 atomic.Int64
}

// New makes a service; it shows and does nothing before Run.
func New(cfg Config, p Parts, log *slog.Logger) (*Service, error) {
	if p.Mine == nil {
		p.Mine, p.Changes = func() bool { return true }, func(func()) func() { return func() {} }
	}
	if p.Bus == nil || p.Site == nil || p.Orders == nil || p.Chimes == nil || p.Who == nil {
		return nil, errors.New("homeassistant: a part is missing")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "homeassistant"
	}
	if !area.ValidFilter(cfg.Prefix) || strings.ContainsAny(cfg.Prefix, "+#$@") {
		return nil, fmt.Errorf("homeassistant: prefix %q cannot begin topics", cfg.Prefix)
	}
	return &Service{Parts: p, cfg: cfg, log: log, wake: make(chan struct{}, 1), birth: make(chan struct{}, 1), queue: make(chan area.Message, commandsMost), playing: map[area.WorkID]area.Order{}}, nil
}

// Stats counts.
func (s *Service) Stats() Stats {
	return Stats{
		Topics: int(s.topics.Load()), Published: s.published.Load(), Removed: s.removed.Load(), Births: s.births.Load(),
		Commands: s.commands.Load(), Refused: s.refused.Load(), Dropped: s.dropped.Load(),
	}
}

// Run shows the site until ctx ends; it then says that the hub is gone, and
// returns nil. Its error is that of a subscription.
func (s *Service) Run(ctx context.Context) error {
	for filter, heard := range map[string]func(area.Message){
		s.cfg.Prefix + "/status": s.status, area.Root + "/device/+/cmd/+": s.commanded, area.Root + "/area/+/cmd/+": s.commanded,
		area.BusyTopic("+"): func(area.Message) { signal(s.wake) },
	} {
		cancel, err := s.Bus.Subscribe(filter, heard)
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", filter, err)
		}
		defer cancel()
	}
	defer s.Site.Watch(func() { signal(s.wake) })()
	defer s.Orders.Watch(s.ordered)()
	defer s.Changes(func() { signal(s.wake) })()
	var wg sync.WaitGroup
	wg.Go(func() { s.obey(ctx) })
	s.show(ctx)
	wg.Wait()
	if !s.Mine() {
		return nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.Bus.Publish(last, message(hubTopic, offline)) // the broker may be gone already
	return nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ordered hears of an order.
func (s *Service) ordered(o area.Order) {
	s.mu.Lock()
	if o.State == area.OrderPlaying {
		s.playing[o.ID] = o
	} else {
		delete(s.playing, o.ID)
	}
	s.mu.Unlock()
	signal(s.wake)
}

// sounding is what sounds now.
func (s *Service) sounding() []area.Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.playing))
}

// status hears Home Assistant. What it said before we were here was answered by
// what we retain.
func (s *Service) status(m area.Message) {
	if !m.Replay && string(m.Payload) == online {
		s.births.Add(1)
		signal(s.birth)
	}
}

// show publishes what differs from what is there, and everything when Home
// Assistant asks for it.
func (s *Service) show(ctx context.Context) {
	there, mine := s.left(), s.Mine()
	var again []string // topics that are to be published once more
	pause := time.NewTimer(0)
	defer pause.Stop()
	tick := time.NewTicker(step)
	defer tick.Stop()
	tick.Stop()
	changed, resting := true, true
	portion := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			if changed = true; !resting {
				continue
			}
		case <-pause.C:
			if resting = true; !changed {
				continue
			}
		case <-s.birth:
			if !mine {
				continue
			}
			again = slices.Sorted(maps.Keys(there))
			portion = max(1, len(again)*int(step)/int(spread))
			tick.Reset(step)
			continue
		case <-tick.C:
			n := min(portion, len(again))
			s.repeat(ctx, there, again[:n])
			if again = again[n:]; len(again) == 0 {
				tick.Stop()
			}
			continue
		}
		was := mine
		if mine = s.Mine(); mine && !was {
			there = s.left()
		}
		if mine {
			s.differ(ctx, there, documents(s.look()))
		}
		changed, resting = false, false
		pause.Reset(gather)
	}
}

// left is what an earlier start has left on our topics. What the hub does not know
// any more is cleared, as whatever else is not wanted.
func (s *Service) left() map[string]string {
	there := map[string]string{}
	for _, filter := range []string{s.cfg.Prefix + "/device/+/config", states + "#"} {
		for _, m := range s.Bus.Retained(filter, 0) {
			if strings.HasPrefix(m.Topic, states) || strings.HasPrefix(m.Topic, s.cfg.Prefix+"/device/"+area.ShownObject) {
				there[m.Topic] = string(m.Payload)
			}
		}
	}
	delete(there, hubTopic) // that was of another start
	return there
}

// look gathers what is shown.
func (s *Service) look() site {
	x := site{areas: s.Site.Areas(), devices: s.Site.Players(), saying: map[area.DeviceID]string{}, tones: s.Chimes.Names(), prefix: s.cfg.Prefix, version: s.cfg.Version}
	for _, o := range s.sounding() {
		if o.Device != nil {
			x.saying[*o.Device] = saying(o)
		}
	}
	return x
}

// saying is an order in words.
func saying(o area.Order) string {
	if o.Message != nil {
		return *o.Message
	}
	return "a sound"
}

func message(topic, payload string) area.Message {
	return area.Message{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: true, From: area.FromHub}
}

// differ publishes what is different, and clears what is not wanted: documents
// before states, and the other way round where something goes, so that nobody is
// shown a state of nothing.
func (s *Service) differ(ctx context.Context, there, wanted map[string]string) {
	var batch []area.Message
	for _, topic := range slices.Sorted(maps.Keys(wanted)) { // PREFIX is before tacet/
		if was, ok := there[topic]; !ok || was != wanted[topic] {
			batch = append(batch, message(topic, wanted[topic]))
			there[topic] = wanted[topic]
		}
	}
	s.published.Add(uint64(len(batch)))
	for _, topic := range slices.Sorted(maps.Keys(there)) {
		if _, ok := wanted[topic]; !ok {
			batch = append(batch, message(topic, ""))
			delete(there, topic)
			s.removed.Add(1)
		}
	}
	s.topics.Store(int64(len(there)))
	s.publish(ctx, batch)
}

// repeat publishes topics once more, where they are still there.
func (s *Service) repeat(ctx context.Context, there map[string]string, topics []string) {
	var batch []area.Message
	for _, topic := range topics {
		if payload, ok := there[topic]; ok {
			batch = append(batch, message(topic, payload))
		}
	}
	s.published.Add(uint64(len(batch)))
	s.publish(ctx, batch)
}

func (s *Service) publish(ctx context.Context, batch []area.Message) {
	if len(batch) == 0 {
		return
	}
	if err := s.Bus.Publish(ctx, batch...); err != nil && ctx.Err() == nil {
		s.log.Warn("not shown to home assistant", "err", err, "n", len(batch))
	}
}
