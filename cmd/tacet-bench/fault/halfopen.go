package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

const (
	silent    = 1000             // connections on each port
	silentFor = 15 * time.Second // after which none may be left
)

// HalfOpen opens connections that never say anything, and connects as a normal
// client beside them, again and again.
func HalfOpen(ctx context.Context, s Settings) ([]Figure, error) {
	d, err := newDir(s.Dir)
	if err != nil {
		return nil, err
	}
	defer d.remove()
	p, err := servers.Start(ctx, s.spec(d.data))
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	mqtt, err := silence(ctx, p.MQTT, silent)
	defer hangUp(mqtt)
	if err != nil {
		return nil, err
	}
	var web []net.Conn
	if p.Web != "" {
		web, err = silence(ctx, p.Web, silent)
		defer hangUp(web)
		if err != nil {
			return nil, err
		}
	}
	leftWeb := none
	took, err := visitFor(ctx, p.MQTT, silentFor)
	if err != nil {
		return nil, err
	}
	if p.Web != "" {
		leftWeb = float64(left(web))
	}
	return []Figure{
		promise("left on the MQTT port after 15 s", fmt.Sprint("of ", silent), float64(left(mqtt)), 0),
		promise("left on the web port after 15 s", fmt.Sprint("of ", silent), leftWeb, 0),
		aim("worst connect of a normal client", "ms", quantile(took, 1), 100),
		plain("p99 of its connects", "ms", quantile(took, 0.99)),
		plain("connects of a normal client", "", float64(len(took))),
	}, nil
}

// silence opens connections and says nothing on them.
func silence(ctx context.Context, addr string, n int) ([]net.Conn, error) {
	list := make([]net.Conn, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i := range list {
		group.Go(func() (err error) {
			d := net.Dialer{Timeout: answers}
			list[i], err = d.DialContext(ctx, "tcp", addr)
			return err
		})
	}
	return list, group.Wait()
}

func hangUp(list []net.Conn) {
	for _, c := range list {
		if c != nil {
			_ = c.Close()
		}
	}
}

// left is how many of the connections are still open.
func left(list []net.Conn) (n int) {
	for _, c := range list {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		var one [1]byte
		var err error
		for err == nil { // a server may say why it closes
			_, err = c.Read(one[:])
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			n++
		}
	}
	return n
}

// visitFor connects and leaves again and again, and gives how long each took
// from the first byte to the CONNACK, in milliseconds.
func visitFor(ctx context.Context, addr string, length time.Duration) (took []float64, err error) {
	for end := time.Now().Add(length); time.Now().Before(end); {
		begin := time.Now()
		c, err := dial(ctx, addr, wire.Options{ID: "visitor"})
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin).Seconds()*1000)
		if err := c.leave(); err != nil {
			return nil, err
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return took, nil
}
