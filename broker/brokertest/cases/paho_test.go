package cases

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"
	mqtt3 "github.com/eclipse/paho.mqtt.golang"
)

// patience is how long what must come may take on a busy machine.
const patience = time.Minute

// paho5 is a client of eclipse/paho.golang, which speaks MQTT 5.
type paho5 struct {
	t *testing.T
	*paho.Client
	came chan *paho.Publish
}

// ourAddr runs our broker on a socket until the test ends.
func ourAddr(t *testing.T) string {
	t.Helper()
	s, err := startOurs(setup{}, "tcp", &record{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s.(*ours).addr()
}

// dial5 connects a client. The change, if there is one, alters how.
func dial5(t *testing.T, addr, id string, change func(*paho.ClientConfig, *paho.Connect)) *paho5 {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &paho5{t: t, came: make(chan *paho.Publish, 1000)}
	cfg := paho.ClientConfig{Conn: conn, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(p paho.PublishReceived) (bool, error) { c.came <- p.Packet; return true, nil },
	}}
	hello := &paho.Connect{ClientID: id, KeepAlive: 60, CleanStart: true, Properties: &paho.ConnectProperties{}}
	if change != nil {
		change(&cfg, hello)
	}
	c.Client = paho.NewClient(cfg)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.Connect(ctx, hello); err != nil {
		t.Fatalf("connect %s: %v", id, err)
	}
	t.Cleanup(func() { _ = c.Disconnect(&paho.Disconnect{}) })
	return c
}

func (c *paho5) sub(qos byte, filters ...string) {
	c.t.Helper()
	s := &paho.Subscribe{}
	for _, f := range filters {
		s.Subscriptions = append(s.Subscriptions, paho.SubscribeOptions{Topic: f, QoS: qos})
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if _, err := c.Subscribe(ctx, s); err != nil {
		c.t.Fatalf("subscribe %v: %v", filters, err)
	}
}

func (c *paho5) pub(p *paho.Publish) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if _, err := c.Publish(ctx, p); err != nil {
		c.t.Fatalf("publish %s: %v", p.Topic, err)
	}
}

func (c *paho5) next() *paho.Publish {
	c.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case p := <-c.came:
		return p
	case <-late.C:
		c.t.Fatal("no message came")
		return nil
	}
}

func message(topic, payload string, qos byte) *paho.Publish {
	return &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: qos}
}

func ptr[T any](v T) *T { return &v }

