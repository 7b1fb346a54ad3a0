package redis

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
	"github.com/tacet-hub/tacet/bridge/redis/redistest"
)

// engine is a server of the test's own, or several that are one.
type engine struct {
	t   testing.TB
	one *redistest.Server // whom kill, start and signal mean
	url string

	prefix string // of all keys; empty: the usual one
}

// startEngine runs one server.
func startEngine(t testing.TB) *engine {
	t.Helper()
	s, err := redistest.Start("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &engine{t: t, one: s, url: s.URL()}
}

func (e *engine) start() {
	e.t.Helper()
	if err := e.one.Start(); err != nil {
		e.t.Fatal(err)
	}
}

func (e *engine) kill() { e.one.Kill() }

func (e *engine) signal(s syscall.Signal) {
	e.t.Helper()
	if err := e.one.Signal(s); err != nil {
		e.t.Fatal(err)
	}
}

// node is a config of a node at the engine, in a hurry but for its death: on a busy
// machine it may be silent for long.
func (e *engine) node(name string) Config {
	return Config{URL: e.url, Node: name, Prefix: e.prefix, Heartbeat: 200 * time.Millisecond, NodeTimeout: backplanetest.Patience, Log: slog.New(slog.NewTextHandler(e.t.Output(), nil))}
}

func (e *engine) join(name string) *Plane { return e.plane(e.node(name)) }

func (e *engine) plane(cfg Config) *Plane {
	e.t.Helper()
	s, err := NewServer(cfg)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(s.Close)
	return NewPlane(s)
}

func (e *engine) do(command ...string) {
	e.t.Helper()
	if _, err := e.one.Do(command...); err != nil {
		e.t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	backplanetest.Test(t, func(t *testing.T) func(string) backplane.Plane {
		e := startEngine(t)
		return func(name string) backplane.Plane { return e.join(name) }
	})
}

// TestContractOldProtocol: a server without RESP3.
func TestContractOldProtocol(t *testing.T) {
	backplanetest.Test(t, func(t *testing.T) func(string) backplane.Plane {
		e := startEngine(t)
		return func(name string) backplane.Plane {
			p := e.join(name)
			p.s.resp2 = true
			return p
		}
	})
}

// two are two nodes; b listens to partition 1 and hears a.
func two(t *testing.T, e *engine) (a, b *Plane, eb *backplanetest.Ear) {
	t.Helper()
	a, b = e.join("a"), e.join("b")
	backplanetest.Start(t, a)
	eb, _ = backplanetest.Start(t, b)
	b.Listen(1, true)
	backplanetest.Hears(t, a, eb, 1)
	return a, b, eb
}

func publish(t *testing.T, p *Plane, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := p.Publish(1, backplane.Envelope{Body: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
}

func numbers(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// TestServerKilled: what is published while the server is away comes when it is
// back, in order and once.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	e := startEngine(t)
	a, b, eb := two(t, e)
	publish(t, a, 0, 10)
	eb.Bodies(t, 10)
	e.kill()
	eb.Until(t, "told of it", func(_ []backplane.Envelope, _ map[string]uint64, _ []string, up bool) bool { return !up })
	publish(t, a, 10, 500)
	e.start()
	if got := eb.Bodies(t, 500); !slices.Equal(got, numbers(0, 500)) {
		t.Errorf("heard %v", got)
	}
	eb.Until(t, "told that it is back", func(_ []backplane.Envelope, _ map[string]uint64, _ []string, up bool) bool { return up })
	if s := b.Stats(); s.Missed != 0 || s.Losses == 0 || !s.Connected {
		t.Errorf("stats %+v", s)
	}
	eb.Sees(t, "a", "b")
}

// TestServerStalls: a server that takes connections and says nothing is away, too.
func TestServerStalls(t *testing.T) {
	t.Parallel()
	e := startEngine(t)
	a, _, eb := two(t, e)
	e.signal(syscall.SIGSTOP)
	eb.Until(t, "told of it", func(_ []backplane.Envelope, _ map[string]uint64, _ []string, up bool) bool { return !up })
	publish(t, a, 0, 100)
	e.signal(syscall.SIGCONT)
	if got := eb.Bodies(t, 100); !slices.Equal(got, numbers(0, 100)) {
		t.Errorf("heard %v", got)
	}
}

// TestSubscriberCut: what came while the subscription was cut is in the history.
func TestSubscriberCut(t *testing.T) {
	e := startEngine(t)
	a, b, eb := two(t, e)
	for round := range 20 {
		publish(t, a, round*50, round*50+25)
		e.do("CLIENT", "KILL", "TYPE", "pubsub")
		publish(t, a, round*50+25, round*50+50)
	}
	if got := eb.Bodies(t, 1000); !slices.Equal(got, numbers(0, 1000)) {
		t.Errorf("%d heard, not 0 to 999 in order; stats %+v", len(got), b.Stats())
	}
	if s := b.Stats(); s.Missed != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestFlushed: an emptied server has no history: what was lost is told, exactly.
func TestFlushed(t *testing.T) {
	e := startEngine(t)
	a, b, eb := two(t, e)
	publish(t, a, 0, 10)
	eb.Bodies(t, 10)
	p := a // a hole in the numbers, as a full queue makes it
	p.out.mu.Lock()
	p.out.holes[channel{1, ""}] += 7
	p.out.mu.Unlock()
	e.do("FLUSHALL")
	publish(t, a, 10, 20)
	if got := eb.Bodies(t, 20); !slices.Equal(got, numbers(0, 20)) {
		t.Errorf("heard %v", got)
	}
	eb.Until(t, "the gap", func(_ []backplane.Envelope, missed map[string]uint64, _ []string, _ bool) bool {
		return missed["a"] == 7
	})
	if s := b.Stats(); s.Missed != 7 {
		t.Errorf("stats %+v", s)
	}
	eb.Sees(t, "a", "b") // their keys come back with the next heartbeat
}

// TestFull: over the bound what is newest is refused, and told as a gap.
func TestFull(t *testing.T) {
	e := startEngine(t)
	cfg := e.node("a")
	cfg.Queue = 4096
	a, b := e.plane(cfg), e.join("b")
	backplanetest.Start(t, a)
	eb, _ := backplanetest.Start(t, b)
	b.Listen(1, true)
	backplanetest.Hears(t, a, eb, 1)
	e.signal(syscall.SIGSTOP)
	var refused uint64
	for i := range 100 {
		if err := a.Publish(1, backplane.Envelope{Body: fmt.Append(make([]byte, 100), i)}); err == backplane.ErrFull {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 || a.Stats().Refused != refused {
		t.Errorf("refused %d, counted %d", refused, a.Stats().Refused)
	}
	e.signal(syscall.SIGCONT)
	eb.Bodies(t, 100-int(refused))
	eb.Until(t, "the gap", func(_ []backplane.Envelope, missed map[string]uint64, _ []string, _ bool) bool {
		return missed["a"] == refused
	})
}

// TestNodeDies: a node that is killed is gone after the node timeout, and nothing
// of it stays.
func TestNodeDies(t *testing.T) {
	t.Parallel()
	e := startEngine(t)
	ea, _ := backplanetest.Start(t, e.join("a"))
	cfg := e.node("dead")
	cfg.NodeTimeout = time.Second
	dead := e.plane(cfg)
	ctx, kill := context.WithCancel(t.Context())
	var life sync.WaitGroup
	life.Go(func() {
		for first := true; dead.beat(ctx, first) == nil; first = false {
			pause(ctx, cfg.Heartbeat)
		}
	})
	ea.Sees(t, "a", "dead")
	kill() // it says no more
	life.Wait()
	ea.Sees(t, "a")
}

// TestNextExpiry: a node looks for the others again when the first of them may be
// gone, not only at its next heartbeat.
func TestNextExpiry(t *testing.T) {
	e := startEngine(t)
	a, b := e.join("a"), e.node("b")
	b.NodeTimeout = backplanetest.Patience / 2
	beats(t, a)
	if d := a.untilExpiry(); d < backplanetest.Patience {
		t.Errorf("alone it looks again after %v", d)
	}
	beats(t, e.plane(b), a)
	if d := a.untilExpiry(); d > b.NodeTimeout {
		t.Errorf("beside a node that is dead after %v it looks again after %v", b.NodeTimeout, d)
	}
}

// TestLateServer: a node may start before its server.
func TestLateServer(t *testing.T) {
	e := startEngine(t)
	e.kill()
	a := e.join("a")
	ear := backplanetest.NewEar()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- a.Run(ctx, ear) }()
	ear.Until(t, "told that nobody is there", func(_ []backplane.Envelope, _ map[string]uint64, _ []string, up bool) bool {
		return !up
	})
	e.start()
	ear.Until(t, "connected", func(_ []backplane.Envelope, _ map[string]uint64, _ []string, up bool) bool { return up })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	good := Config{URL: "redis://127.0.0.1:1", Node: "hub-1"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]Config{
		"no url":         {Node: "a"},
		"another scheme": {URL: "http://x", Node: "a"},
		"no node":        {URL: "redis://x"},
		"bad node":       {URL: "redis://x", Node: "a b"},
		"bad prefix":     {URL: "redis://x", Node: "a", Prefix: "{x}"},
		"heartbeat":      {URL: "redis://x", Node: "a", Heartbeat: time.Minute},
		"queue":          {URL: "redis://x", Node: "a", Queue: -1},
	} {
		if err := c.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := NewServer(Config{URL: "redis://ann:secret@%zz", Node: "a"})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}
