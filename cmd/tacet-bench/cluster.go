package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/bridge/redis/redistest"
)

// clusterBench is the benchmark's settings.
type clusterBench struct {
	length  time.Duration
	only    []string
	program string
	asJSON  bool
	out     io.Writer
}

func clusterCommand() *cobra.Command {
	b := clusterBench{}
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Measure two nodes that are one hub, beside the library to the server between them",
		Long: `Starts a Redis-compatible server, and nodes of a hub on it:

  hop      how long an envelope of 256 bytes is under way from node to node while
           10,000 a second are: at most 1 ms (p50) and 5 ms (p99)
  publish  how many of them a second a node publishes, and another hears: at least
           500,000 published
  fan      what two nodes with 500 members each deliver, beside one with 1,000: at
           least 0.8 of it
  churn    10,000 connections, half at each of two nodes, come and go, twice: what the
           nodes and the server keep
  kill     how soon the other knows that a node was killed with -9: at most 20 s

The anchor of hop and publish is the client library alone, in the same process and at
the same server, with the same messages: one that publishes and one that subscribes.
The exit code is 1 where a target is missed.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b.out = c.OutOrStdout()
			return b.run(c.Context())
		},
	}
	f := c.Flags()
	f.DurationVar(&b.length, "for", 5*time.Second, "how long to measure each thing")
	f.StringSliceVar(&b.only, "only", nil, "what to measure: hop publish fan churn kill")
	f.StringVar(&b.program, "server", redistest.Program, "program of the server")
	f.BoolVar(&b.asJSON, "json", false, "print JSON, one object a line")
	return c
}

// aim is a figure that has a bound.
type aim struct {
	figure string
	bound  float64
	least  bool // else at most
}

func (t aim) missed(r result) bool {
	v, ok := r.Figures[t.figure]
	return !ok || t.least && v < t.bound || !t.least && v > t.bound
}

func (t aim) String() string {
	return map[bool]string{true: "at least ", false: "at most "}[t.least] + fmt.Sprint(t.bound) + " " + t.figure
}

// clusterScenario is one thing that is measured; the aims are those of the last
// result.
type clusterScenario struct {
	name string
	run  func(ctx context.Context, b *clusterBench, s *redistest.Server, add func(result)) error
	aims []aim
}

var clusterScenarios = []clusterScenario{
	{"hop", hops, []aim{{"p50_ms", 1, false}, {"p99_ms", 5, false}}},
	{"publish", publishing, []aim{{"published/s", 500_000, true}}},
	{"fan", fanOverNodes, []aim{{"deliveries/s", 0.8, true}}},
	{"churn", churnOverNodes, []aim{{"keys", 0, false}, {"files", 2, false}, {"goroutines", 10, false}, {"heap_kb", 1024, false}}},
	{"kill", killNode, []aim{{"gone_s", 20, false}}},
}

func (b *clusterBench) run(ctx context.Context) error {
	raiseFiles()
	var missed []error
	for _, sc := range clusterScenarios {
		if len(b.only) > 0 && !slices.Contains(b.only, sc.name) {
			continue
		}
		last, err := b.scenario(ctx, sc)
		if err != nil {
			return fmt.Errorf("%s: %w", sc.name, err)
		}
		for _, t := range sc.aims {
			if t.missed(last) {
				missed = append(missed, fmt.Errorf("%s: the target is %s", sc.name, t))
			}
		}
	}
	return errors.Join(missed...)
}

// scenario measures one thing at a server of its own.
func (b *clusterBench) scenario(ctx context.Context, sc clusterScenario) (last result, err error) {
	s, err := redistest.Start(b.program)
	if err != nil {
		return last, err
	}
	defer s.Close()
	err = sc.run(ctx, b, s, func(r result) {
		r.Scenario, last = sc.name, r
		hubBench{asJSON: b.asJSON}.print(b.out, r)
	})
	return last, err
}
