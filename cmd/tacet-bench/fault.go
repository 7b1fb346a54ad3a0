package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/fault"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// faults is how the fault programs are run.
type faults struct {
	rounds, anchors    int
	retained, sessions int
	kinds              []string
	tacet, dir         string
	asJSON             bool
}

func faultCommand() *cobra.Command {
	f := faults{}
	c := &cobra.Command{
		Use:   "fault",
		Short: "Break a running hub on purpose and see what it has kept of its word",
		Long: `Each program starts the hub (tacet serve, built from the sources around the working
directory unless --tacet names one), breaks it, and compares what it shows
afterwards with a ledger of what was sent before and acknowledged after. The same
is done to other brokers beside it, in fewer rounds. The exit code is 1 where the
hub breaks a promise; figures that are aims do not fail.`,
	}
	p := c.PersistentFlags()
	p.IntVar(&f.rounds, "rounds", 100, "rounds on the hub")
	p.IntVar(&f.anchors, "anchor-rounds", 5, "rounds on each of the others")
	p.IntVar(&f.retained, "retained", 10_000, "retained messages that are there all the time, in whole thousands")
	p.IntVar(&f.sessions, "sessions", 1000, "sessions that are there all the time")
	p.StringSliceVar(&f.kinds, "servers", nil, "which servers, by their names in the table (default all)")
	p.StringVar(&f.tacet, "tacet", "", "the hub's program (default: it is built)")
	p.StringVar(&f.dir, "dir", os.TempDir(), "directory for what the servers keep")
	p.BoolVar(&f.asJSON, "json", false, "print JSON, one object a line")
	for _, program := range fault.Programs() {
		c.AddCommand(&cobra.Command{
			Use: program.Name, Short: program.Short, Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), program)
			},
		})
	}
	return c
}

// errBroken is the end of a run in which the hub broke a promise.
var errBroken = errors.New("the hub has broken a promise")

func (f faults) run(ctx context.Context, out, words io.Writer, program fault.Program) error {
	raiseFiles()
	top, err := os.MkdirTemp(f.dir, "tacet-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(top)
	if f.tacet == "" {
		if f.tacet, err = servers.Build(ctx, top); err != nil {
			return err
		}
	}
	results := make(map[servers.Kind][]fault.Figure)
	for _, kind := range f.wanted(program) {
		rounds := f.anchors
		if kind == program.Kinds[0] {
			rounds = f.rounds
		}
		if program.Once {
			rounds = 1
		}
		begin := time.Now()
		results[kind], err = program.Run(ctx, fault.Settings{
			Kind: kind, Program: f.tacet, Dir: top, Rounds: rounds, Retained: f.retained, Sessions: f.sessions,
			Say: func(format string, args ...any) { fmt.Fprintf(words, format+"\n", args...) },
		})
		if err != nil {
			return fmt.Errorf("%s of %s: %w", program.Name, kind, err)
		}
		fmt.Fprintf(words, "%s of %s: %d rounds in %s, load average %.1f\n", program.Name, kind, rounds, time.Since(begin).Round(time.Second), servers.Load())
	}
	if err := f.print(out, program, results); err != nil {
		return err
	}
	if slices.ContainsFunc(results[program.Kinds[0]], fault.Figure.Broken) {
		return errBroken
	}
	return nil
}

// wanted are the servers that the program is run on.
func (f faults) wanted(program fault.Program) []servers.Kind {
	return slices.DeleteFunc(servers.Here(program.Kinds), func(k servers.Kind) bool {
		return len(f.kinds) > 0 && !slices.Contains(f.kinds, string(k)) || k != program.Kinds[0] && f.anchors == 0
	})
}

// outcome is one figure of one server, as JSON.
type outcome struct {
	Program string       `json:"program"`
	Server  servers.Kind `json:"server"`
	fault.Figure
	Broken bool `json:"broken"`
}

func (f faults) print(out io.Writer, program fault.Program, results map[servers.Kind][]fault.Figure) error {
	if f.asJSON {
		to := json.NewEncoder(out)
		for _, kind := range program.Kinds {
			for _, g := range results[kind] {
				if err := to.Encode(outcome{program.Name, kind, g, g.Broken()}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\tunit", program.Name)
	for _, kind := range program.Kinds {
		fmt.Fprintf(w, "\t%s", kind)
	}
	fmt.Fprintln(w, "\ttarget\t")
	for i, g := range longest(results) {
		fmt.Fprintf(w, "%s\t%s", g.Name, g.Unit)
		for _, kind := range program.Kinds {
			fmt.Fprintf(w, "\t%s", cell(results[kind], i))
		}
		verdict := ""
		if list := results[program.Kinds[0]]; i < len(list) {
			verdict = word(list[i])
		}
		fmt.Fprintf(w, "\t%s\t%s\n", g.Target(), verdict)
	}
	return w.Flush()
}

// longest are the figures of the server that has most; all have the same.
func longest(results map[servers.Kind][]fault.Figure) (list []fault.Figure) {
	for _, l := range results {
		if len(l) > len(list) {
			list = l
		}
	}
	return list
}

// cell is the value of a figure, where the server has it.
func cell(list []fault.Figure, i int) string {
	if i >= len(list) {
		return "absent"
	}
	if list[i].Value < 0 {
		return "none"
	}
	return fmt.Sprintf("%.4g", list[i].Value)
}

// word says how a figure stands to its target.
func word(g fault.Figure) string {
	switch {
	case g.Most < 0:
		return ""
	case g.Broken():
		return "BROKEN"
	case g.Value > g.Most:
		return "missed"
	}
	return "ok"
}