// TestPaho5 is what a program with eclipse/paho.golang relies on.
func TestPaho5(t *testing.T) {
	t.Parallel()
	t.Run("a session survives a broken connection", func(t *testing.T) {
		t.Parallel()
		addr := ourAddr(t)
		kept := state.NewInMemory()
		stay := func(s session.SessionManager, clean bool) func(*paho.ClientConfig, *paho.Connect) {
			return func(cfg *paho.ClientConfig, hello *paho.Connect) {
				cfg.Session, hello.CleanStart, hello.Properties.SessionExpiryInterval = s, clean, ptr(uint32(300))
			}
		}
		gate := dial5(t, addr, "gate-1", stay(kept, true))
		gate.sub(2, "in")
		gate.TerminateConnectionForTest()
		<-gate.Done() // it takes its session's connection away last
		paper := dial5(t, addr, "paper", nil)
		for i := range 30 {
			paper.pub(message("in", fmt.Sprint(i), byte(1+i%2)))
		}
		gate = dial5(t, addr, "gate-1", stay(kept, false))
		for i := range 30 {
			if got := gate.next(); string(got.Payload) != fmt.Sprint(i) {
				t.Fatalf("%s came, want %d", got.Payload, i)
			}
		}
	})
	t.Run("a will has what it was given", func(t *testing.T) {
		t.Parallel()
		addr := ourAddr(t)
		watch := dial5(t, addr, "watch", nil)
		watch.sub(1, "status/+")
		gate := dial5(t, addr, "gate-1", func(_ *paho.ClientConfig, hello *paho.Connect) {
			hello.WillMessage = &paho.WillMessage{Topic: "status/gate-1", Payload: []byte("gone"), QoS: 1}
			hello.WillProperties = &paho.WillProperties{User: paho.UserProperties{{Key: "k", Value: "v"}}}
		})
		gate.TerminateConnectionForTest()
		got := watch.next()
		if p := got.Properties; string(got.Payload) != "gone" || p.User.Get("k") != "v" {
			t.Errorf("the will is %q with %+v", got.Payload, p)
		}
	})
	t.Run("a shared subscription gives each message to one", func(t *testing.T) {
		t.Parallel()
		addr := ourAddr(t)
		var crew [3]*paho5
		for i := range crew {
			crew[i] = dial5(t, addr, fmt.Sprint("crew-", i), nil)
			crew[i].sub(1, "$share/crew/jobs", "end")
		}
		paper := dial5(t, addr, "paper", nil)
		for i := range 60 {
			paper.pub(message("jobs", fmt.Sprint(i), 1))
		}
		paper.pub(message("end", "end", 1))
		seen := map[string]int{}
		for i, c := range crew {
			n := 0
			for got := c.next(); got.Topic != "end"; got = c.next() {
				seen[string(got.Payload)]++
				n++
			}
			if n == 0 {
				t.Errorf("nothing came to member %d", i)
			}
		}
		for i := range 60 {
			if n := seen[fmt.Sprint(i)]; n != 1 {
				t.Errorf("job %d came %d times", i, n)
			}
		}
	})
	t.Run("a question is answered", func(t *testing.T) {
		t.Parallel()
		addr := ourAddr(t)
		ask, answer := dial5(t, addr, "ask", nil), dial5(t, addr, "answer", nil)
		ask.sub(1, "reply/ask")
		answer.sub(1, "question")
		q := message("question", "what?", 1)
		q.Properties = &paho.PublishProperties{ResponseTopic: "reply/ask", CorrelationData: []byte("\x00\x01q"), User: paho.UserProperties{{Key: "k", Value: "v"}}}
		ask.pub(q)
		asked := answer.next()
		if asked.Properties.User.Get("k") != "v" {
			t.Errorf("the question has the user properties %v", asked.Properties.User)
		}
		r := message(asked.Properties.ResponseTopic, "that", 1)
		r.Properties = &paho.PublishProperties{CorrelationData: asked.Properties.CorrelationData}
		answer.pub(r)
		if got := ask.next(); string(got.Payload) != "that" || string(got.Properties.CorrelationData) != "\x00\x01q" {
			t.Errorf("the answer is %q, to %q", got.Payload, got.Properties.CorrelationData)
		}
	})
	t.Run("a client that takes its time gets no more at once", func(t *testing.T) {
		t.Parallel()
		addr := ourAddr(t)
		slow := dial5(t, addr, "slow", func(cfg *paho.ClientConfig, hello *paho.Connect) {
			cfg.EnableManualAcknowledgment = true
			hello.Properties.ReceiveMaximum = ptr(uint16(5))
		})
		slow.sub(1, "in")
		paper := dial5(t, addr, "paper", nil)
		for i := range 50 {
			paper.pub(message("in", fmt.Sprint(i), 1))
		}
		paper.pub(message("elsewhere", "x", 1))
		var open []*paho.Publish
		for i := range 50 {
			got := slow.next()
			if string(got.Payload) != fmt.Sprint(i) {
				t.Fatalf("%s came, want %d", got.Payload, i)
			}
			if open = append(open, got); len(open) == 5 {
				slow.sub(0, "pause") // an answer, behind which nothing of "in" may have come
				if n := len(slow.came); n > 0 {
					t.Fatalf("%d messages more than allowed came", n)
				}
				for _, p := range open {
					if err := slow.Ack(p); err != nil {
						t.Fatal(err)
					}
				}
				open = nil
			}
		}
	})
}

// TestPaho3 is what a program with eclipse/paho.mqtt.golang relies on.
func TestPaho3(t *testing.T) {
	t.Parallel()
	addr := ourAddr(t)
	dial := func(id string, change func(*mqtt3.ClientOptions)) mqtt3.Client {
		o := mqtt3.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(id).SetKeepAlive(time.Minute).SetAutoReconnect(false)
		if change != nil {
			change(o)
		}
		c := mqtt3.NewClient(o)
		done(t, c.Connect())
		t.Cleanup(func() { c.Disconnect(0) })
		return c
	}
	came := make(chan string, 1000)
	take := func(_ mqtt3.Client, m mqtt3.Message) { came <- string(m.Payload()) }
	next := func() string {
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case s := <-came:
			return s
		case <-late.C:
			t.Fatal("no message came")
			return ""
		}
	}
	kept := mqtt3.NewMemoryStore()
	stay := func(o *mqtt3.ClientOptions) {
		o.SetCleanSession(false).SetStore(kept).SetDefaultPublishHandler(take)
		o.SetWill("status", "gone", 1, false)
	}
	gate := dial("gate-1", stay)
	done(t, gate.Subscribe("in", 2, take))
	watch := dial("watch", nil)
	done(t, watch.Subscribe("status", 1, take))

	raw := dial("gate-1", stay) // takes the session over: the old one's will is published
	if got := next(); got != "gone" {
		t.Fatalf("%q came, want the will", got)
	}
	raw.Disconnect(uint(patience.Milliseconds())) // as long as it takes to say goodbye: else there is a will
	for i := range 30 {
		done(t, watch.Publish("in", byte(1+i%2), false, fmt.Sprint(i)))
	}
	dial("gate-1", stay)
	for i := range 30 {
		if got := next(); got != fmt.Sprint(i) {
			t.Fatalf("%s came, want %d", got, i)
		}
	}
}

func done(t *testing.T, token mqtt3.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
}
