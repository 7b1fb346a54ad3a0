package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// hubBench is the benchmark's settings.
type hubBench struct {
	length   time.Duration
	rounds   int
	only     []string
	asJSON   bool
	profiles string
}

func hubCommand() *cobra.Command {
	b := hubBench{}
	c := &cobra.Command{
		Use:   "hub",
		Short: "Compare the SignalR hub with the least that a WebSocket server can do",
		Long: `Starts the hub and a minimal server (the WebSocket library alone, one prepared
message written to each member in turn), each in a process of its own, puts the
same load on both, one after the other, and prints what they deliver, what
processor time that takes them, and the ratios. Ratios of one round can be
compared between machines; the figures themselves cannot.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return b.run(c.Context(), c.OutOrStdout()) },
	}
	f := c.Flags()
	f.DurationVar(&b.length, "for", 5*time.Second, "how long to measure each thing")
	f.IntVar(&b.rounds, "rounds", 1, "how often to measure each ratio; the median counts")
	f.StringSliceVar(&b.only, "only", nil, "what to measure: "+scenarioNames())
	f.StringVar(&b.profiles, "profiles", "", "directory for CPU profiles of the servers; the last run counts")
	f.BoolVar(&b.asJSON, "json", false, "print JSON, one object a line")
	return c
}

// scenario is one thing that is measured.
type scenario struct {
	name string
	run  func(ctx context.Context, b hubBench, add func(result)) error
}

var scenarios = []scenario{
	{"fan500w16", fanOut(500, 16, "")},
	{"fan5000w8", fanOut(5000, 8, "")},
	{"fan500w1", fanOut(500, 1, "")},
	{"fan5000w1", fanOut(5000, 1, "")},
	{"fan4w16", fanOut(4, 16, "")},
	{"fan500w16tls", fanOut(500, 16, overTLS)},
	{"echo50", func(ctx context.Context, b hubBench, add func(result)) error { return echoes(ctx, b, add) }},
	{"idle", idle},
	{"stuck", stuck},
	{"held", held},
	{"churn", churn},
}

func scenarioNames() string {
	names := ""
	for _, s := range scenarios {
		names += " " + s.name
	}
	return names[1:]
}

// result is one line of what is printed. Figures are by name.
type result struct {
	Scenario string             `json:"scenario"`
	Server   string             `json:"server"`
	Figures  map[string]float64 `json:"figures"`
}

func (b hubBench) run(ctx context.Context, out io.Writer) error {
	raiseFiles()
	for _, s := range scenarios {
		if len(b.only) > 0 && !slices.Contains(b.only, s.name) {
			continue
		}
		var results []result
		err := s.run(ctx, b, func(r result) {
			r.Scenario = s.name
			results = append(results, r)
			b.print(out, r)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if r, ok := ratios(s.name, results); ok {
			b.print(out, r)
		}
	}
	return nil
}

func (b hubBench) print(out io.Writer, r result) {
	if b.asJSON {
		_ = json.NewEncoder(out).Encode(r) // an error means that nobody reads
		return
	}
	fmt.Fprintf(out, "%-12s %-13s", r.Scenario, r.Server)
	names := make([]string, 0, len(r.Figures))
	for name := range r.Figures {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(out, "  %s %.4g", name, r.Figures[name])
	}
	fmt.Fprintln(out)
}

// ratios compares the two servers round by round, and gives the median of each
// figure.
func ratios(name string, all []result) (result, bool) {
	byName := make(map[string][]float64)
	var ours, raw []result
	for _, r := range all {
		switch strings.TrimSuffix(r.Server, overTLS) {
		case kindOurs:
			ours = append(ours, r)
		case kindRaw:
			raw = append(raw, r)
		}
	}
	if len(ours) == 0 || len(ours) != len(raw) {
		return result{}, false
	}
	for i := range ours {
		for figure, v := range ours[i].Figures {
			if anchor := raw[i].Figures[figure]; anchor > 0 {
				byName[figure] = append(byName[figure], v/anchor)
			}
		}
	}
	r := result{name, "ratio", make(map[string]float64)}
	for figure, list := range byName {
		slices.Sort(list)
		r.Figures[figure] = list[len(list)/2]
	}
	return r, true
}

// both runs f against each server in turn, the anchor first, as often as there
// are rounds; of both kinds it takes the variant.
func (b hubBench) both(ctx context.Context, variant string, f func(*server) error) error {
	for range b.rounds {
		for _, kind := range []string{kindRaw + variant, kindOurs + variant} {
			if err := b.with(ctx, kind, f); err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
		}
	}
	return nil
}

// with runs f against a server of its own.
func (b hubBench) with(ctx context.Context, kind string, f func(*server) error) error {
	s, err := startServer(ctx, kind, b.profiles)
	if err != nil {
		return err
	}
	defer s.stop()
	return f(s)
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
