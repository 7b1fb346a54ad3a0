package demo

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// walk is a value that wanders between two bounds, as a room's does.
type walk struct {
	value, low, high, step float64
}

func (w *walk) next() float64 {
	w.value += (rand.Float64()*2 - 1) * w.step
	w.value = min(max(w.value, w.low), w.high)
	return w.value
}

// sensor publishes one topic.
type sensor struct {
	topic   string
	payload func() string
}

// sensors are the simulated ones, in three conventions: one value a topic, JSON
// by a mapping, and what a player says of itself.
func sensors() []sensor {
	raw := func(topic, format string, w walk) sensor {
		return sensor{topic, func() string { return fmt.Sprintf(format, w.next()) }}
	}
	air := func(topic string, co2, t, rh walk) sensor {
		return sensor{topic, func() string {
			return fmt.Sprintf(`{"co2":%.0f,"t":%.1f,"rh":%.0f}`, co2.next(), t.next(), rh.next())
		}}
	}
	return []sensor{
		raw("home/north/hall/temperature", "%.1f", walk{21.8, 20, 24, 0.1}),
		raw("home/north/hall/noise", "%.0f", walk{62, 52, 78, 2}),
		raw("home/north/hall/humidity", "%.0f", walk{44, 35, 55, 0.6}),
		air("plant/south/air-3", walk{720, 420, 1300, 14}, walk{22.9, 20, 25, 0.1}, walk{40, 30, 55, 0.5}),
		raw("meters/pier/mast/noise", "%.0f", walk{70, 58, 84, 2}),
		raw("meters/pier/mast/temperature", "%.1f", walk{8.2, 3, 14, 0.1}),
		raw("tacet/device/pier-1/tele/temperature", "%.1f", walk{41, 36, 58, 0.4}),
	}
}

// period is how often each sensor speaks.
const period = time.Second

// sense publishes the sensors until ctx ends, spread over the period. What cannot be
// said is lost, as a sensor's is: the next value follows.
func sense(ctx context.Context, bus area.Bus, list []sensor, log *slog.Logger) error {
	tick := time.NewTicker(period / time.Duration(len(list)))
	defer tick.Stop()
	for i := 0; ; i = (i + 1) % len(list) {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		s := list[i]
		if err := bus.Publish(ctx, area.Message{Topic: s.topic, Payload: []byte(s.payload())}); err != nil && ctx.Err() == nil {
			log.Debug("sensor not heard", "topic", s.topic, "err", err)
		}
	}
}
