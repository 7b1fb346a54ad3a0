package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// comparison is how servers are put side by side: each trial runs on each of
// them in turn, in a process of its own, as often as there are rounds, and
// the medians count. A ratio is taken within a round, since what else the
// machine does changes from one to the next.
type comparison struct {
	length time.Duration // of each measurement
	rounds int
	only   []string // names of trials; none: all
	kinds  []string // of servers; none: all
	dir    string   // where servers keep what they keep
	asJSON bool
}

// register adds what every comparison can be told.
func (c *comparison) register(f *pflag.FlagSet, trials []trial) {
	f.DurationVar(&c.length, "for", 2*time.Second, "how long to measure each thing")
	f.IntVar(&c.rounds, "rounds", 9, "how often to measure each thing; the medians count")
	f.StringSliceVar(&c.only, "only", nil, "what to measure: "+trialNames(trials))
	f.StringSliceVar(&c.kinds, "servers", nil, "which servers, by their names in the table (default all)")
	f.StringVar(&c.dir, "dir", os.TempDir(), "directory for what the servers keep")
	f.BoolVar(&c.asJSON, "json", false, "print JSON, one object a line")
}

// trial is one thing that is measured on several servers.
type trial struct {
	name    string
	kinds   []servers.Kind // the first is ours, for which the targets are
	anchor  servers.Kind   // what the others are compared with
	figures []figure
	run     func(context.Context, *servers.Process, comparison) (sample, error)
}

// figure is one number of a trial.
type figure struct {
	name, unit string
	target     string // of ours, as it is printed; empty: none
}

// sample is what one round has measured, by the figures' names. A figure that is
// missing is not known.
type sample map[string]float64

func trialNames(trials []trial) string {
	names := ""
	for _, t := range trials {
		names += " " + t.name
	}
	return names[1:]
}

// run measures every trial that is wanted and prints it.
func (c comparison) run(ctx context.Context, out io.Writer, trials []trial) error {
	raiseFiles()
	if !c.asJSON {
		fmt.Fprintf(out, "%d rounds of %s each, interleaved; medians, and ratios as median (least to most); load average %.1f\n", c.rounds, c.length, servers.Load())
	}
	for _, t := range trials {
		if len(c.only) > 0 && !slices.Contains(c.only, t.name) {
			continue
		}
		samples, err := c.measure(ctx, t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if err := c.print(out, t, samples); err != nil {
			return err
		}
	}
	return nil
}

// measure gives the samples of each server, round by round.
func (c comparison) measure(ctx context.Context, t trial) (map[servers.Kind][]sample, error) {
	samples := make(map[servers.Kind][]sample)
	here := slices.DeleteFunc(servers.Here(t.kinds), func(k servers.Kind) bool { return len(c.kinds) > 0 && !slices.Contains(c.kinds, string(k)) })
	for round := range c.rounds {
		for i := range here { // each begins as often as the others
			kind := here[(round+i)%len(here)]
			s, err := c.once(ctx, t, kind)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", kind, err)
			}
			samples[kind] = append(samples[kind], s)
		}
	}
	return samples, nil
}

// once runs a trial on a fresh server.
func (c comparison) once(ctx context.Context, t trial, kind servers.Kind) (sample, error) {
	top, err := os.MkdirTemp(c.dir, "tacet-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(top)
	dir := filepath.Join(top, "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	p, err := servers.Start(ctx, servers.Spec{Kind: kind, Dir: dir, Log: os.Stderr})
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	return t.run(ctx, p, c)
}

// row is one line of what is printed.
type row struct {
	Trial  string     `json:"trial"`
	Figure string     `json:"figure"`
	Unit   string     `json:"unit"`
	Server string     `json:"server"`
	Median float64    `json:"median"`
	Ratio  [3]float64 `json:"ratio"` // to the anchor: median, least, most; 0: there is none
	Target string     `json:"target,omitempty"`
	Absent bool       `json:"absent,omitempty"`
}

func (c comparison) print(out io.Writer, t trial, samples map[servers.Kind][]sample) error {
	rows := t.rows(samples)
	if c.asJSON {
		to := json.NewEncoder(out)
		for _, r := range rows {
			if err := to.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%s\tunit\tserver\tmedian\tto %s\ttarget\n", t.name, t.anchor)
	for _, r := range rows {
		fmt.Fprintln(w, r)
	}
	return w.Flush()
}

func (r row) String() string {
	median, ratio := fmt.Sprintf("%.4g", r.Median), ""
	if r.Absent {
		median = "absent"
	}
	if r.Median >= 1e4 {
		median = fmt.Sprintf("%.0f", r.Median)
	}
	if r.Ratio[0] > 0 {
		ratio = fmt.Sprintf("%.2fx (%.2f to %.2f)", r.Ratio[0], r.Ratio[1], r.Ratio[2])
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", r.Figure, r.Unit, r.Server, median, ratio, r.Target)
}

// rows are the figures of a trial, server by server.
func (t trial) rows(samples map[servers.Kind][]sample) (rows []row) {
	for _, f := range t.figures {
		for _, kind := range t.kinds {
			r := row{Trial: t.name, Figure: f.name, Unit: f.unit, Server: string(kind), Absent: len(samples[kind]) == 0}
			if kind == t.kinds[0] {
				r.Target = f.target
			}
			values := pick(samples[kind], f.name)
			if len(values) == 0 && !r.Absent {
				continue // this server has no such figure
			}
			r.Median, _, _ = median(values)
			if kind != t.anchor {
				r.Ratio[0], r.Ratio[1], r.Ratio[2] = median(quotients(samples[kind], samples[t.anchor], f.name))
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// pick gives the values of a figure.
func pick(list []sample, name string) (values []float64) {
	for _, s := range list {
		if v, ok := s[name]; ok {
			values = append(values, v)
		}
	}
	return values
}

// quotients compares round with round, where both have a figure.
func quotients(list, anchor []sample, name string) (q []float64) {
	for i := range min(len(list), len(anchor)) {
		v, ok := list[i][name]
		if a := anchor[i][name]; ok && a > 0 {
			q = append(q, v/a)
		}
	}
	return q
}

// median gives the middle, the least and the most; 0 for none.
func median(values []float64) (mid, least, most float64) {
	if len(values) == 0 {
		return 0, 0, 0
	}
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2], values[0], values[len(values)-1]
}
