package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// imageMiB is the size of the file system that loses power.
const imageMiB = 192

// Power cuts the power at random moments under load, as often as there are
// rounds: the image of the file system is copied while the server is in the
// middle of its work, mounted elsewhere (which replays its journal), and a
// server started on that. What it had written and not flushed is gone.
func Power(ctx context.Context, s Settings) ([]Figure, error) {
	d, err := newDir(s.Dir)
	if err != nil {
		return nil, err
	}
	defer d.remove()
	now, err := newImage(ctx, d.top, imageMiB)
	if err != nil {
		return nil, err
	}
	defer func() { now.drop(ctx) }()
	r := newRig()
	p, err := startOn(ctx, s, now)
	if err != nil {
		return nil, err
	}
	defer func() { p.Kill() }()
	if s.lie {
		release, err := tamperSyncs(ctx, p, "retval=0")
		if err != nil {
			return nil, err
		}
		defer release()
	}
	if err := r.prepare(ctx, p.MQTT, s.Retained, s.Sessions); err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	bad := 0
	for round := range s.Rounds {
		before := r.count.broken()
		image := filepath.Join(d.top, fmt.Sprint("image-", round+1))
		if err := r.cut(ctx, p, now, image); err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
		now.drop(ctx)
		if now, err = mountImage(ctx, image); err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
		if p, err = startOn(ctx, s, now); err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
		if err := r.check(ctx, p.MQTT); err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
		if r.count.broken() > before {
			bad++
		}
	}
	s.tell(r)
	list := append([]Figure{promise("cuts with a broken promise", fmt.Sprint("of ", s.Rounds), float64(bad), 0)}, r.count.figures()...)
	return append(list, plain("promises checked", "", float64(r.count.n[Kept]))), nil
}

func startOn(ctx context.Context, s Settings, d *disk) (*servers.Process, error) {
	data, err := d.data()
	if err != nil {
		return nil, err
	}
	return servers.Start(ctx, s.spec(data))
}

// cut puts load on the server, stops it at a random moment, copies the image,
// and kills it.
func (r *rig) cut(ctx context.Context, p *servers.Process, d *disk, to string) error {
	load, stop := context.WithCancel(ctx)
	end := r.load(load, p.MQTT)
	err := wait(ctx, 50*time.Millisecond+rand.N(500*time.Millisecond))
	if err == nil {
		err = freeze(ctx, p)
	}
	if err == nil {
		err = d.copyImage(ctx, to)
	}
	p.Kill()
	stop()
	end()
	return err
}

// freeze stops every thread of a process and waits until it has stopped, so
// that what is copied is of one moment.
func freeze(ctx context.Context, p *servers.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		stopped, err := stands(p.PID())
		if stopped || err != nil {
			return err
		}
		if err := wait(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// stands tells whether every thread of a process has stopped: none is still in a call
// that writes.
func stands(pid int) (bool, error) {
	list, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(list) == 0 {
		return false, fmt.Errorf("there is no process %d: %w", pid, errors.Join(err, os.ErrProcessDone))
	}
	for _, file := range list {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		if state := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]); len(state) == 0 || !strings.EqualFold(string(state[0]), "T") { // t: and traced
			return false, nil
		}
	}
	return true, nil
}
