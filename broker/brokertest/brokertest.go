package brokertest

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
)

// Broker is a running broker.
type Broker struct {
	*broker.Broker
	work sync.WaitGroup
}

// New starts a broker that runs until the test ends. The change, if there is
// one, alters its configuration. In a bubble it must be called inside.
func New(t testing.TB, change ...func(*broker.Config)) *Broker {
	t.Helper()
	var cfg broker.Config
	for _, f := range change {
		f(&cfg)
	}
	in, err := broker.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{Broker: in}
	ctx, cancel := context.WithCancel(context.Background())
	b.work.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Errorf("broker: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		b.work.Wait()
	})
	return b
}

// Pipe opens a connection to the broker and gives the client's end, on which
// nothing has been said yet. It is closed when the test ends.
func (b *Broker) Pipe(t testing.TB) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	b.work.Go(func() { _ = b.Establish(theirs) }) // its error is the client's to see
	t.Cleanup(func() { _ = ours.Close() })
	return ours
}

// Dial connects a paho client: MQTT 3.1.1, clean session, keep-alive 10 s, no
// reconnecting, unless the change says otherwise. It is disconnected when the
// test ends.
func (b *Broker) Dial(t testing.TB, clientID string, change ...func(*mqtt.ClientOptions)) mqtt.Client {
	t.Helper()
	c := b.Client(t, clientID, change...)
	if token := c.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatalf("dial %s: %v", clientID, token.Error())
	}
	return c
}

// Client is Dial without connecting.
func (b *Broker) Client(t testing.TB, clientID string, change ...func(*mqtt.ClientOptions)) mqtt.Client {
	t.Helper()
	o := mqtt.NewClientOptions().AddBroker("tcp://pipe").SetClientID(clientID).SetKeepAlive(10 * time.Second).
		SetAutoReconnect(false).SetConnectRetry(false).SetOrderMatters(true).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return b.Pipe(t), nil })
	for _, f := range change {
		f(o)
	}
	c := mqtt.NewClient(o)
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

// Inbox collects messages for a test.
type Inbox struct {
	mu   sync.Mutex
	all  []area.Message
	more chan struct{}
}

// NewInbox makes an empty inbox; its Put is an enqueue function.
func NewInbox() *Inbox { return &Inbox{more: make(chan struct{}, 1)} }

// Put adds a message. It never blocks.
func (i *Inbox) Put(m area.Message) {
	i.mu.Lock()
	i.all = append(i.all, m)
	i.mu.Unlock()
	select {
	case i.more <- struct{}{}:
	default:
	}
}

// Take waits until there are n messages, and takes them out. It fails the test
// after a minute, which in a bubble is none.
func (i *Inbox) Take(t testing.TB, n int) []area.Message {
	t.Helper()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for {
		i.mu.Lock()
		if len(i.all) >= n {
			out := i.all[:n:n]
			i.all = i.all[n:]
			i.mu.Unlock()
			return out
		}
		have := len(i.all)
		i.mu.Unlock()
		select {
		case <-i.more:
		case <-timeout.C:
			t.Fatalf("%d messages came, want %d", have, n)
		}
	}
}

// Len is how many messages wait.
func (i *Inbox) Len() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.all)
}

// Subscribe subscribes a paho client and returns what comes. From and Conn are
// not known to a client.
func Subscribe(t testing.TB, c mqtt.Client, filter string, qos byte) *Inbox {
	t.Helper()
	in := NewInbox()
	token := c.Subscribe(filter, qos, func(_ mqtt.Client, m mqtt.Message) {
		in.Put(area.Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retain: m.Retained(), Replay: m.Retained()})
	})
	if !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatalf("subscribe %s: %v", filter, token.Error())
	}
	return in
}
