package bridge

import (
	"context"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Sources is where the hub's figures come from; one that is nil is 0. They
// must not block.
type Sources struct {
	Overlaps func() int           // of two voices in one area, in the last 24 hours
	Speaking func() int           // areas that are held now
	Waiting  func() int           // orders that do not sound yet
	Online   func() int           // players and sensors
	SoundP95 func() time.Duration // from an order to its first sound
	Messages func() uint64        // of MQTT, since the start
	Dropped  func() uint64        // anything that a full queue lost, since the start
}

// Metric is one figure, as ReceiveMetric has it.
type Metric struct {
	Name      string    `json:"name"`
	Value     float64   `json:"value"`
	Timestamp area.Time `json:"timestamp"`
}

// figuresEvery is how often the figures are sent.
const figuresEvery = 5 * time.Second

// Figures sends the hub's own figures to group "metrics".
type Figures struct {
	src Sources
	hub Hub
	now func() time.Time

	began    time.Time
	messages uint64 // at the last sending
	dropped  uint64 // same
}

// NewFigures makes figures; they are sent while Run does.
func NewFigures(src Sources, hub Hub, now func() time.Time) *Figures {
	return &Figures{src: src, hub: hub, now: now}
}

// Run sends every five seconds until ctx ends; it then returns nil.
func (f *Figures) Run(ctx context.Context) error {
	tick := time.NewTicker(figuresEvery)
	defer tick.Stop()
	f.begin()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.send()
		}
	}
}

func (f *Figures) begin() {
	f.began = f.now()
	f.messages, f.dropped = read(f.src.Messages), read(f.src.Dropped)
}

func (f *Figures) send() {
	now := f.now()
	seconds := max(now.Sub(f.began).Seconds(), 0.001)
	f.began = now
	rate := func(source func() uint64, last *uint64) float64 {
		n := read(source)
		per := float64(n-*last) / seconds
		*last = n
		return per
	}
	for _, m := range []Metric{
		{Name: "overlaps_24h", Value: float64(read(f.src.Overlaps))},
		{Name: "speaking", Value: float64(read(f.src.Speaking))},
		{Name: "waiting", Value: float64(read(f.src.Waiting))},
		{Name: "online", Value: float64(read(f.src.Online))},
		{Name: "order_to_sound_p95_ms", Value: float64(read(f.src.SoundP95).Milliseconds())},
		{Name: "messages_s", Value: rate(f.src.Messages, &f.messages)},
		{Name: "dropped_s", Value: rate(f.src.Dropped, &f.dropped)},
	} {
		m.Timestamp = area.At(now)
		f.hub.SendLatest(GroupMetrics, eventMetric, m.Name, m)
	}
}

func read[T any](source func() T) (value T) {
	if source != nil {
		value = source()
	}
	return value
}
