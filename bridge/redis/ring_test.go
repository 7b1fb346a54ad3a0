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
	"github.com/tacet-hub/tacet/bridge/replay/replaytest"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/estate"
	"github.com/tacet-hub/tacet/broker/estate/estatetest"
	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/broker/proof/prooftest"
	"github.com/tacet-hub/tacet/broker/reign/reigntest"
	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/shared/sharedtest"
)

// startRing runs a cluster of three servers, each with so many replicas and with more
// arguments where there are some.
func startRing(t *testing.T, replicas int, args ...string) (*redistest.Cluster, *engine) {
	t.Helper()
	c, err := redistest.StartCluster("", 3, replicas, 2*time.Second, args...)
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

// TestInCluster: what is kept at one server is kept as well at several that are one.
// They are started once, since that takes seconds. The nodes may use only the commands that
// they are known to use.
func TestInCluster(t *testing.T) {
	t.Parallel()
	c, e := startRing(t, 0)
	e.restrict(c, clustered...)
	site := e.sites()
	for _, x := range []struct {
		name string
		test func(*testing.T, *redistest.Cluster, func(*testing.T) *engine)
	}{
		{"sharded", sharded}, {"slot moves", slotMoves}, {"plane", planeInCluster}, {"reigns", reignsInCluster},
		{"tables", tablesInCluster}, {"changes", changesInCluster}, {"estates", estatesInCluster}, {"log", logInCluster}, {"log, spread", logSpread},
		{"records", recordsInCluster},
	} {
		t.Run(x.name, func(t *testing.T) { x.test(t, c, site) })
	}
	notRefused(t, c)
}

// restrict has the nodes be a user of the cluster who may use only the common commands
// and these.
func (e *engine) restrict(c *redistest.Cluster, more ...string) {
	e.t.Helper()
	all(e.t, c, mayOnly(more...)...)
	e.url = strings.Replace(e.url, "redis://", "redis://node:secret@", 1)
}

// notRefused: nobody has tried any other.
func notRefused(t *testing.T, c *redistest.Cluster) {
	t.Helper()
	for _, s := range c.Nodes {
		if list, err := s.Do("ACL", "LOG"); err != nil || list != "" {
			t.Errorf("was refused: %s %v", list, err)
		}
	}
}

// planeInCluster: the channels are sharded ones, and the keys of what belongs together
// are on one server.
func planeInCluster(t *testing.T, _ *redistest.Cluster, site func(*testing.T) *engine) {
	backplanetest.Test(t, func(t *testing.T) func(string) backplane.Plane {
		e := site(t)
		return func(name string) backplane.Plane { return e.join(name) }
	})
}

func reignsInCluster(t *testing.T, c *redistest.Cluster, site func(*testing.T) *engine) {
	reigntest.Test(t, func(t *testing.T) reigntest.Ledger {
		l := reignLedger(site(t))
		l.Break = func() { all(t, c, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }
		l.Flush = func() { all(t, c, "FLUSHALL") }
		return l
	})
}

// all has each server do something.
func all(t testing.TB, c *redistest.Cluster, command ...string) {
	t.Helper()
	for _, s := range c.Nodes {
		if _, err := s.Do(command...); err != nil {
			t.Error(err)
		}
	}
}

// tablesInCluster: everything of the tables is in one slot.
func tablesInCluster(t *testing.T, _ *redistest.Cluster, site func(*testing.T) *engine) {
	sharedtest.TestTable(t, func(t *testing.T) shared.Common { return site(t).tables("a") })
}

func changesInCluster(t *testing.T, _ *redistest.Cluster, site func(*testing.T) *engine) {
	e := site(t)
	changesTold(t, e.tables("a"), e.tables("b"))
}

// estatesInCluster: everything of one node is in one slot.
func estatesInCluster(t *testing.T, _ *redistest.Cluster, site func(*testing.T) *engine) {
	estatetest.Run(t, func(t *testing.T) estate.Common { return site(t).estates("a") })
}

func logInCluster(t *testing.T, c *redistest.Cluster, site func(*testing.T) *engine) {
	replaytest.Test(t, func(t *testing.T) replaytest.Store { return ringLogs{logs{site(t)}, c} })
}

type ringLogs struct {
	logs
	c *redistest.Cluster
}

func (x ringLogs) Forget(t testing.TB) { all(t, x.c, "FLUSHALL") }

// recordsInCluster: everything of the records is in one slot.
func recordsInCluster(t *testing.T, _ *redistest.Cluster, site func(*testing.T) *engine) {
	prooftest.Test(t, func(t *testing.T) func() proof.Common { return site(t).records })
}

// logSpread: the groups are spread over the servers.
func logSpread(t *testing.T, c *redistest.Cluster, site func(*testing.T) *engine) {
	l := logs{site(t)}.Log(t).(*Log)
	for i := range 4 * logParts {
		done := make(chan error, 1)
		l.Append(fmt.Sprint("g", i), []byte("x"), func(_ signalr.Position, err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range c.Nodes {
		keys, err := s.Do("KEYS", l.s.cfg.Prefix+":*:l:*")
		if n := strings.Count(keys, ":l:"); err != nil || n == 0 || n == 4*logParts {
			t.Errorf("server %d has %d groups, %v", i, n, err)
		}
	}
}

// sharded: what goes over the partitions goes over sharded channels, which the servers
// of a cluster do not tell each other.
func sharded(t *testing.T, c *redistest.Cluster, site func(*testing.T) *engine) {
	two(t, site(t))
	channels := func(what string) (n int) {
		t.Helper()
		for _, s := range c.Nodes {
			list, err := s.Do("PUBSUB", what)
			if err != nil {
				t.Fatal(err)
			}
			n += strings.Count(list, "\n")
		}
		return n
	}
	sharedtest.Until(t, "all channels are heard", func() bool { return channels("SHARDCHANNELS") >= 3 && channels("CHANNELS") >= 1 })
	if n := channels("CHANNELS"); n > 2*len(c.Nodes) {
		t.Errorf("%d channels are not sharded", n)
	}
}

// TestMasterOfClusterDies: a server of the cluster is killed and its replica takes
// its place: what is published goes on in order, what the dead one had alone is
// caught up or told, and what goes over the others is not held up.
func TestMasterOfClusterDies(t *testing.T) {
	t.Parallel()
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

// slotMoves: the slot of a partition goes to another server while it is used.
func slotMoves(t *testing.T, c *redistest.Cluster, site func(*testing.T) *engine) {
	a, b, eb := two(t, site(t))
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
