package player

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
)

// Config says what is measured.
type Config struct {
	Dir    string        // where directories of its own are made; it must exist
	Settle time.Duration // after the start, before the idle time is measured: what a start leaves behind is not idle
	Idle   time.Duration // how long nothing happens
	Sounds int           // of which it is measured how soon they are heard
	Plays  int           // in a row
	Only   []string      // of Parts; none: all
	Say    func(format string, args ...any)
}

// Parts are the names of what can be measured.
func Parts() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

var parts = []struct {
	name string
	run  func(context.Context, Config, string, string) ([]Figure, error)
}{{"size", size}, {"idle", idle}, {"sound", sound}, {"plays", plays}}

// The targets.
const (
	mostSize   = 12.0 // MB of the program
	mostRSS    = 20.0 // MB
	mostCPU    = 1.0  // percent of a core
	mostWear   = 1.0  // MiB to the disk a day
	mostGrant  = 50.0 // ms
	mostOrder  = 300.0
	day        = 24 * time.Hour
	mebi       = 1 << 20
	mega       = 1e6
	boardArch  = "arm64"
	soundsLong = 200 * time.Millisecond
)

// Run measures what cfg says. It builds the programs, and so must run in the
// module's directory; it blocks for some minutes.
func Run(ctx context.Context, cfg Config) (all []Figure, err error) {
	dir, err := os.MkdirTemp(cfg.Dir, "tacet-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cfg.Say("building")
	for _, name := range []string{"tacet", "tacet-device"} {
		if err := build(ctx, "./cmd/"+name, filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	for _, p := range parts {
		if len(cfg.Only) > 0 && !slices.Contains(cfg.Only, p.name) {
			continue
		}
		own := filepath.Join(dir, p.name)
		if err := os.Mkdir(own, 0o700); err != nil {
			return all, err
		}
		figures, err := p.run(ctx, cfg, dir, own)
		if err != nil {
			return all, fmt.Errorf("%s: %w", p.name, err)
		}
		all = append(all, figures...)
	}
	return all, nil
}

// size is that of the program for a board.
func size(ctx context.Context, _ Config, _, dir string) ([]Figure, error) {
	environ := []string{"GOOS=linux", "GOARCH=" + boardArch}
	ours, bare := filepath.Join(dir, "tacet-device"), filepath.Join(dir, "bare")
	if err := build(ctx, "./cmd/tacet-device", ours, environ...); err != nil {
		return nil, err
	}
	if err := buildBare(ctx, dir, bare, environ...); err != nil {
		return nil, err
	}
	a, err := os.Stat(ours)
	if err != nil {
		return nil, err
	}
	b, err := os.Stat(bare)
	if err != nil {
		return nil, err
	}
	return []Figure{{Name: "program, linux/" + boardArch, Value: float64(a.Size()) / mega, Unit: "MB", Most: mostSize,
		Beside: fmt.Sprintf("a Go program that does nothing: %.1f MB", float64(b.Size())/mega)}}, nil
}

// idle is what a device takes when nothing happens.
func idle(ctx context.Context, cfg Config, programs, dir string) ([]Figure, error) {
	s, err := newSite(ctx, programs, dir)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := s.startDevice(ctx, programs, nil, ""); err != nil {
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
	return []Figure{
		{Name: "memory, resident", Value: float64(rss) / mega, Unit: "MB", Most: mostRSS, Beside: beside.rss()},
		{Name: "processor, idle", Value: 100 * float64(cpuNow-cpu) / float64(cfg.Idle), Unit: "% of a core", Most: mostCPU},
		{Name: "written to disk, idle", Value: float64(wroteNow-wrote) / mebi * float64(day) / float64(cfg.Idle), Unit: "MiB a day", Most: mostWear,
			Beside: fmt.Sprintf("%d bytes in %v; the time is kept every 6 h, 8 KiB", wroteNow-wrote, cfg.Idle)},
	}, nil
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

// sound is how soon a device sounds that does nothing else: after the order, and
// after the grant.
func sound(ctx context.Context, cfg Config, programs, dir string) ([]Figure, error) {
	s, err := newSite(ctx, programs, dir)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	wav := filepath.Join(dir, "gate-1.wav")
	if err := s.startDevice(ctx, programs, nil, "", "--wav", wav); err != nil {
		return nil, err
	}
	var g grants
	listening, done := context.WithCancel(ctx)
	await, err := g.listen(listening, s.mqtt)
	if err != nil {
		done()
		return nil, err
	}
	defer await()
	defer done()
	clip, err := s.keepClip(ctx, media.EncodeWAV(media.Tone(440, soundsLong)))
	if err != nil {
		return nil, err
	}
	beside := "aplay, from its start until it has read a sound"
	if took, err := readByAplay(ctx, dir); err == nil {
		beside += fmt.Sprintf(": %.1f ms", float64(took)/float64(time.Millisecond))
	} else {
		beside = ""
	}
	n := &notes{file: wav + ".jsonl"}
	var all []Figure
	var after spread // the grant
	for _, what := range []struct {
		name string
		keys map[string]any
	}{{"order to sound, clip there", map[string]any{"clip": clip}}, {"order to sound, text said before", map[string]any{"message": "Boarding at gate 1"}}} {
		cfg.Say("%s, %d times", what.name, cfg.Sounds)
		var heard spread
		for i := range cfg.Sounds + 1 {
			soon, granted, err := s.soon(ctx, n, &g, what.keys)
			if err != nil {
				return all, err
			}
			if i > 0 { // the first one brings it there
				heard = append(heard, soon)
				after = append(after, granted)
			}
		}
		all = append(all, heard.figures(what.name, mostOrder, beside)...)
	}
	return append(all, after.figures("grant to first sample", mostGrant, "")...), nil
}

// soon orders a sound and answers how long it took to be heard, since the order
// and since the grant.
func (s *site) soon(ctx context.Context, n *notes, g *grants, what map[string]any) (order, grant time.Duration, err error) {
	began := time.Now()
	id, err := s.order(ctx, what)
	if err != nil {
		return 0, 0, err
	}
	if err := s.played(ctx, id); err != nil {
		return 0, 0, err
	}
	at, token, err := n.started(id)
	if err != nil {
		return 0, 0, err
	}
	granted, ok := g.of(token)
	if !ok {
		return 0, 0, fmt.Errorf("the grant of token %d was not heard", token)
	}
	return at.Sub(began), max(0, at.Sub(granted)), nil
}

// plays is many plays in a row, on a PulseAudio server where there is one.
func plays(ctx context.Context, cfg Config, programs, dir string) ([]Figure, error) {
	s, err := newSite(ctx, programs, dir)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	server, err := startPulse(ctx, dir)
	if err != nil {
		return nil, err
	}
	keys, environ, on := "", []string(nil), "the simulated loudspeaker"
	if server != nil {
		defer server.stop()
		keys, environ, on = "audio: {output: pulse}\n", []string{"PULSE_SERVER=unix:" + server.socket}, "PulseAudio"
	}
	if err := s.startDevice(ctx, programs, environ, keys); err != nil {
		return nil, err
	}
	clip, err := s.keepClip(ctx, media.EncodeWAV(media.Tone(440, soundsLong)))
	if err != nil {
		return nil, err
	}
	cfg.Say("%d plays on %s", cfg.Plays, on)
	before, failed := 0, 0
	for i := range cfg.Plays + 1 {
		id, err := s.order(ctx, map[string]any{"clip": clip})
		if err == nil {
			err = s.played(ctx, id)
		}
		if err == nil {
			err = wait(ctx, 120*time.Millisecond) // so that the recording has a silence between two plays
		}
		if err != nil {
			cfg.Say("play %d: %v", i, err)
			if failed++; ctx.Err() != nil || failed > cfg.Plays/10+1 {
				return nil, err
			}
		}
		if i == 0 { // the first one opens what stays open
			if before, err = s.device.files(); err != nil {
				return nil, err
			}
		}
	}
	after, err := s.device.files()
	if err != nil {
		return nil, err
	}
	figures := []Figure{
		{Name: strconv.Itoa(cfg.Plays) + " plays on " + on + ", not played", Value: float64(failed), Exact: true},
		{Name: "descriptors more than after the first", Value: float64(after - before), Exact: true, Beside: fmt.Sprintf("%d, then %d", before, after)},
	}
	if server == nil {
		return figures, nil
	}
	told, err := s.xruns(ctx)
	if err != nil {
		return nil, err
	}
	heard, gaps := server.heard()
	return append(figures,
		Figure{Name: "plays heard, of the recording, missing", Value: float64(cfg.Plays + 1 - failed - heard), Exact: true},
		Figure{Name: "gaps heard", Value: float64(gaps), Beside: fmt.Sprintf("%d told in the status", told)},
		Figure{Name: "gaps heard and not told", Value: float64(max(0, gaps-told)), Exact: true}), nil
}

// xruns is how many gaps the device has told of.
func (s *site) xruns(ctx context.Context) (int, error) {
	if err := wait(ctx, 75*time.Second); err != nil { // of interest, so told within a minute
		return 0, err
	}
	var topics struct {
		Items []area.TopicValue `json:"items"`
	}
	if err := s.ask(ctx, "GET", "/topics?filter=tacet/device/gate-1/status", "", nil, &topics); err != nil {
		return 0, err
	}
	return xrunsOf(topics.Items)
}
