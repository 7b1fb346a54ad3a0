package redis

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
	"github.com/tacet-hub/tacet/bridge/redis/redistest"
	"github.com/tacet-hub/tacet/broker/reign/reigntest"
)

// startRing runs a cluster of three servers, each with so many replicas.
func startRing(t *testing.T, replicas int) (*redistest.Cluster, *engine) {
	t.Helper()
	c, err := redistest.StartCluster("", 3, replicas, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, &engine{t: t, url: c.URL()}
}

// site makes hubs of their own on a server that is there: each has a prefix.
func (e *engine) sites() func(t *testing.T) *engine {
	var n atomic.Int64
	return func(t *testing.T) *engine {
		x := *e
		x.t, x.prefix = t, fmt.Sprint("hub-", n.Add(1))
		return &x
	}
}

// TestContractInCluster: the channels are sharded ones, and the keys of what belongs
// together are on one server.
func TestContractInCluster(t *testing.T) {
	_, e := startRing(t, 0)
	site := e.sites()
	backplanetest.Test(t, func(t *testing.T) func(string) backplane.Plane {
		e := site(t)
		return func(name string) backplane.Plane { return e.join(name) }
	})
}

func TestReignsInCluster(t *testing.T) {
	c, e := startRing(t, 0)
	site := e.sites()
	all := func(command ...string) {
		for _, s := range c.Nodes {
			if _, err := s.Do(command...); err != nil {
				t.Error(err)
			}
		}
	}
	reigntest.Test(t, func(t *testing.T) reigntest.Ledger {
		l := reignLedger(site(t))
		l.Break = func() { all("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }
		l.Flush = func() { all("FLUSHALL") }
		return l
	})
}

// TestSharded: what goes over the partitions goes over sharded channels, which the
// servers of a cluster do not tell each other.
func TestSharded(t *testing.T) {
	c, e := startRing(t, 0)
	two(t, e)
	for what, more := range map[string]bool{"SHARDCHANNELS": true, "CHANNELS": false} {
		n := 0
		for _, s := range c.Nodes {
			list, err := s.Do("PUBSUB", what)
			if err != nil {
				t.Fatal(err)
			}
			n += strings.Count(list, "\n")
		}
		if want := map[bool]int{true: 3, false: 1}[more]; n < want || !more && n > 2*len(c.Nodes) {
			t.Errorf("PUBSUB %s: %d", what, n)
		}
	}
}

// TestMasterOfClusterDies: a server of the cluster is killed and its replica takes
// its place: what is published goes on in order, what the dead one had alone is
// caught up or told, and what goes over the others is not held up.
func TestMasterOfClusterDies(t *testing.T) {
	c, e := startRing(t, 1)
	a, b, eb := two(t, e)
	one, other := c.Owner(a.cfg.history(channel{1, ""})), 2
	for c.Owner(a.cfg.history(channel{other, ""})) == one {
		other++
	}
	b.Listen(other, true)
	backplanetest.Hears(t, a, eb, other)
	if err := one.Signal(syscall.SIGSTOP); err != nil { // its connections stand
		t.Fatal(err)
	}
	publish(t, a, 0, 100)
	elsewhere := backplane.Envelope{Body: []byte("elsewhere")}
	if err := a.Publish(other, elsewhere); err != nil {
		t.Fatal(err)
	}
	eb.Until(t, "what goes over another server", func(heard []backplane.Envelope, _ map[string]uint64, _ []string, _ bool) bool {
		return slices.ContainsFunc(heard, func(e backplane.Envelope) bool { return string(e.Body) == "elsewhere" })
	})
	one.Kill()
	accounted(t, a, b, eb, 100)
}

// TestSlotMoves: the slot of a partition goes to another server while it is used.
func TestSlotMoves(t *testing.T) {
	c, e := startRing(t, 0)
	a, b, eb := two(t, e)
	publish(t, a, 0, 100)
	eb.Bodies(t, 100)
	key := a.cfg.history(channel{1, ""})
	sent := 100
	for range 3 {
		from := c.Owner(key)
		to := c.Nodes[(slices.Index(c.Nodes, from)+1)%3]
		done := make(chan error, 1)
		go func() { done <- c.Move(key, from, to) }()
		for moving := true; moving; {
			publish(t, a, sent, sent+10)
			sent += 10
			pause(t.Context(), time.Millisecond)
			select {
			case err := <-done:
				if moving = false; err != nil {
					t.Fatal(err)
				}
			default:
			}
		}
		publish(t, a, sent, sent+50)
		sent += 50
		accounted(t, a, b, eb, sent)
	}
	if got := eb.Bodies(t, sent); !slices.Equal(got, numbers(0, sent)) || b.Stats().Missed != 0 {
		t.Errorf("%d of %d heard; stats %+v", len(got), sent, b.Stats())
	}
}

// accounted waits until everything that a has published to partition 1 is heard, in
// order and once, or told as missed.
func accounted(t *testing.T, a, b *Plane, eb *backplanetest.Ear, sent int) {
	t.Helper()
	eb.Until(t, fmt.Sprintf("%d accounted for", sent), func(heard []backplane.Envelope, missed map[string]uint64, _ []string, _ bool) bool {
		n := 0
		for _, e := range heard {
			if string(e.Body) != "elsewhere" {
				n++
			}
		}
		return n+int(missed["a"]) >= sent
	})
	got := slices.DeleteFunc(eb.Bodies(t, 0), func(s string) bool { return s == "elsewhere" })
	last := -1
	for _, text := range got {
		n := 0
		if _, err := fmt.Sscan(text, &n); err != nil || n <= last {
			t.Fatalf("%d is heard after %d", n, last)
		}
		last = n
	}
	if n := len(got) + int(b.Stats().Missed); n != sent {
		t.Errorf("%d heard and %d missed, of %d; %+v", len(got), b.Stats().Missed, sent, b.Stats())
	}
	t.Logf("%d of %d heard, %d told as missed", len(got), sent, b.Stats().Missed)
}
