package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

// idleMQTT is what a connection costs that does nothing, or has subscribed and
// then does nothing. The connections are idle for twice the length before memory
// is read: a server that gives back what a burst took does it in this time.
func idleMQTT(peers int, subscribed bool) func(context.Context, *servers.Process, comparison) (sample, error) {
	return func(ctx context.Context, p *servers.Process, c comparison) (sample, error) {
		before, err := p.RSS()
		if err != nil {
			return nil, err
		}
		all, err := dialMany(ctx, p.MQTT, peers, 32, func(i int, c *client) error {
			if !subscribed {
				return nil
			}
			return c.Subscribe(fmt.Sprintf("bench/idle/%d/#", i), 1)
		})
		if err != nil {
			return nil, err
		}
		defer closeAll(all)
		if err := pause(ctx, 2*c.length); err != nil {
			return nil, err
		}
		after, err := p.RSS()
		if err != nil {
			return nil, err
		}
		return sample{"rss": float64(after-before) / float64(peers) / 1024}, nil
	}
}

// retainedMQTT is so many retained messages to one that subscribes to all of
// them at once.
func retainedMQTT(n int) func(context.Context, *servers.Process, comparison) (sample, error) {
	return func(ctx context.Context, p *servers.Process, _ comparison) (sample, error) {
		if err := retain(ctx, p.MQTT, n); err != nil {
			return nil, err
		}
		c, err := dialClient(ctx, p.MQTT, n)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		c.Grow(64 << 10)
		begin := time.Now()
		if _, err := c.Write(c.Version().AppendSubscribe(nil, 1, "bench/kept/#", 0)); err != nil {
			return nil, err
		}
		came, last := 0, begin
		for came < n {
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Second)) // then the rest is not coming
			pk, err := c.Next()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("after %d of %d retained messages: %w", came, n, err)
			}
			if pk.Type == wire.Publish {
				came, last = came+1, time.Now()
			}
		}
		if came == 0 {
			return nil, errors.New("no retained message came")
		}
		return sample{"rate": float64(came) / last.Sub(begin).Seconds(), "missing": float64(n - came)}, nil
	}
}

// retain publishes retained messages by several clients, and waits until each
// is acknowledged.
func retain(ctx context.Context, addr string, n int) error {
	const clients, window = 20, 50
	return eachOf(ctx, clients, clients, func(ctx context.Context, i int) error {
		c, err := dialClient(ctx, addr, i)
		if err != nil {
			return err
		}
		defer c.Close()
		for from := i * n / clients; from < (i+1)*n/clients; from += window {
			to := min(from+window, (i+1)*n/clients)
			for k := from; k < to; k++ {
				c.out = c.Version().AppendPublish(c.out, wire.Message{Topic: fmt.Sprintf("bench/kept/%05d", k), Payload: make([]byte, payloadMQTT), QoS: 1, Retain: true, ID: uint16(k - from + 1)})
			}
			if err := c.flush(); err != nil {
				return err
			}
			for range to - from {
				if _, err := c.Await(wire.Puback, nil); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// connectsMQTT is clients that connect and go, some at a time.
func connectsMQTT(atOnce int) func(context.Context, *servers.Process, comparison) (sample, error) {
	return func(ctx context.Context, p *servers.Process, c comparison) (sample, error) {
		var n atomic.Int64
		load, stop := context.WithCancel(ctx)
		defer stop()
		group, load := errgroup.WithContext(load)
		for i := range atOnce {
			group.Go(func() error {
				for k := 0; load.Err() == nil; k++ {
					if err := visit(load, p.MQTT, i*1_000_000+k); err != nil && load.Err() == nil {
						return err
					}
					n.Add(1)
				}
				return nil
			})
		}
		got, err := meterFor(load, p, c.length, n.Load)
		stop()
		if err2 := group.Wait(); err2 != nil {
			return nil, err2 // which is why the measuring ended too
		}
		return got, err
	}
}

// visit connects and leaves with a DISCONNECT.
func visit(ctx context.Context, addr string, id int) error {
	c, err := dialClient(ctx, addr, id)
	if err != nil {
		return err
	}
	c.out = wire.AppendEmpty(c.out, wire.Disconnect)
	err = c.flush()
	return errors.Join(err, c.Close())
}
