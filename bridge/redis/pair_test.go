package redis

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
	"github.com/tacet-hub/tacet/bridge/redis/redistest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
	"github.com/tacet-hub/tacet/broker/reign/reigntest"
)

// startPair runs a server with a replica, which a sentinel promotes after a silence of
// half a second.
func startPair(t *testing.T) (*redistest.Pair, *engine) {
	t.Helper()
	p, err := redistest.StartPair("", 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, &engine{t: t, one: p.Master, url: p.URL()}
}

func TestContractBySentinel(t *testing.T) {
	_, e := startPair(t)
	site := e.sites()
	backplanetest.Test(t, func(t *testing.T) func(string) backplane.Plane {
		e := site(t)
		return func(name string) backplane.Plane { return e.join(name) }
	})
}

func TestReignsBySentinel(t *testing.T) {
	_, e := startPair(t)
	site := e.sites()
	reigntest.Test(t, func(t *testing.T) reigntest.Ledger { return reignLedger(site(t)) })
}

// TestReplicaPromoted: the server dies, and its replica takes its place.
func TestReplicaPromoted(t *testing.T) {
	t.Parallel()
	p, e := startPair(t)
	a, b, eb := two(t, e)
	publish(t, a, 0, 100)
	eb.Bodies(t, 100)
	p.Master.Kill()
	publish(t, a, 100, 200)
	accounted(t, a, b, eb, 200)
	publish(t, a, 200, 300)
	accounted(t, a, b, eb, 300)
	if p.Replica.Role() != "master" {
		t.Error("the replica is not the server")
	}
}

// king is a node that takes the area north, and notes for how long it reigns.
type king struct {
	name   string
	clock  func() area.Instant
	keeper *reign.Keeper
	ledger *Reigns
	told   chan struct{}

	mu     sync.Mutex
	reigns []span
}

// span is a reign, from when the keeper told of it to when it ends unless renewed.
type span struct{ from, until area.Instant }

// kingTTL is short: nothing is granted here.
const kingTTL = 2 * time.Second

func (e *engine) king(name string, index uint64, clock func() area.Instant) *king {
	e.t.Helper()
	k := &king{name: name, clock: clock, ledger: e.ledger(name), told: make(chan struct{}, 1)}
	var err error
	if k.keeper, err = reign.New(reign.Config{Node: name, Life: name, Index: index, Beat: 100 * time.Millisecond}, k.ledger, clock); err != nil {
		e.t.Fatal(err)
	}
	k.keeper.Follow("north", kingTTL, 0, k.heard)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- k.keeper.Run(ctx) }()
	e.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			e.t.Error(err)
		}
	})
	return k
}

func (k *king) heard(s reign.State) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock()
	switch n := len(k.reigns); {
	case s.Mine && s.Begun:
		k.reigns = append(k.reigns, span{now, s.Until})
	case s.Mine && n > 0:
		k.reigns[n-1].until = s.Until
	case !s.Mine && n > 0: // it ended here, at the latest
		k.reigns[n-1].until = min(k.reigns[n-1].until, now)
	}
	select {
	case k.told <- struct{}{}:
	default:
	}
}

func (k *king) spans() []span {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]span(nil), k.reigns...)
}

// reigning waits until k has begun so many reigns.
func (k *king) reigning(t *testing.T, n int) {
	t.Helper()
	late := time.After(backplanetest.Patience)
	for len(k.spans()) < n {
		select {
		case <-k.told:
		case <-late:
			t.Fatalf("%s has not begun %d reigns: %v", k.name, n, k.spans())
		}
	}
}

// apart fails where reigns of two nodes overlap.
func apart(t *testing.T, a, b *king) {
	t.Helper()
	for _, x := range a.spans() {
		for _, y := range b.spans() {
			if x.from < y.until && y.from < x.until {
				t.Errorf("%s reigns %v and %s %v", a.name, x, b.name, y)
			}
		}
	}
}

// TestReplicaThatKnewLess: a replica that was cut off before an area was taken is
// promoted. Whatever it knows, no two nodes have the area at once; nor where the
// server before only stood still, and comes back beside it.
func TestReplicaThatKnewLess(t *testing.T) {
	t.Parallel()
	for name, dies := range map[string]bool{"the server dies": true, "the server stands still": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, e := startPair(t)
			begin := time.Now()
			clock := func() area.Instant { return area.Instant(time.Since(begin)) + 1 }
			if err := p.Replica.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			e.do("CLIENT", "KILL", "TYPE", "replica") // nothing more is on its way to it
			a := e.king("hub-1", 0, clock)
			a.reigning(t, 1)
			b := e.king("hub-2", 1, clock)
			if dies {
				p.Master.Kill()
			} else if err := p.Master.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if err := p.Replica.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if err := p.Promoted(); err != nil {
				t.Fatal(err)
			}
			if !dies {
				if err := p.Master.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
			late := time.After(backplanetest.Patience)
			for len(a.spans())+len(b.spans()) < 2 {
				select {
				case <-a.told:
				case <-b.told:
				case <-late:
					for _, k := range []*king{a, b} {
						heads, _, err := k.ledger.Heads(t.Context(), []area.Name{"north"})
						t.Errorf("%s finds %v %v; %+v", k.name, heads, err, k.keeper.Stats())
					}
					t.Fatal("nobody takes the area from the promoted replica")
				}
			}
			for range 20 { // renewals
				for _, k := range []*king{a, b} {
					k.keeper.Commit("north", reign.Commit{Core: []byte("{}")}, func(error) {})
				}
				pause(t.Context(), 50*time.Millisecond)
			}
			apart(t, a, b)
			t.Log(fmt.Sprint("hub-1 ", a.spans(), ", hub-2 ", b.spans()))
		})
	}
}
