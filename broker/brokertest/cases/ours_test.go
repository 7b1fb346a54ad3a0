package cases

import (
	"context"
	"log/slog"
	"net"
	"sync"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// ours is our broker, running in this process.
type ours struct {
	setup setup
	over  string // "pipe" or "tcp"
	log   *slog.Logger

	b    *broker.Broker
	stop context.CancelFunc
	work sync.WaitGroup // Run, and the connections over pipes
	fail error          // what Run ended with
}

// startOurs starts our broker as a case wants it.
func startOurs(set setup, over string, log *record) (server, error) {
	o := &ours{setup: set, over: over, log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if err := o.start(); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *ours) start() error {
	cfg := broker.Config{Addr: "127.0.0.1:0"}
	if o.setup.ours != nil {
		o.setup.ours(&cfg)
	}
	if len(o.setup.people) > 0 {
		var err error
		if cfg.Auth, err = auth.New(auth.Config{Devices: o.devices()}, nil, nil, o.log); err != nil {
			return err
		}
	}
	b, err := broker.New(cfg, o.log)
	if err != nil {
		return err
	}
	if o.over == "tcp" {
		if err := b.Listen(); err != nil {
			return err
		}
	}
	if o.setup.refuse != "" {
		b.Gate(o.setup.refuse, func(area.Message) error { return area.Errorf(area.CodeForbidden, "not this") })
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.b, o.stop = b, cancel
	o.work.Go(func() { o.fail = b.Run(ctx) })
	return nil
}

// devices are the people of the setup and the pair.
func (o *ours) devices() []auth.Device {
	var all []auth.Device
	for _, p := range append(pair, o.setup.people...) {
		all = append(all, auth.Device{Name: p.name, PasswordHash: passwordHash, Tenant: p.tenant, Publish: p.publish, Subscribe: p.subscribe})
	}
	return all
}

func (o *ours) dial() (net.Conn, error) {
	if o.over == "tcp" {
		return net.Dial("tcp", o.addr())
	}
	near, far := pipe()
	o.work.Go(near.pump)
	b := o.b
	o.work.Go(func() { _ = b.Establish(far) }) // its error is the client's to see
	return near, nil
}

func (o *ours) addr() string { return o.b.Addr().String() }

func (o *ours) restart() error { return errNoRestart }

func (o *ours) close() {
	o.stop()
	o.work.Wait()
}
