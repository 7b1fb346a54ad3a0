package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// ring is what a hand-over is compared with: clients of the same kind, as many of
// them, that pass a number round through a broker. Nobody decides anything: who is
// next knows it from the number. A pass is one message, published with QoS 1, that
// all clients of the ring hear, as they hear of a hand-over.
type ring struct {
	topic   string
	clients int

	mu       sync.Mutex
	sent     time.Time
	counting bool
	took     []time.Duration
}

// began notes that a number is on its way; arrived, that who is next has it.
func (r *ring) began() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = time.Now()
}

func (r *ring) arrived() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counting {
		r.took = append(r.took, time.Since(r.sent))
	}
}

func (r *ring) count() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counting = true
}

// run is client i of the ring, until ctx ends; ready is called once it hears.
func (r *ring) run(ctx context.Context, hub string, i int, ready func()) error {
	link, err := uplink.New(uplink.Config{Hubs: []string{hub}, ClientID: fmt.Sprintf("%s:%s-%d", servers.User, r.topic, i), Username: servers.User, Password: servers.Password}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	in := make(chan int, 1) // one number is on its way at most
	if _, err := link.Subscribe(r.topic, func(m area.Message) {
		if n, err := strconv.Atoi(string(m.Payload)); err == nil && n%r.clients == i {
			in <- n
		}
	}); err != nil {
		return err
	}
	up := make(chan struct{})
	once := sync.OnceFunc(func() { close(up); ready() })
	link.Watch(func(stands bool, _ uint64, _ string) {
		if stands {
			once()
		}
	})
	var work sync.WaitGroup
	defer work.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work.Go(func() { _ = link.Run(ctx) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-in:
			r.arrived()
			r.began()
			if err := link.Publish(ctx, area.Message{Topic: r.topic, Payload: []byte(strconv.Itoa(n + 1)), QoS: 1}); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// runRings is the time of a pass, at a broker of a kind.
func runRings(ctx context.Context, kind servers.Kind, rings, clients int, length time.Duration) (figures, error) {
	dir, err := os.MkdirTemp("", "tacet-bench")
	if err != nil {
		return figures{}, err
	}
	defer os.RemoveAll(dir)
	p, err := servers.Start(ctx, servers.Spec{Kind: kind, Dir: dir, Log: os.Stderr})
	if err != nil {
		return figures{}, err
	}
	defer p.Stop()
	all := make([]*ring, rings)
	group, inner := errgroup.WithContext(ctx)
	inner, stop := context.WithCancel(inner)
	defer stop()
	var ready sync.WaitGroup
	for i := range all {
		r := &ring{topic: fmt.Sprintf("bench/ring-%d", i), clients: clients}
		all[i] = r
		for n := range clients {
			ready.Add(1)
			group.Go(func() error { return r.run(inner, "mqtt://"+p.MQTT, n, ready.Done) })
		}
	}
	ready.Wait()
	if err := pushOff(ctx, p.MQTT, all); err != nil {
		return figures{}, err
	}
	begin := time.Now()
	select {
	case <-inner.Done():
	case <-time.After(length):
	}
	took := time.Since(begin)
	stop()
	if err := group.Wait(); err != nil {
		return figures{}, err
	}
	var passes []time.Duration
	for _, r := range all {
		passes = append(passes, r.took...)
	}
	return spread(passes, took), nil
}

// pushOff puts a number into each ring.
func pushOff(ctx context.Context, addr string, all []*ring) error {
	c, err := dialClient(ctx, addr, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, r := range all {
		r.count()
		r.began()
		c.out = c.Version().AppendPublish(c.out, wire.Message{Topic: r.topic, Payload: []byte("0")})
	}
	return c.flush()
}
