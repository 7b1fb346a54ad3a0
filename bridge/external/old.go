package external

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// oldVersion is MQTT 3.1.1 as its CONNECT says it.
const oldVersion = 4

// mostTold bounds the retained topics of an old broker that are remembered as told;
// of more each is told again at each connection.
const mostTold = 10_000

// onceOld is once for a link that receives alone, by MQTT 3.1.1: some brokers, that
// of The Things Stack among them, speak nothing else. Such a broker cannot be told
// to keep our own messages from us, so nothing goes to it; and it tells what it
// retains each time, so what was told already is left out.
func (l *link) onceOld(ctx context.Context) error {
	lost := make(chan struct{})
	o := mqtt.NewClientOptions().SetClientID(l.srv.ClientID).SetUsername(l.srv.Username).SetPassword(l.srv.Password)
	o.AddBroker("tcp://outside") // dial knows where
	o.SetProtocolVersion(oldVersion).SetCleanSession(false).SetAutoReconnect(false).SetConnectRetry(false).SetOrderMatters(true)
	o.SetKeepAlive(keepAlive * time.Second).SetPingTimeout(patience).SetConnectTimeout(patience).SetWriteTimeout(patience)
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
		dialing, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return l.srv.dial(dialing, &l.heard)
	})
	o.SetConnectionLostHandler(func(mqtt.Client, error) { close(lost) })
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { l.receivedOld(m) })
	client := mqtt.NewClient(o)
	defer client.Disconnect(0)
	if err := awaited(ctx, client.Connect()); err != nil {
		return fmt.Errorf("connect by MQTT 3.1.1: %w", err)
	}
	for _, f := range l.filters {
		if err := awaited(ctx, client.Subscribe(f.Topic, f.QoS, nil)); err != nil {
			return fmt.Errorf("subscribe by MQTT 3.1.1: %w", err)
		}
	}
	l.connects.Add(1)
	l.old.Store(false)
	l.connected.Store(true)
	defer l.connected.Store(false)
	l.log.Info("outside broker reached by MQTT 3.1.1", "node", l.srv.ClientID)
	select {
	case <-lost:
		l.lost.Add(1)
		l.log.Warn("connection to the outside broker lost", "node", l.srv.ClientID)
	case <-ctx.Done():
	}
	return nil
}

// awaited waits for the library, for a while.
func awaited(ctx context.Context, t mqtt.Token) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-t.Done():
		if s, ok := t.(*mqtt.SubscribeToken); ok && t.Error() == nil {
			for filter, code := range s.Result() {
				if code >= 0x80 {
					return fmt.Errorf("the broker refuses %q", filter)
				}
			}
		}
		return t.Error()
	case <-late.C:
		return context.DeadlineExceeded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// told is what an old broker retained when it was told, by topic. It is safe for
// concurrent use.
type told struct {
	seed maphash.Seed

	mu   sync.Mutex // guards sums
	sums map[string]uint64
}

func newTold() *told { return &told{seed: maphash.MakeSeed(), sums: map[string]uint64{}} }

// news notes what is retained on a topic, and tells whether that is not known yet.
func (t *told) news(topic string, payload []byte) bool {
	sum := maphash.Bytes(t.seed, payload)
	t.mu.Lock()
	defer t.mu.Unlock()
	was, known := t.sums[topic]
	if known || len(t.sums) < mostTold {
		t.sums[topic] = sum
	}
	return !known || was != sum
}

// receivedOld hands a message on, as MQTT 5 would have it. It runs on the library's
// goroutine.
func (l *link) receivedOld(m mqtt.Message) {
	if m.Retained() && !l.told.news(m.Topic(), m.Payload()) {
		return
	}
	l.received.Add(1)
	l.receive(&paho.Publish{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retain: m.Retained()})
}

// orOld is a link's connection by MQTT 3.1.1 where one by MQTT 5 failed for reasons
// that may be those of an old broker; its error has both.
func (l *link) orOld(ctx context.Context, err error) error {
	if !l.receives || !errors.Is(err, ErrVersion) && !errors.Is(err, errHungUp) {
		return err
	}
	if old := l.onceOld(ctx); old != nil {
		return fmt.Errorf("%w; %w", err, old)
	}
	return nil
}
