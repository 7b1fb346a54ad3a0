package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/cmd/internal/hubd"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// handover is the benchmark's settings.
type handover struct {
	areas, devices int
	length, play   time.Duration
	anchor         time.Duration
	mqtt           string
	asJSON         bool
}

// mostHandOver is the target for 99 of 100 hand-overs.
const mostHandOver = 20.0 // ms

func handoverCommand() *cobra.Command {
	h := handover{}
	c := &cobra.Command{
		Use:   "handover",
		Short: "Let devices take turns as fast as they can, over real MQTT",
		Long: `Starts a hub in this process (or uses the one at --mqtt), connects the devices over
TCP, and lets each of them want its area all the time. A hand-over is the time
from the moment one device says that its sound is over to the moment the next
one starts. Every device runs the same turn that a real one runs.

Beside it the same number of clients pass a message round, through the embedded
broker with no arbiter and through Mosquitto where that is installed, each in a
process of its own: what a hand-over costs where nobody decides anything. The exit
code is 1 where two sounded at once, or where 99 of 100 hand-overs take longer than
20 ms; on a machine that does other things as well read the ratio.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return h.run(c.Context(), c.OutOrStdout()) },
	}
	f := c.Flags()
	f.IntVar(&h.areas, "areas", 4, "areas")
	f.IntVar(&h.devices, "devices", 8, "devices in each area")
	f.DurationVar(&h.length, "for", 10*time.Second, "how long to measure")
	f.DurationVar(&h.play, "play", 2*time.Millisecond, "length of each play")
	f.DurationVar(&h.anchor, "anchor", 3*time.Second, "how long to measure each of what stands beside it; 0: none")
	f.StringVar(&h.mqtt, "mqtt", "", "address of a running hub's broker, such as mqtt://127.0.0.1:1883 (default: a hub in this process)")
	f.BoolVar(&h.asJSON, "json", false, "print JSON")
	return c
}

func (h handover) run(ctx context.Context, out io.Writer) error {
	f, err := h.measure(ctx)
	if err != nil {
		return err
	}
	if err := f.print(out, h, "hand-overs"); err != nil {
		return err
	}
	if h.anchor > 0 {
		for _, kind := range servers.Here([]servers.Kind{servers.Broker, servers.Mosquitto}) {
			passes, err := runRings(ctx, kind, h.areas, h.devices, h.anchor)
			if err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			if err := passes.print(out, h, "passes, "+string(kind)); err != nil {
				return err
			}
		}
	}
	if f.Overlaps > 0 || f.P99Ms > mostHandOver {
		return errMissed
	}
	return nil
}

// measure is the hand-overs.
func (h handover) measure(ctx context.Context) (f figures, err error) {
	hub := h.mqtt
	if hub == "" {
		url, stop, err := startHub(ctx)
		if err != nil {
			return f, err
		}
		defer stop()
		hub = url
	}
	stages := make([]*stage, h.areas)
	group, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ready := &sync.WaitGroup{}
	for i := range stages {
		stages[i] = &stage{}
		for n := range h.devices {
			in, id := area.Name(fmt.Sprintf("bench-%d", i)), area.DeviceID(fmt.Sprintf("bench-%d-%d", i, n))
			d, err := newDevice(in, id, hub, h.play, stages[i])
			if err != nil {
				return f, err
			}
			ready.Add(1)
			group.Go(func() error { return d.run(ctx, ready.Done) })
		}
	}
	ready.Wait()
	begin := time.Now()
	for _, s := range stages {
		s.begin()
	}
	select {
	case <-ctx.Done():
	case <-time.After(h.length):
	}
	f = gather(stages, time.Since(begin))
	stop()
	return f, group.Wait()
}

// startHub runs a hub in this process, born together with its devices in a
// fresh directory, which is why it need not settle.
func startHub(ctx context.Context) (url string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "tacet-bench")
	if err != nil {
		return "", nil, err
	}
	cfg := conf.Default()
	cfg.HTTP.Addr, cfg.HTTP.AdminAddr, cfg.MQTT.Addr, cfg.Data = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", dir
	hub, err := hubd.New(cfg, hubd.Options{ColdStart: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx) }() // stop waits for it
	stop = func() {
		cancel()
		<-ended
		os.RemoveAll(dir)
	}
	select {
	case r := <-hub.Ready():
		return r.MQTT, stop, nil
	case err := <-ended:
		cancel()
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("start the hub: %w", err)
	}
}

// stage is what is seen of one area: who sounds, and when the last one ended.
type stage struct {
	mu       sync.Mutex
	sounding int
	overlaps int
	last     time.Time // end of the last play
	took     []time.Duration
	counting bool
}

func (s *stage) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counting = true
}

func (s *stage) started(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sounding++
	if s.sounding > 1 {
		s.overlaps++
	}
	if s.counting && !s.last.IsZero() {
		s.took = append(s.took, now.Sub(s.last))
	}
}

func (s *stage) ended(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sounding--
	s.last = now
}

// figures is what is printed.
type figures struct {
	Of         string  `json:"of"`
	HandOvers  int     `json:"hand_overs"`
	Overlaps   int     `json:"overlaps"`
	PerSecond  float64 `json:"per_second"`
	P50Ms      float64 `json:"p50_ms"`
	P99Ms      float64 `json:"p99_ms"`
	MaxMs      float64 `json:"max_ms"`
	MeasuredMs int64   `json:"measured_ms"`
}

func gather(stages []*stage, took time.Duration) figures {
	var all []time.Duration
	overlaps := 0
	for _, s := range stages {
		s.mu.Lock()
		all = append(all, s.took...)
		overlaps += s.overlaps
		s.mu.Unlock()
	}
	f := spread(all, took)
	f.Overlaps = overlaps
	return f
}

// spread is the figures of durations that were measured for so long.
func spread(all []time.Duration, took time.Duration) figures {
	f := figures{HandOvers: len(all), PerSecond: float64(len(all)) / took.Seconds(), MeasuredMs: took.Milliseconds()}
	if len(all) == 0 {
		return f
	}
	slices.Sort(all)
	at := func(p float64) float64 {
		return float64(all[min(len(all)-1, int(p*float64(len(all))))]) / float64(time.Millisecond)
	}
	f.P50Ms, f.P99Ms, f.MaxMs = at(0.5), at(0.99), at(1)
	return f
}

func (f figures) print(out io.Writer, h handover, of string) error {
	if f.Of = of; h.asJSON {
		return json.NewEncoder(out).Encode(f)
	}
	_, err := fmt.Fprintf(out, "%-28s %d areas of %d, %d ms: %d (%.0f a second), %d at once; p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
		of, h.areas, h.devices, f.MeasuredMs, f.HandOvers, f.PerSecond, f.Overlaps, f.P50Ms, f.P99Ms, f.MaxMs)
	return err
}
