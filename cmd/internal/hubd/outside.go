package hubd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/external"
	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// bus is the broker as most parts see it: the embedded one, or the hub's client of
// the outside one that stands in for it.
type bus interface {
	area.Bus
	Retained(filter string, most int) []area.Message
}

// openBroker makes the broker that the configuration chooses, and binds its
// listeners, where it is ours.
func (h *Hub) openBroker() (err error) {
	if x := h.cfg.MQTT.External; x.URL != "" {
		srv, err := server(x.URL, x.Username, x.PasswordFile, x.TLS, "tacet-"+h.cfg.Node)
		if err != nil {
			return fmt.Errorf("mqtt.external: %w", err)
		}
		if h.outside, err = external.NewBus(external.BusConfig{Server: srv, Node: h.cfg.Node, Several: h.nodes != nil}, h.log); err != nil {
			return fmt.Errorf("mqtt.external: %w", err)
		}
		h.bus = h.outside
		return nil
	}
	if err = h.makeRelay(); err != nil {
		return err
	}
	if err = h.makeEstate(); err != nil {
		return err
	}
	if h.broker, err = broker.New(h.keepSessions(h.brokerConfig()), h.log); err != nil {
		return err
	}
	h.bus = h.broker
	if err = h.broker.Listen(); err != nil {
		return fmt.Errorf("mqtt: %w (another broker has the port? --mqtt chooses one)", err)
	}
	return nil
}

// server reads what is needed to speak to an outside broker.
func server(url, user, passwordFile string, t conf.ClientTLS, id string) (s external.Server, err error) {
	s = external.Server{URL: url, Username: user, ClientID: id}
	if passwordFile != "" {
		b, err := os.ReadFile(passwordFile)
		if err != nil {
			return s, err
		}
		s.Password = strings.TrimRight(string(b), "\r\n")
	}
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		b, err := os.ReadFile(t.CAFile)
		if err != nil {
			return s, err
		}
		s.TLS.RootCAs = x509.NewCertPool()
		if !s.TLS.RootCAs.AppendCertsFromPEM(b) {
			return s, fmt.Errorf("%s has no certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, _, err := conf.ReadCertificate(t.CertFile, t.KeyFile, "")
		if err != nil {
			return s, err
		}
		s.TLS.Certificates = []tls.Certificate{pair}
	}
	return s, nil
}

// makeBridges makes the bridges to other brokers.
func (h *Hub) makeBridges() error {
	var faults []error
	for _, c := range h.cfg.MQTT.Bridges {
		id := c.ClientID
		if id == "" {
			id = "tacet-" + h.cfg.Node + "-" + c.Name
		}
		srv, err := server(c.URL, c.Username, c.PasswordFile, c.TLS, id)
		if err == nil {
			cfg := external.BridgeConfig{Server: srv, Name: c.Name, BufferBytes: c.BufferBytes}
			for _, t := range c.Topics {
				cfg.Carried = append(cfg.Carried, external.Carried{
					Filter: t.Filter, Direction: external.Direction(t.Direction), Local: t.LocalPrefix, Remote: t.RemotePrefix, QoS: byte(t.QoS),
				})
			}
			var b *external.Bridge
			if b, err = external.NewBridge(cfg, h.besides(c.Name), h.store.Table("bridges"), h.log); err == nil {
				h.bridges = append(h.bridges, namedBridge{c.Name, b})
			}
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("mqtt.bridges: %s: %w", c.Name, err))
		}
	}
	return errors.Join(faults...)
}

type namedBridge struct {
	name string
	*external.Bridge
}

// runBroker runs the broker that there is.
func (h *Hub) runBroker(ctx context.Context) error {
	if h.outside != nil {
		return h.outside.Run(ctx)
	}
	return h.runOurs(ctx)
}

// bridgeParts are the bridges as parts.
func (h *Hub) bridgeParts() (parts []part) {
	for _, b := range h.bridges {
		parts = append(parts, part{"bridge " + b.name, b.Run})
	}
	return parts
}

