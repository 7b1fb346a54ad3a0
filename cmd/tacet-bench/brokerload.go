package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

// client is one connection of a load.
type client struct {
	*wire.Conn
	out []byte // what goes out next; its array is used again
}

func dialClient(ctx context.Context, addr string, n int) (*client, error) {
	c, err := wire.Dial(ctx, addr, wire.Options{ID: fmt.Sprint(servers.User, ":", n), User: servers.User, Password: servers.Password, KeepAlive: 10 * time.Minute})
	if err != nil {
		return nil, err
	}
	return &client{Conn: c}, nil
}

// flush writes what has been appended to out.
func (c *client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	return err
}

func closeAll(list []*client) {
	for _, c := range list {
		if c != nil {
			_ = c.Close()
		}
	}
}

// eachOf calls f for 0 to n-1, some at a time, and gives the first error.
func eachOf(ctx context.Context, n, atOnce int, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return f(ctx, i) })
	}
	return group.Wait()
}

// meter measures how often something happens on a server, and what that costs
// the server and the load.
type meter struct {
	p         *servers.Process
	count     func() int64
	begin     time.Time
	n         int64
	cpu, mine float64
}

// warmUpMQTT is how long a load runs before it is measured.
const warmUpMQTT = 500 * time.Millisecond

// meterFor measures a load that is running.
func meterFor(ctx context.Context, p *servers.Process, length time.Duration, count func() int64) (sample, error) {
	if err := pause(ctx, warmUpMQTT); err != nil {
		return nil, err
	}
	m := &meter{p: p, count: count}
	if err := m.start(); err != nil {
		return nil, err
	}
	if err := pause(ctx, length); err != nil {
		return nil, err
	}
	return m.stop()
}

func (m *meter) start() (err error) {
	m.begin, m.n, m.mine = time.Now(), m.count(), ownCPU()
	m.cpu, err = m.p.CPU()
	return err
}

// stop gives the rate a second and the microseconds of processor time for each.
func (m *meter) stop() (sample, error) {
	n, took := float64(m.count()-m.n), time.Since(m.begin).Seconds()
	cpu, err := m.p.CPU()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("nothing has come through in %.1f s", took)
	}
	return sample{"rate": n / took, "cpu": (cpu - m.cpu) / n * 1e6, "load's cpu": (ownCPU() - m.mine) / n * 1e6}, nil
}

// ownCPU is the processor time of this process, in seconds.
func ownCPU() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
