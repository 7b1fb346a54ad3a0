package fault

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

const (
	fewFiles  = 256
	floodSize = 600
	floodFor  = 5 * time.Second
)

// Descriptors floods a server that may have few descriptors with connections,
// and looks whether two clients that are connected can go on, what the server
// burns meanwhile, and whether a new client gets in afterwards.
func Descriptors(ctx context.Context, s Settings) ([]Figure, error) {
	d, err := newDir(s.Dir)
	if err != nil {
		return nil, err
	}
	defer d.remove()
	spec := s.spec(d.data)
	spec.Files = fewFiles
	p, err := servers.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	to, from, err := pair(ctx, p.MQTT)
	if err != nil {
		return nil, err
	}
	defer to.end()
	defer from.end()

	cpu, err := p.CPU()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	end := flood(ctx, p.MQTT)
	lost, asked, err := converse(ctx, to, from, floodFor)
	took := time.Since(begin).Seconds()
	end()
	if err != nil {
		return nil, err
	}
	died := 0.0
	select {
	case <-p.Done():
		died = 1
	default:
	}
	after, err := p.CPU()
	if err != nil {
		after = cpu // it is gone, which is told as a death
	}
	again, ok := knock(ctx, p.MQTT)
	return []Figure{
		promise("deaths", "", died, 0),
		promise("messages of a connected pair missing", fmt.Sprint("of ", asked), float64(lost), 0),
		promise("a new client does not get in afterwards", "", boolean(!ok), 0),
		aim("a new client gets in after", "s", again.Seconds(), 5),
		aim("processor during the flood", "cores", (after-cpu)/took, 0.5),
	}, ctx.Err()
}

// pair is a subscriber and a publisher.
func pair(ctx context.Context, addr string) (to, from *client, err error) {
	if to, err = dial(ctx, addr, wire.Options{ID: "pair-to"}); err != nil {
		return nil, nil, err
	}
	if from, err = dial(ctx, addr, wire.Options{ID: "pair-from"}); err != nil {
		to.end()
		return nil, nil, err
	}
	if err = to.Subscribe("bench/pair", 0); err != nil {
		to.end()
		from.end()
	}
	return to, from, err
}

// converse sends message after message and counts those that do not come.
func converse(ctx context.Context, to, from *client, length time.Duration) (lost, n int, err error) {
	for end := time.Now().Add(length); time.Now().Before(end); n++ {
		from.publish(wire.Message{Topic: "bench/pair", Payload: []byte("x")})
		_ = to.SetReadDeadline(time.Now().Add(answers))
		if from.flush() != nil {
			lost++
		} else if _, err := to.Await(wire.Publish, nil); err != nil {
			lost++
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return lost, n, err
		}
	}
	return lost, n, nil
}

// flood keeps many connections open that say nothing, and opens others for those
// that are cut, until end is called.
func flood(ctx context.Context, addr string) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	for range floodSize {
		tasks.Go(func() {
			for ctx.Err() == nil {
				var d net.Dialer
				c, err := d.DialContext(ctx, "tcp", addr)
				if err == nil {
					cut := context.AfterFunc(ctx, func() { _ = c.Close() })
					_, _ = c.Read(make([]byte, 1)) // until it is cut
					cut()
					_ = c.Close()
				}
				_ = wait(ctx, 100*time.Millisecond)
			}
		})
	}
	return func() { stop(); tasks.Wait() }
}

// knock connects until it is let in, and gives how long that took.
func knock(ctx context.Context, addr string) (took time.Duration, ok bool) {
	begin := time.Now()
	for time.Since(begin) < answers && ctx.Err() == nil {
		limit, cancel := context.WithTimeout(ctx, time.Second)
		c, err := dial(limit, addr, wire.Options{ID: "knock"})
		if err == nil {
			c.end()
		}
		cancel()
		if err == nil {
			return time.Since(begin), true
		}
		_ = wait(ctx, 20*time.Millisecond)
	}
	return time.Since(begin), false
}
