package player

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// size is that of the programs for a board.
func size(ctx context.Context, _ Config, _, dir string) ([]Figure, error) {
	environ := []string{"GOOS=linux", "GOARCH=" + boardArch}
	ours, leads, bare := filepath.Join(dir, "tacet-device"), filepath.Join(dir, "tacet-leader"), filepath.Join(dir, "bare")
	for pkg, out := range map[string]string{"./cmd/tacet-device": ours, "./cmd/tacet-leader": leads} {
		if err := build(ctx, pkg, out, environ...); err != nil {
			return nil, err
		}
	}
	if err := buildBare(ctx, dir, bare, environ...); err != nil {
		return nil, err
	}
	a, err := os.Stat(ours)
	if err != nil {
		return nil, err
	}
	l, err := os.Stat(leads)
	if err != nil {
		return nil, err
	}
	b, err := os.Stat(bare)
	if err != nil {
		return nil, err
	}
	return []Figure{{Name: "program, linux/" + boardArch, Value: float64(a.Size()) / mega, Unit: "MB", Most: mostSize,
		Beside: fmt.Sprintf("a Go program that does nothing: %.1f MB", float64(b.Size())/mega)},
		{Name: "the leader's program, linux/" + boardArch, Value: float64(l.Size()) / mega, Unit: "MB", Beside: "runs while its device leads"}}, nil
}

// idle is what a device takes when nothing happens, with two neighbours among
// whom it has its place; and when it leads them, since there is no hub.
func idle(ctx context.Context, cfg Config, programs, dir string) ([]Figure, error) {
	s, err := newSite(ctx, programs, dir)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := s.startDevice(ctx, programs, nil, ""); err != nil {
		return nil, err
	}
	if err := s.startNeighbours(ctx, programs); err != nil {
		return nil, err
	}
	beside, err := s.others(ctx)
	if err != nil {
		return nil, err
	}
	defer beside.stop()
	cfg.Say("idle, %v after %v", cfg.Idle, cfg.Settle)
	if err := wait(ctx, cfg.Settle); err != nil {
		return nil, err
	}
	cpu, err1 := s.device.busy()
	wrote, err2 := s.device.written()
	if err := firstOf(err1, err2, wait(ctx, cfg.Idle)); err != nil {
		return nil, err
	}
	cpuNow, err1 := s.device.busy()
	wroteNow, err2 := s.device.written()
	rss, err3 := s.device.rss()
	if err := firstOf(err1, err2, err3); err != nil {
		return nil, err
	}
	reign, err := s.leads(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return []Figure{
		{Name: "memory, resident", Value: float64(rss) / mega, Unit: "MB", Most: mostRSS, Beside: beside.rss()},
		{Name: "processor, idle", Value: 100 * float64(cpuNow-cpu) / float64(cfg.Idle), Unit: "% of a core", Most: mostCPU},
		{Name: "written to disk, idle", Value: float64(wroteNow-wrote) / mebi * float64(day) / float64(cfg.Idle), Unit: "MiB a day", Most: mostWear,
			Beside: fmt.Sprintf("%d bytes in %v; the time is kept every 6 h, 8 KiB", wroteNow-wrote, cfg.Idle)},
		reign,
	}, nil
}

// leads stops the hub, waits until the device leads its neighbours, and tells what it
// and its leader's program take then.
func (s *site) leads(ctx context.Context, cfg Config) (Figure, error) {
	cfg.Say("leading, %v after it begins", cfg.Settle)
	s.hub.stop()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	child := ""
	for child == "" {
		select {
		case <-ctx.Done():
			return Figure{}, ctx.Err()
		case <-look.C:
		}
		tasks, err := filepath.Glob(s.device.proc("task/*/children"))
		if err != nil {
			return Figure{}, err
		}
		for _, t := range tasks {
			if b, err := os.ReadFile(t); err == nil && len(strings.Fields(string(b))) > 0 {
				child = strings.Fields(string(b))[0]
			}
		}
	}
	if err := wait(ctx, cfg.Settle); err != nil {
		return Figure{}, err
	}
	own, err := s.device.rss()
	if err != nil {
		return Figure{}, err
	}
	kb, err := fieldOf(filepath.Join("/proc", child, "status"), "VmRSS")
	if err != nil {
		return Figure{}, err
	}
	return Figure{Name: "memory while it leads, both programs", Value: float64(own+kb<<10) / mega, Unit: "MB",
		Beside: fmt.Sprintf("tacet-device %.1f MB, tacet-leader %.1f MB", float64(own)/mega, float64(kb<<10)/mega)}, nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// others are programs that do less, for comparison.
type others struct {
	names []string
	list  []*process
}

// others starts a Go program that does nothing, and a client that hears the
// area, where it is installed.
func (s *site) others(ctx context.Context) (*others, error) {
	bare := filepath.Join(s.dir, "bare")
	if err := buildBare(ctx, s.dir, bare); err != nil {
		return nil, err
	}
	o := &others{}
	p, _, err := start(ctx, nil, "", bare)
	if err != nil {
		return nil, err
	}
	o.names, o.list = append(o.names, "a Go program that does nothing"), append(o.list, p)
	if sub, err := exec.LookPath("mosquitto_sub"); err == nil {
		if p, _, err = start(ctx, nil, "", sub, "-h", "127.0.0.1", "-p", portOf(s.mqtt), "-t", "tacet/area/north/#"); err != nil {
			return o, err
		}
		o.names, o.list = append(o.names, "mosquitto_sub"), append(o.list, p)
	}
	return o, nil
}

func (o *others) rss() (text string) {
	for i, p := range o.list {
		n, err := p.rss()
		if err != nil {
			continue // it has ended; it is only for comparison
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%s: %.1f MB", o.names[i], float64(n)/mega)
	}
	return text
}

func (o *others) stop() {
	for _, p := range o.list {
		p.stop()
	}
}
