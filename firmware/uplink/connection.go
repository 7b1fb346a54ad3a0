package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker/area"
)

// connection makes connection n and serves it until it is lost or ctx ends. Until
// it stands it ends with attempt too.
func (c *Client) connection(ctx, attempt context.Context, n uint64, to Target, hub *url.URL) error {
	lost := make(chan error, 1)
	p := mqtt.NewClient(c.options(attempt, n, to, hub, lost))
	defer c.ended()
	if err := await(attempt, p.Connect(), connectTime); err != nil {
		p.Disconnect(0)
		return fmt.Errorf("connect: %w", refusal(err))
	}
	have := c.filters()
	if err := c.subscribeAll(attempt, p, have); err != nil {
		p.Disconnect(0)
		return err
	}
	c.count.connects.Add(1)
	c.refused.Store(false)
	log := c.log
	if to.Via != "" {
		log = log.With("who", to.Via)
	}
	log.Info("connected", "conn", n, "node", hub.Host)
	c.stands(to, have)
	c.tell(true, n, hub)
	defer c.tell(false, n, hub)
	return c.serve(ctx, p, lost)
}

// options are those of one connection. The library's own ways to reconnect are
// off: they would send an old Will.
func (c *Client) options(ctx context.Context, n uint64, to Target, hub *url.URL, lost chan<- error) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions()
	o.AddBroker(hub.String())
	o.SetClientID(c.cfg.ClientID)
	o.SetProtocolVersion(4)
	o.SetCleanSession(true)
	o.SetKeepAlive(c.cfg.KeepAlive)
	o.SetPingTimeout(c.cfg.KeepAlive / 2)
	o.SetConnectTimeout(connectTime)
	o.SetWriteTimeout(writeTime)
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetOrderMatters(true)
	if to.Username != "" {
		o.SetUsername(to.Username)
		o.SetPassword(to.Password)
	}
	c.mu.Lock()
	will := c.will
	c.mu.Unlock()
	if will != nil {
		m := will(n)
		o.SetBinaryWill(m.Topic, m.Payload, m.QoS, m.Retain)
	}
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		c.deliver(area.Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Replay: m.Retained()})
	})
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		dial, cancel := context.WithTimeout(ctx, connectTime)
		defer cancel()
		conn, err := c.open(dial, to, u)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if ctx.Err() != nil { // nobody waits for it any more
			return nil, errors.Join(ctx.Err(), conn.Close())
		}
		c.conn, c.cut = conn, make(chan struct{})
		return conn, nil
	})
	return o
}

// open makes the connection to a hub, directly or by who carries it.
func (c *Client) open(ctx context.Context, to Target, hub *url.URL) (net.Conn, error) {
	if to.Open == nil {
		return c.cfg.Dial(ctx, hub)
	}
	conn, err := to.Open(ctx, hub)
	if err != nil || hub.Scheme != "mqtts" {
		return conn, err
	}
	cfg := &tls.Config{}
	if c.cfg.TLS != nil {
		cfg = c.cfg.TLS.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = hub.Hostname()
	}
	t := tls.Client(conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return t, nil
}

// dial connects over the network.
func (c *Client) dial(ctx context.Context, hub *url.URL) (net.Conn, error) {
	switch hub.Scheme {
	case "mqtts":
		return (&tls.Dialer{Config: c.cfg.TLS}).DialContext(ctx, "tcp", hub.Host)
	case "ws", "wss":
		return mqtt.NewWebsocket(hub.String(), c.cfg.TLS, connectTime, nil, nil)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", hub.Host)
}

// subscribeAll subscribes every filter before anybody is told of the
// connection. A filter that is refused costs its messages, not the connection.
func (c *Client) subscribeAll(ctx context.Context, p mqtt.Client, filters []string) error {
	if len(filters) == 0 {
		return nil
	}
	wants := make(map[string]byte, len(filters))
	for _, f := range filters {
		wants[f] = 1
	}
	t := p.SubscribeMultiple(wants, nil)
	if err := await(ctx, t, connectTime); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if s, ok := t.(*mqtt.SubscribeToken); ok {
		for f, code := range s.Result() {
			if code > 2 {
				c.log.Warn("subscription refused", "topic", f)
			}
		}
	}
	return nil
}

// serve hands queued messages to the socket until the connection is lost or ctx
// ends.
func (c *Client) serve(ctx context.Context, p mqtt.Client, lost <-chan error) error {
	var last mqtt.Token
	c.mu.Lock()
	cut := c.cut
	c.mu.Unlock()
	for {
		select {
		case t := <-c.out:
			last = c.send(p, t)
		case <-cut:
			c.count.losses.Add(1)
			p.Disconnect(0)
			return errDropped
		case err := <-lost:
			c.count.losses.Add(1)
			return fmt.Errorf("lost: %w", err)
		case <-ctx.Done():
			c.goodbye(p, last)
			return nil
		}
	}
}

// send hands a task to the library, which blocks no longer than writeTime.
func (c *Client) send(p mqtt.Client, t task) mqtt.Token {
	switch {
	case t.subscribe != "":
		return p.Subscribe(t.subscribe, 1, nil)
	case t.unsubscribe != "":
		return p.Unsubscribe(t.unsubscribe)
	}
	c.count.sent.Add(1)
	return p.Publish(t.message.Topic, t.message.QoS, t.message.Retain, t.message.Payload)
}

// goodbye sends what is queued, waits for the broker to have it, and
// disconnects in due form.
func (c *Client) goodbye(p mqtt.Client, last mqtt.Token) {
	c.mu.Lock()
	c.online = false // nothing more is queued
	c.mu.Unlock()
	for {
		select {
		case t := <-c.out:
			last = c.send(p, t)
			continue
		default:
		}
		break
	}
	if last != nil {
		last.WaitTimeout(time.Second)
	}
	p.Disconnect(500)
}

// stands opens the queue, and subscribes what was added since have was read.
func (c *Client) stands(at Target, have []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.online, c.at = true, at
	for _, f := range c.filters() {
		if !slices.Contains(have, f) {
			c.change(task{subscribe: f})
		}
	}
}

// tell says that connection n stands, or is gone.
func (c *Client) tell(up bool, n uint64, hub *url.URL) {
	c.mu.Lock()
	if !up {
		c.online = false
		c.forget()
	}
	watchers := make([]func(bool, uint64, string), 0, len(c.watchers))
	for _, w := range c.watchers {
		watchers = append(watchers, w)
	}
	c.mu.Unlock()
	for _, w := range watchers {
		w(up, n, hub.String())
	}
}

// forget empties the queue of a connection that is gone.
func (c *Client) forget() {
	for {
		select {
		case <-c.out:
			c.count.forgotten.Add(1)
		default:
			return
		}
	}
}

// ended closes whatever is left of a connection.
func (c *Client) ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close() // it is closed already, but where the library gave up early
		c.conn = nil
	}
}

var (
	errTimeout = errors.New("no answer in time")
	errDropped = errors.New("dropped by us")
)

func await(ctx context.Context, t mqtt.Token, most time.Duration) error {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-timer.C:
		return errTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
}
