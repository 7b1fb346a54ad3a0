package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// secondKill is how many rounds there are to one in which the server is killed
// again while it starts.
const secondKill = 5

// Kill kills the server without warning at a random moment under load, as often
// as there are rounds, and in every fifth of them again while it starts. After
// each it looks at everything that was promised.
func Kill(ctx context.Context, s Settings) ([]Figure, error) {
	dir, err := newDir(s.Dir)
	if err != nil {
		return nil, err
	}
	defer dir.remove()
	r := newRig()
	p, err := servers.Start(ctx, s.spec(dir.data))
	if err != nil {
		return nil, err
	}
	defer func() { p.Kill() }()
	if err := r.prepare(ctx, p.MQTT, s.Retained, s.Sessions); err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	var ready []float64
	bad := 0
	for round := range s.Rounds {
		before := r.count.broken()
		if err := r.disturb(ctx, p); err != nil {
			return nil, err
		}
		if round%secondKill == secondKill-1 {
			if err := servers.StartAndKill(ctx, s.spec(dir.data), rand.N(startMost(ready))); err != nil {
				return nil, err
			}
		}
		if p, err = servers.Start(ctx, s.spec(dir.data)); err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
		ready = append(ready, float64(p.Ready.Milliseconds()))
		if err := r.check(ctx, p.MQTT); err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
		if r.count.broken() > before {
			bad++
		}
	}
	s.tell(r)
	list := append([]Figure{promise("rounds with a broken promise", "of "+fmt.Sprint(s.Rounds), float64(bad), 0)}, r.count.figures()...)
	return append(list,
		plain("promises checked", "", float64(r.count.n[Kept])),
		plain("ready again p50", "ms", quantile(ready, 0.5)),
		aim("ready again p95", "ms", quantile(ready, 0.95), 1000)), nil
}

// disturb puts load on the server and kills it at a random moment.
func (r *rig) disturb(ctx context.Context, p *servers.Process) error {
	load, stop := context.WithCancel(ctx)
	end := r.load(load, p.MQTT)
	err := wait(ctx, 50*time.Millisecond+rand.N(500*time.Millisecond))
	p.Kill()
	stop()
	end()
	return err
}

// startMost is within which time of its start a server is killed again.
func startMost(ready []float64) time.Duration {
	return time.Duration(max(10, quantile(ready, 0.5))) * time.Millisecond
}

// wait waits, unless ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
