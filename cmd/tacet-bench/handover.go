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
)

// handover is the benchmark's settings.
type handover struct {
	areas, devices int
	length, play   time.Duration
	mqtt           string
	asJSON         bool
}

func handoverCommand() *cobra.Command {
	h := handover{}
	c := &cobra.Command{
		Use:   "handover",
		Short: "Let devices take turns as fast as they can, over real MQTT",
		Long: `Starts a hub in this process (or uses the one at --mqtt), connects the devices over
TCP, and lets each of them want its area all the time. A hand-over is the time
from the moment one device says that its sound is over to the moment the next
one starts. Every device runs the same turn that a real one runs.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return h.run(c.Context(), c.OutOrStdout()) },
	}
	f := c.Flags()
	f.IntVar(&h.areas, "areas", 4, "areas")
	f.IntVar(&h.devices, "devices", 8, "devices in each area")
	f.DurationVar(&h.length, "for", 10*time.Second, "how long to measure")
	f.DurationVar(&h.play, "play", 2*time.Millisecond, "length of each play")
	f.StringVar(&h.mqtt, "mqtt", "", "address of a running hub's broker, such as mqtt://127.0.0.1:1883 (default: a hub in this process)")
	f.BoolVar(&h.asJSON, "json", false, "print JSON")
	return c
}

func (h handover) run(ctx context.Context, out io.Writer) error {
	hub := h.mqtt
	if hub == "" {
		url, stop, err := startHub(ctx)
		if err != nil {
			return err
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
				return err
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
	f := gather(stages, time.Since(begin))
	stop()
	if err := group.Wait(); err != nil {
		return err
	}
	return f.print(out, h)
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
	plays    int
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
		s.plays++
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
	HandOvers  int     `json:"hand_overs"`
	Overlaps   int     `json:"overlaps"`
	PerSecond  float64 `json:"hand_overs_per_s"`
	P50Ms      float64 `json:"p50_ms"`
	P99Ms      float64 `json:"p99_ms"`
	MaxMs      float64 `json:"max_ms"`
	MeasuredMs int64   `json:"measured_ms"`
}

func gather(stages []*stage, took time.Duration) figures {
	var all []time.Duration
	f := figures{MeasuredMs: took.Milliseconds()}
	for _, s := range stages {
		s.mu.Lock()
		all = append(all, s.took...)
		f.HandOvers += s.plays
		f.Overlaps += s.overlaps
		s.mu.Unlock()
	}
	f.PerSecond = float64(f.HandOvers) / took.Seconds()
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

func (f figures) print(out io.Writer, h handover) error {
	if h.asJSON {
		return json.NewEncoder(out).Encode(f)
	}
	_, err := fmt.Fprintf(out, "%d areas of %d devices, plays of %s, for %d ms\nhand-overs  %d (%.0f a second)\noverlaps    %d\nhand-over   p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
		h.areas, h.devices, h.play, f.MeasuredMs, f.HandOvers, f.PerSecond, f.Overlaps, f.P50Ms, f.P99Ms, f.MaxMs)
	return err
}
