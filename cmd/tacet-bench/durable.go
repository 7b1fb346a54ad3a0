package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

func durableCommand() *cobra.Command {
	c := comparison{}
	cmd := &cobra.Command{
		Use:   "durable",
		Short: "Compare what the durable store takes with the library's bolt hook",
		Long: `Starts the embedded broker with its store and the library (mochi v2.7.9) with its
bolt hook on the same file system, and prints how many retained messages each
acknowledges a second, what it writes to the disk for each, how often it flushes,
and what it writes when nothing changes. The library acknowledges whatever becomes
of the writing; ours acknowledges what is on the disk.

Flushes are counted in a short run under strace, where that is installed; the
other figures are not taken under it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), cmd.OutOrStdout(), durableTrials)
		},
	}
	c.register(cmd.Flags(), durableTrials)
	return cmd
}

var (
	keepers = []servers.Kind{servers.Durable, servers.MochiBolt}

	writing = []figure{
		{"rate", "acknowledged/s", ""},
		{"cpu", "us/message", ""},
		{"written", "bytes/message", ""},
	}

	durableTrials = []trial{
		{"window-1", keepers, servers.MochiBolt, target(writing, "rate", ">= 10x"), durableWrites(64, 1)},
		{"window-20", keepers, servers.MochiBolt, target(writing, "rate", ">= 25x"), durableWrites(64, 20)},
		{"flushes", keepers, servers.MochiBolt, []figure{{"flushes", "fsyncs/message", ""}}, flushes(64, 20)},
		{"wear", keepers, servers.MochiBolt, []figure{{"written", "bytes/hour", "0"}}, wear(100)},
	}
)

// target sets the target of one figure.
func target(list []figure, name, text string) (out []figure) {
	for _, f := range list {
		if f.name == name {
			f.target = text
		}
		out = append(out, f)
	}
	return out
}

// durableWrites is writers that each set retained topics of their own, with so
// many under way.
func durableWrites(writers, window int) func(context.Context, *servers.Process, comparison) (sample, error) {
	return func(ctx context.Context, p *servers.Process, c comparison) (sample, error) {
		w, err := newWriters(ctx, p, writers, window)
		if err != nil {
			return nil, err
		}
		defer w.end()
		before, err := p.Written()
		if err != nil {
			return nil, err
		}
		from := w.acked.Load()
		got, err := meterFor(ctx, p, c.length, w.acked.Load)
		if err != nil {
			return nil, err
		}
		after, err := p.Written()
		if err != nil {
			return nil, err
		}
		got["written"] = float64(after-before) / float64(w.acked.Load()-from)
		return got, nil
	}
}

// writers are clients that write.
type writers struct {
	list  []*client
	acked atomic.Int64
	tasks sync.WaitGroup
}

func newWriters(ctx context.Context, p *servers.Process, n, window int) (*writers, error) {
	list, err := dialMany(ctx, p.MQTT, n, 16, func(int, *client) error { return nil })
	if err != nil {
		return nil, err
	}
	w := &writers{list: list}
	for i, c := range list {
		w.tasks.Go(func() { w.write(c, i, window) })
	}
	return w, nil
}

func (w *writers) end() {
	closeAll(w.list)
	w.tasks.Wait()
}

// topicsOfOne is how many retained topics each writer has.
const topicsOfOne = 20

// write keeps so many publications under way until the connection ends. Each
// has a payload of its own, since one that changes nothing need not be written.
func (w *writers) write(c *client, writer, window int) {
	n := 0
	more := func() {
		n++
		payload := make([]byte, payloadMQTT)
		copy(payload, fmt.Sprint(writer, " ", n))
		topic := fmt.Sprintf("bench/d/%d/%d", writer, n%topicsOfOne)
		c.out = c.Version().AppendPublish(c.out, wire.Message{Topic: topic, Payload: payload, QoS: 1, Retain: true, ID: uint16(n%65535) + 1})
	}
	for range window {
		more()
	}
	for {
		if c.flush() != nil {
			return
		}
		for again := true; again; again = c.More() {
			p, err := c.Next()
			if err != nil {
				return
			}
			if p.Type == wire.Puback && p.Code < 0x80 {
				w.acked.Add(1)
				more()
			}
		}
	}
}

// flushes counts what a server flushes for each message, by strace. A server
// runs slower under it, and so gathers more in each flush.
func flushes(n, window int) func(context.Context, *servers.Process, comparison) (sample, error) {
	return func(ctx context.Context, p *servers.Process, c comparison) (sample, error) {
		count, err := countSyncs(ctx, p)
		if err != nil {
			return sample{}, nil // no strace, or not allowed: the figure is not known
		}
		w, err := newWriters(ctx, p, n, window)
		if err != nil {
			_, _ = count()
			return nil, err
		}
		err = pause(ctx, c.length)
		w.end()
		calls, err2 := count()
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		return sample{"flushes": float64(calls) / float64(max(1, w.acked.Load()))}, nil
	}
}

// countSyncs attaches strace; stop lets go and gives the number of calls.
func countSyncs(ctx context.Context, p *servers.Process) (stop func() (int, error), err error) {
	file := filepath.Join(filepath.Dir(filepath.Clean(p.Dir)), "syncs")
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "strace", "-f", "-o", file, "-p", fmt.Sprint(p.PID()), "-e", "trace=fsync,fdatasync,msync")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it lets go of the process first
	said, err := cmd.StderrPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	first, err := bufio.NewReader(said).ReadString('\n')
	stop = func() (int, error) {
		cancel()
		_, _ = io.Copy(io.Discard, said)
		_ = cmd.Wait() // by the interrupt
		b, err := os.ReadFile(file)
		return strings.Count(string(b), "sync("), err
	}
	if err != nil || !strings.Contains(first, "attached") {
		_, _ = stop()
		return nil, fmt.Errorf("strace: %q", first)
	}
	return stop, nil
}

// wear is what is written while clients are connected, send pings and publish
// what is there already.
func wear(n int) func(context.Context, *servers.Process, comparison) (sample, error) {
	return func(ctx context.Context, p *servers.Process, c comparison) (sample, error) {
		list, err := dialMany(ctx, p.MQTT, n, 16, func(i int, c *client) error { return say(c, i) })
		if err != nil {
			return nil, err
		}
		defer closeAll(list)
		if err := pause(ctx, 2*warmUpMQTT); err != nil { // what is written late
			return nil, err
		}
		before, err := p.Written()
		if err != nil {
			return nil, err
		}
		begin := time.Now()
		for time.Since(begin) < max(c.length, 5*warmUpMQTT) {
			for i, c := range list {
				if err := say(c, i); err != nil {
					return nil, err
				}
			}
			if err := pause(ctx, warmUpMQTT); err != nil {
				return nil, err
			}
		}
		after, err := p.Written()
		if err != nil {
			return nil, err
		}
		return sample{"written": float64(after-before) / time.Since(begin).Hours()}, nil
	}
}

// say publishes a client's state, which never changes, and a ping.
func say(c *client, i int) error {
	c.out = c.Version().AppendPublish(c.out, wire.Message{Topic: fmt.Sprintf("bench/d/%d/state", i), Payload: []byte("online"), QoS: 1, Retain: true, ID: 1})
	c.out = wire.AppendEmpty(c.out, wire.Pingreq)
	if err := c.flush(); err != nil {
		return err
	}
	_, err := c.Await(wire.Pingresp, nil)
	return err
}
