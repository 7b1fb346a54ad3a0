package cases

import (
	"context"
	"log/slog"
	"net"
	"sync"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
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
