package sharedtest

import (
	"context"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/store"
)

// Patience is how long a test waits for what must come.
const Patience = time.Minute

// Node is one node: its store, and its tables, which run.
type Node struct {
	*shared.Tables
	T *shared.Table // the table t

	t     testing.TB
	name  string
	dir   string
	now   func() time.Time
	store *store.Store
	stop  func()

	mu    sync.Mutex
	told  map[string]string // what the watcher was told last
	calls int
}

// Start starts a node with an empty store. Common is nil for one that is alone; now
// is its clock, nil: time.Now. It is stopped when the test ends.
func Start(t testing.TB, name string, common shared.Common, now func() time.Time) *Node {
	t.Helper()
	n := &Node{t: t, name: name, dir: t.TempDir(), now: now}
	t.Cleanup(func() { n.Stop() })
	n.Again(common)
	return n
}

// Stop ends the node as a shutdown does.
func (n *Node) Stop() {
	if n.stop != nil {
		n.stop()
		n.stop = nil
	}
}

// Again starts the node, which is stopped, on its store.
func (n *Node) Again(common shared.Common) {
	n.t.Helper()
	n.Open(common)
	n.Serve()
}

// Serve runs the tables that were opened.
func (n *Node) Serve() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.Run(ctx); err != nil {
			n.t.Errorf("node %s: %v", n.name, err)
		}
	})
	n.stop = func() {
		cancel()
		running.Wait()
		if err := n.store.Close(); err != nil {
			n.t.Errorf("node %s: %v", n.name, err)
		}
	}
}

// Open opens the tables of the node, which do not run.
func (n *Node) Open(common shared.Common) {
	n.t.Helper()
	var err error
	if n.store, err = store.Open(filepath.Join(n.dir, "tacet.db")); err != nil {
		n.t.Fatal(err)
	}
	n.stop = func() { _ = n.store.Close() }
	cfg := shared.Config{Node: n.name, Tables: []string{"t", "u"}, Now: n.now, Log: slog.New(slog.NewTextHandler(n.t.Output(), nil))}
	if n.Tables, err = shared.New(cfg, n.store, common); err != nil {
		n.t.Fatal(err)
	}
	n.T, n.told = n.Table("t"), map[string]string{}
	n.T.Watch(func(key string, value []byte) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.calls++
		n.told[key] = text(value)
	})
}

// text tells nothing from an empty value.
func text(value []byte) string {
	if value == nil {
		return "nothing"
	}
	return string(value)
}

// Told answers what the watcher was told last of each key, "nothing" for gone.
func (n *Node) Told() map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.told)
}

// Put puts, or fails the test.
func (n *Node) Put(key, value string) {
	n.t.Helper()
	if err := n.T.Put(n.t.Context(), key, []byte(value)); err != nil {
		n.t.Fatalf("node %s: put %s: %v", n.name, key, err)
	}
}

// Delete deletes, or fails the test.
func (n *Node) Delete(key string) {
	n.t.Helper()
	if err := n.T.Delete(n.t.Context(), key); err != nil {
		n.t.Fatalf("node %s: delete %s: %v", n.name, key, err)
	}
}

// Has answers what is on the node's disk.
func (n *Node) Has() map[string]string {
	n.t.Helper()
	out := map[string]string{}
	if err := n.T.Load(func(key string, value []byte) error { out[key] = string(value); return nil }); err != nil {
		n.t.Fatalf("node %s: load: %v", n.name, err)
	}
	return out
}

// Until waits for something that must come.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not in %s: %s", Patience, what)
		}
		timer := time.NewTimer(2 * time.Millisecond)
		select {
		case <-timer.C:
		case <-t.Context().Done():
			t.Fatal(what)
		}
	}
}

// Become waits until every node has the same on its disk, and owes nothing.
func Become(t testing.TB, want map[string]string, nodes ...*Node) {
	t.Helper()
	defer tellFailed(t, nodes...)
	for _, n := range nodes {
		Until(t, n.name+" becomes as it should", func() bool {
			return maps.Equal(n.Has(), want) && n.Stats().Owed == 0
		})
	}
}

// tellFailed says of a test that has failed what its nodes have.
func tellFailed(t testing.TB, nodes ...*Node) {
	t.Helper()
	if !t.Failed() {
		return
	}
	for _, n := range nodes {
		t.Logf("node %s has %v, %+v", n.name, n.Has(), n.Stats())
	}
}
