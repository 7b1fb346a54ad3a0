package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

const (
	fullMiB   = 32        // size of the file system
	fullLeft  = 128 << 10 // bytes that are left in it
	fullValue = 8 << 10   // bytes of each retained message
	fullFor   = 5 * time.Second
)

// Full fills the file system up to a little, writes far more than that to the
// server, frees it, and looks when the server takes writes again; then it kills
// the server and looks what it has kept.
func Full(ctx context.Context, s Settings) ([]Figure, error) {
	d, err := newDir(s.Dir)
	if err != nil {
		return nil, err
	}
	defer d.remove()
	small, err := newMemory(ctx, d.top, fullMiB)
	if err != nil {
		return nil, err
	}
	defer small.drop(ctx)
	p, err := startOn(ctx, s, small)
	if err != nil {
		return nil, err
	}
	defer func() { p.Kill() }()
	r := newRig()
	if err := r.prepare(ctx, p.MQTT, 0, 0); err != nil {
		return nil, err
	}
	f := &filling{rig: r, p: p, s: s, disk: small}
	if err := f.run(ctx); err != nil {
		return nil, err
	}
	died := 0.0
	select {
	case <-p.Done():
		died = 1
	default:
		p.Kill()
	}
	if p, err = startOn(ctx, s, small); err != nil {
		return nil, err
	}
	if err := r.check(ctx, p.MQTT); err != nil {
		return nil, err
	}
	s.tell(r)
	return append(r.count.figures(),
		promise("deaths", "", died, 0),
		promise("serving again after", "s", f.again.Seconds(), 5),
		promise("never served again", "", boolean(f.never), 0),
		promise("never full, so nothing is shown", "", boolean(f.acked > 100*f.open), 0),
		plain("writes acknowledged while full", "", float64(f.acked)),
		plain("writes not acknowledged while full", "", float64(f.open)),
		plain("refusals with a reason", "", float64(f.refused.Load())),
		aim("live messages missing while full", "of "+fmt.Sprint(f.liveSent), float64(f.liveSent-f.liveCame), 0),
	), nil
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// filling is one run of a full disk.
type filling struct {
	*rig
	s    Settings
	p    *servers.Process
	disk *disk

	refused, acks      atomic.Int64
	acked, open        int64 // writes while it was full
	liveSent, liveCame int64
	again              time.Duration // from the space to the first acknowledgement
	never              bool
}

func (f *filling) run(ctx context.Context) error {
	filler := filepath.Join(f.disk.mount, "filler")
	if err := fillUp(f.disk.mount, filler); err != nil {
		return err
	}
	load, stop := context.WithTimeout(ctx, fullFor)
	defer stop()
	var tasks sync.WaitGroup
	for i, k := range f.keepers {
		version := wire.V311
		if i%2 == 1 {
			version = wire.V5
		}
		k.size, k.acked, k.refused = fullValue, func() { f.acks.Add(1) }, func() { f.refused.Add(1) }
		tasks.Go(func() { f.insist(load, k, version) })
	}
	tasks.Go(func() { f.live(load) })
	tasks.Wait()
	f.acked, f.open = f.acks.Load(), f.kept.open()
	if err := os.Remove(filler); err != nil {
		return err
	}
	return f.resume(ctx)
}

// fillUp writes a file until hardly anything is left.
func fillUp(mount, filler string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(mount, &st); err != nil {
		return err
	}
	n := int64(st.Bavail)*st.Bsize - fullLeft
	if n <= 0 {
		return errors.New("the file system is full before it is filled")
	}
	return os.WriteFile(filler, make([]byte, n), 0o600)
}

// insist runs a keeper again as often as its connection ends, and ends it every
// second, as a client does that gets no answer.
func (f *filling) insist(ctx context.Context, k *keeper, version wire.Version) {
	for ctx.Err() == nil {
		short, stop := context.WithTimeout(ctx, time.Second)
		err := k.run(short, f.p.MQTT, version)
		stop()
		var no wire.Refused
		if errors.As(err, &no) {
			f.refused.Add(1)
		}
		if wait(ctx, 50*time.Millisecond) != nil {
			return
		}
	}
}

// live sends messages with QoS 0 through the server, which need no disk.
func (f *filling) live(ctx context.Context) {
	to, err := dial(ctx, f.p.MQTT, wire.Options{ID: "live-to"})
	if err != nil {
		return
	}
	defer to.end()
	from, err := dial(ctx, f.p.MQTT, wire.Options{ID: "live-from"})
	if err != nil || to.Subscribe("bench/live", 0) != nil {
		return
	}
	defer from.end()
	for wait(ctx, 20*time.Millisecond) == nil {
		from.publish(wire.Message{Topic: "bench/live", Payload: []byte("x")})
		f.liveSent++
		_ = to.SetReadDeadline(time.Now().Add(2 * time.Second))
		if from.flush() != nil {
			continue
		}
		if _, err := to.Await(wire.Publish, nil); err == nil {
			f.liveCame++
		}
	}
	f.liveSent = max(f.liveSent-1, f.liveCame) // the last one is cut off by the end of the load
}

// resume measures how long it takes until a write is acknowledged again.
func (f *filling) resume(ctx context.Context) error {
	begin := time.Now()
	for k := f.keepers[0]; time.Since(begin) < time.Minute; {
		if err := ctx.Err(); err != nil {
			return err
		}
		before := f.acks.Load()
		short, stop := context.WithTimeout(ctx, time.Second)
		once := sync.OnceFunc(stop)
		k.acked = func() { f.acks.Add(1); once() }
		_ = k.run(short, f.p.MQTT, wire.V311) // ends by the acknowledgement, or by time
		once()
		if f.acks.Load() > before {
			f.again = time.Since(begin)
			return nil
		}
		select {
		case <-f.p.Done():
			f.never = true
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
	f.never, f.again = true, time.Since(begin)
	return nil
}
