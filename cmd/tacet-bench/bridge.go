package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// bridgeBench is the benchmark's settings.
type bridgeBench struct {
	length time.Duration
	rounds int
	only   []string
	tacet  string
	asJSON bool
}

func bridgeCommand() *cobra.Command {
	b := bridgeBench{}
	c := &cobra.Command{
		Use:   "bridge",
		Short: "Measure the way from a topic to the members of a group",
		Long: `Starts the whole hub in a process of its own and publishes on a group's topic
over MQTT, QoS 0; members of the group count what comes. The anchor of the same
run, on the same hub, is a WebSocket client that sends to the group (SendToGroup).
The hub's limit of 10,000 messages a second of one client is taken away.
The loads run in a closed loop, but for the latency, which is measured at 10,000
messages a second; the added latency is MQTT's less the WebSocket client's. The
last trial is 5,000 readings a second of 1,000 series, with their history.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return b.run(c.Context(), c.OutOrStdout()) },
	}
	f := c.Flags()
	f.DurationVar(&b.length, "for", 5*time.Second, "how long to measure each thing")
	f.IntVar(&b.rounds, "rounds", 3, "how often to measure each thing; the median counts")
	f.StringSliceVar(&b.only, "only", nil, "what to measure: one group500 latency readings")
	f.StringVar(&b.tacet, "tacet", "", "the hub's program; none: it is built")
	f.BoolVar(&b.asJSON, "json", false, "print JSON, one object a line")
	return c
}

// bridgeTrial is one thing that is measured: of each way into the group, or once.
type bridgeTrial struct {
	name string
	ways []string
	run  func(ctx context.Context, p *servers.Process, way string, length time.Duration) (map[string]float64, error)
}

// The ways into a group.
const (
	byMQTT = "mqtt"
	bySend = "websocket"
)

var bridgeTrials = []bridgeTrial{
	{"one", []string{byMQTT, bySend}, through(1, 256)},
	{"group500", []string{byMQTT, bySend}, through(500, 16)},
	{"latency", []string{byMQTT, bySend}, paced(10_000)},
	{"readings", []string{byMQTT}, readings(5_000, 1_000)},
}

func (b bridgeBench) run(ctx context.Context, out io.Writer) error {
	raiseFiles()
	top, err := os.MkdirTemp("", "tacet-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(top)
	if b.tacet == "" {
		if b.tacet, err = servers.Build(ctx, top); err != nil {
			return err
		}
	}
	if !b.asJSON {
		fmt.Fprintf(out, "%d rounds of %s each, interleaved; medians; load average %.1f\n", b.rounds, b.length, servers.Load())
	}
	for _, t := range bridgeTrials {
		if len(b.only) > 0 && !slices.Contains(b.only, t.name) {
			continue
		}
		if err := b.trial(ctx, out, top, t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// trial measures each way in turn, round by round, and prints the medians, and
// what MQTT is beside the anchor.
func (b bridgeBench) trial(ctx context.Context, out io.Writer, top string, t bridgeTrial) error {
	found := map[string][]map[string]float64{}
	for round := range b.rounds {
		for _, way := range t.ways {
			dir := filepath.Join(top, fmt.Sprint(t.name, way, round))
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			figures, err := b.once(ctx, dir, t, way)
			if err != nil {
				return fmt.Errorf("%s: %w", way, err)
			}
			found[way] = append(found[way], figures)
		}
	}
	for _, way := range t.ways {
		b.print(out, t.name, way, medians(found[way], nil, nil))
	}
	if anchors := found[bySend]; len(anchors) > 0 {
		b.print(out, t.name, "ratio", medians(found[byMQTT], anchors, func(x, anchor float64) float64 { return x / max(anchor, 1e-9) }))
		if t.name == "latency" {
			b.print(out, t.name, "added", medians(found[byMQTT], anchors, func(x, anchor float64) float64 { return x - anchor }))
		}
	}
	return nil
}

func (b bridgeBench) once(ctx context.Context, dir string, t bridgeTrial, way string) (map[string]float64, error) {
	p, err := servers.Start(ctx, servers.Spec{Kind: servers.Hub, Dir: dir, Program: b.tacet, Fast: true, Log: io.Discard})
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	return t.run(ctx, p, way, b.length)
}

// medians is the median of each figure over the rounds, or of what join makes of
// it and the anchor's of the same round.
func medians(rounds, anchors []map[string]float64, join func(x, anchor float64) float64) map[string]float64 {
	by := map[string][]float64{}
	for i, figures := range rounds {
		for name, v := range figures {
			if anchors != nil {
				v = join(v, anchors[i][name])
			}
			by[name] = append(by[name], v)
		}
	}
	out := map[string]float64{}
	for name, list := range by {
		slices.Sort(list)
		out[name] = list[len(list)/2]
	}
	return out
}

func (b bridgeBench) print(out io.Writer, name, way string, figures map[string]float64) {
	if b.asJSON {
		_ = json.NewEncoder(out).Encode(result{name, way, figures}) // an error means that nobody reads
		return
	}
	hubBench{}.print(out, result{name, way, figures})
}
