package hubd

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestHundredThousandTopics: somebody publishes on 100,000 topics that nobody has
// heard of, each a sensor's by its name. What the hub keeps of them is bounded,
// what it does not keep is counted, memory stays within what the limits say, and
// others go on: their messages are acknowledged and delivered, their readings come.
func TestHundredThousandTopics(t *testing.T) {
	for name, c := range map[string]struct {
		retained bool
		quota    int // retained topics of one device
		kept     int // of the topics, by the broker
		taken    int // of the messages, by everybody
	}{
		"plain":                   {quota: 1000, taken: manyTopics},
		"retained":                {retained: true, quota: manyTopics, kept: manyTopics, taken: manyTopics},
		"retained over the quota": {retained: true, quota: 1000, kept: 1000, taken: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			h, r, stop := started(t, func(cfg *conf.Config) {
				cfg.Limits.MessagesPerSecond, cfg.Limits.RetainedPerDevice = 0, c.quota
			})
			url := "tcp://" + strings.TrimPrefix(r.MQTT, "mqtt://")
			good := &goodSensor{t: t, h: h, client: paho(t, url, "good", nil), came: make(chan string, 1000)}
			good.listen()
			good.publish() // so it is known before the others
			before, retainedBefore := heap(), h.broker.Stats().Retained

			flood := paho(t, url, "flood", nil)
			var others sync.WaitGroup
			others.Go(func() {
				for range 20 {
					good.publish()
				}
			})
			for n := range manyTopics {
				flood.Publish(fmt.Sprintf("home/hall/line-%d/temperature", n), 0, c.retained, "21.5")
			}
			others.Wait()
			await(t, "all messages", func() bool { s := h.pump.Stats(); return s.Messages+s.Dropped >= uint64(c.taken) })
			await(t, "the refusals", func() bool { return h.broker.Stats().Received >= manyTopics })
			good.publish()
			await(t, "the reading of another", func() bool { return good.reading() == float64(good.n) })

			var grown int64
			defer func() { t.Logf("the heap grew by %d MiB", grown>>20) }()
			await(t, "no more memory than the limits say, once all is on disk", func() bool {
				grown = int64(heap()) - int64(before)
				return grown <= h.broker.Stats().RetainedBytes+64<<20 // the topics' list, the sensors
			})
			b, p, g, x := h.broker.Stats(), h.pump.Stats(), h.registry.Stats(), h.history.Stats()
			t.Logf("%d MiB are counted as retained; of the bridge's %d dropped, %d topics evicted; %d sensors, %d readings refused; %d series, %d points refused",
				b.RetainedBytes>>20, p.Dropped, p.TopicsEvicted, g.Sensors, g.SensorsRefused, x.Series, x.Refused)
			if kept := int(b.Retained - retainedBefore); kept < c.kept || kept > c.kept+100 {
				t.Errorf("%d more are retained, want %d", kept, c.kept)
			}
			if n := int(b.Refused["retained"]); n != manyTopics-c.taken {
				t.Errorf("%d were refused for the quota, want %d", n, manyTopics-c.taken)
			}
			if p.Messages > p.TopicsEvicted+10_000+100 { // those of good among them
				t.Errorf("%d messages were taken, and %d topics left the list, which holds 10,000", p.Messages, p.TopicsEvicted)
			}
			if most := min(c.taken, 10_000); g.Sensors > 10_000 || p.Dropped == 0 && g.Sensors < most || int(g.SensorsRefused)+int(p.Dropped) < c.taken-most {
				t.Errorf("%d sensors are kept, %d readings were refused, want %d sensors and the rest refused", g.Sensors, g.SensorsRefused, most)
			}
			if x.Series > 1000 || x.Refused == 0 && g.Sensors > 1000 {
				t.Errorf("%d series, %d points refused", x.Series, x.Refused)
			}
			if err := stop(); err != nil {
				t.Errorf("the end: %v", err)
			}
		})
	}
}

// await looks now and again whether something has come about that nothing tells
// of. A busy machine may take long.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick, over := time.NewTicker(10*time.Millisecond), time.After(4*time.Minute)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("%s: not after four minutes", what)
		}
	}
}

// heap is what is kept, without garbage.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what has finalizers
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

const goodTopic = "home/north/hall/temperature"

// goodSensor has nothing to do with the others.
type goodSensor struct {
	t      *testing.T
	h      *Hub
	client mqtt.Client
	came   chan string
	n      int
}

func (g *goodSensor) listen() {
	if token := g.client.Subscribe(goodTopic, 1, func(_ mqtt.Client, m mqtt.Message) { g.came <- string(m.Payload()) }); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		g.t.Fatalf("subscribe: %v", token.Error())
	}
}

// publish publishes another value, and waits until it is acknowledged and
// delivered.
func (g *goodSensor) publish() {
	g.n++
	text := fmt.Sprint(g.n)
	if token := g.client.Publish(goodTopic, 1, false, text); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		g.t.Errorf("publish %s: %v", text, token.Error())
	}
	select {
	case got := <-g.came:
		if got != text {
			g.t.Errorf("%s came, want %s", got, text)
		}
	case <-time.After(time.Minute):
		g.t.Errorf("%s did not come", text)
	}
}

// reading is what the hub knows of it.
func (g *goodSensor) reading() float64 {
	for _, d := range g.h.registry.Devices() {
		for _, x := range g.h.registry.ReadingsOf(d.ID) {
			if v, ok := x.Value.(float64); ok && x.Topic == goodTopic {
				return v
			}
		}
	}
	return -1
}
