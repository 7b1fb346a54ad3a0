package fault

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

// failingFor is how long writes are tried while no fsync succeeds.
const failingFor = 3 * time.Second

// EIO lets every fsync of a running server fail, and looks whether it
// acknowledges anything from then on; then it kills the server and looks what it
// has kept.
func EIO(ctx context.Context, s Settings) ([]Figure, error) {
	d, err := newDir(s.Dir)
	if err != nil {
		return nil, err
	}
	defer d.remove()
	p, err := servers.Start(ctx, s.spec(d.data))
	if err != nil {
		return nil, err
	}
	defer func() { p.Kill() }()
	r := newRig()
	if err := r.prepare(ctx, p.MQTT, 0, 0); err != nil {
		return nil, err
	}
	load, stop := context.WithTimeout(ctx, time.Second)
	r.load(load, p.MQTT)()
	stop()
	release, err := tamperSyncs(ctx, p, "error=EIO")
	if err != nil {
		return nil, err
	}
	acked, silent, err := r.insistOnNew(ctx, p)
	release()
	if err != nil {
		return nil, err
	}
	died := 0.0
	select {
	case <-p.Done():
		died = 1
	default:
		p.Kill()
	}
	if p, err = servers.Start(ctx, s.spec(d.data)); err != nil {
		return nil, err
	}
	if err := r.check(ctx, p.MQTT); err != nil {
		return nil, err
	}
	s.tell(r)
	return append(r.count.figures(),
		promise("writes acknowledged while no fsync works", "", float64(acked), 0),
		promise("says nothing of it", "", boolean(silent), 0),
		plain("deaths", "", died),
	), nil
}

// tamperSyncs attaches strace, which answers every fsync in place of the kernel,
// until release is called or the process ends.
func tamperSyncs(ctx context.Context, p *servers.Process, answer string) (release func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	const calls = "fsync,fdatasync,msync,sync_file_range"
	cmd := exec.CommandContext(ctx, "strace", "-f", "-qq", "-o", "/dev/null", "-p", fmt.Sprint(p.PID()),
		"-e", "trace="+calls, "-e", "inject="+calls+":"+answer)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it lets go of the process first
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // release waits for it
	release = func() { cancel(); <-ended }
	for begin := time.Now(); !traced(p.PID()); {
		select {
		case <-ended:
			cancel()
			return nil, fmt.Errorf("strace has ended: %s", cmd.ProcessState)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Since(begin) > answers {
			release()
			return nil, fmt.Errorf("strace has not attached to %d", p.PID())
		}
	}
	return release, nil
}

// traced tells whether every thread of a process is traced.
func traced(pid int) bool {
	list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, file := range list {
		b, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(b), "TracerPid:\t0\n") {
			return false
		}
	}
	return len(list) > 0
}

// insistOnNew sets new values for a while, and counts what is acknowledged. It
// tells also whether the server says nothing of what is wrong: an MQTT 5 client
// gets no reason, and the hub calls itself ready.
func (r *rig) insistOnNew(ctx context.Context, p *servers.Process) (acks int64, silent bool, err error) {
	var acked, told atomic.Int64
	load, stop := context.WithTimeout(ctx, failingFor)
	defer stop()
	f := &filling{rig: r, p: p}
	var tasks sync.WaitGroup
	for i, k := range r.keepers {
		version := wire.V311
		if i%2 == 1 {
			version = wire.V5
		}
		k.sets, k.acked, k.refused = true, func() { acked.Add(1) }, func() { told.Add(1) }
		tasks.Go(func() { f.insist(load, k, version) })
	}
	tasks.Wait()
	silent = told.Load()+f.refused.Load() == 0 && ready(ctx, p.Web)
	return acked.Load(), silent, ctx.Err()
}

// ready asks a hub whether it is; one that has no web listener does not say.
func ready(ctx context.Context, web string) bool {
	if web == "" {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+web+"/readyz", nil)
	if err != nil {
		return false
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return false
	}
	defer a.Body.Close()
	return a.StatusCode == http.StatusOK
}