// brokerState says how the broker is: an outside one that is away is waited for.
func (h *Hub) brokerState() partState {
	if h.outside != nil {
		return partState{OK: h.outside.Connected(), Mode: modeExternal}
	}
	return partState{OK: h.broker.Addr() != nil}
}

// bridgeStates says how each bridge is.
func (h *Hub) bridgeStates() map[string]partState {
	states := map[string]partState{}
	for _, b := range h.bridges {
		states["bridge_"+b.name] = partState{OK: b.Connected()}
	}
	return states
}

// oldBrokers counts the outside brokers that turned out to speak no MQTT 5.
func (h *Hub) oldBrokers() (n int) {
	if h.outside != nil {
		n += h.outside.Stats().Old
	}
	for _, b := range h.bridges {
		n += b.Stats().Old
	}
	return n
}

// brokerAddr is host:port of the broker for devices.
func (h *Hub) brokerAddr() string {
	if h.outside != nil {
		addr, _, _ := external.Address(h.cfg.MQTT.External.URL) // it was checked
		return addr
	}
	return h.broker.Addr().String()
}

// brokerURLs are the broker's addresses for clients; mqtts is nil where it does
// not speak TLS.
func (h *Hub) brokerURLs() (mqtt string, mqtts *string) {
	if h.outside != nil {
		mqtt = h.cfg.MQTT.External.URL
		if _, secure, _ := external.Address(mqtt); secure {
			mqtts = &mqtt
		}
		return mqtt, mqtts
	}
	if addr := h.broker.TLSAddr(); addr != nil {
		s := "mqtts://" + addr.String()
		mqtts = &s
	}
	return "mqtt://" + h.broker.Addr().String(), mqtts
}

// connections are the links of the arbiter: with an outside broker nobody tells of
// them, and nobody can end one.
func (h *Hub) connections() interface {
	Disconnect(client, reason string) bool
	Connections(ended func(conn uint64, reason string)) (cancel func())
} {
	if h.outside != nil {
		return unlinked{}
	}
	return links{h.broker}
}

type unlinked struct{}

func (unlinked) Disconnect(string, string) bool                   { return false }
func (unlinked) Connections(func(uint64, string)) (cancel func()) { return func() {} }

// submitsMost is how many works that came over an outside broker may wait; more
// are refused.
const submitsMost = 1024

// takeSubmits takes the works that come over an outside broker, which has no gate:
// each is handed in once it has come, by the node that has the say. What that one may
// not have taken is handed in when another has it: a work that is known is no second
// one. It ends with ctx.
func (h *Hub) takeSubmits(ctx context.Context) error {
	if h.outside == nil {
		<-ctx.Done()
		return nil
	}
	queue, anew := make(chan area.Message, submitsMost), make(chan struct{}, 1)
	waiting := standby{long: h.cfg.Redis.NodeTimeout + h.cfg.Redis.Heartbeat}
	defer h.sayChanges(func() {
		select {
		case anew <- struct{}{}:
		default:
		}
	})()
	cancel, err := h.bus.Subscribe(area.SubmitTopic("+"), func(m area.Message) {
		if m.Replay || len(m.Payload) == 0 || m.Node != "" {
			return
		}
		if !h.acts(m) {
			waiting.put(m, time.Now())
			return
		}
		select {
		case queue <- m:
		default:
			h.log.Warn("submit refused", "topic", m.Topic, "err", area.Errorf(area.CodeRate, "%d works wait already", submitsMost))
		}
	})
	if err != nil {
		return err
	}
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-queue:
			_ = h.submit(ctx, m) // it has answered
		case <-anew:
			if h.speaks() {
				for _, m := range waiting.take(time.Now()) {
					_ = h.submit(ctx, m)
				}
			}
		}
	}
}

// anybody is on whose behalf a request over an outside broker is: who may publish
// there is that broker's business, and the contract lets operators do so.
func anybody() auth.Principal {
	return auth.Principal{Name: "mqtt", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleOperator}, Areas: []string{auth.AllAreas}}
}
