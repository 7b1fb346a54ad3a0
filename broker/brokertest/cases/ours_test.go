package cases

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/store"
)

// ours is our broker, running in this process.
type ours struct {
	setup setup
	over  string // "pipe" or "tcp"
	log   *slog.Logger

	b     *broker.Broker
	dir   string // of the store, where there is one
	store *store.Store
	stop  context.CancelFunc
	work  sync.WaitGroup // Run, and the connections over pipes
	fail  error          // what Run ended with
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
	if o.setup.durable {
		if err := o.open(&cfg); err != nil {
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

// open opens the store, in a directory that is gone with the broker.
func (o *ours) open(cfg *broker.Config) (err error) {
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "tacet-cases-"); err != nil {
			return err
		}
	}
	if o.store, err = store.Open(filepath.Join(o.dir, "tacet.db")); err != nil {
		return err
	}
	cfg.Store = o.store.State()
	return nil
}

func (o *ours) restart() error {
	o.end()
	return o.start()
}

// end stops the broker and closes its store.
func (o *ours) end() {
	o.stop()
	o.work.Wait()
	if o.store != nil {
		_ = o.store.Close() // what it could not write is missing after a restart
	}
}

func (o *ours) close() {
	o.end()
	_ = os.RemoveAll(o.dir)
}
