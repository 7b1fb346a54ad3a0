package reign_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
	"github.com/tacet-hub/tacet/broker/reign/reigntest"
)

func TestContract(t *testing.T) {
	reigntest.Test(t, func(*testing.T) reigntest.Ledger {
		m := new(reign.Memory)
		return reigntest.Ledger{Join: func() reign.Store { return m }, Break: func() { m.Away(true); m.Away(false) }, Flush: m.Flush}
	})
}

// ttl is that of an area with a lease of 1 s.
const ttl = 1250*time.Millisecond + reign.Slack

// node is a keeper in a bubble, that follows north.
type node struct {
	t     *testing.T
	k     *reign.Keeper
	start time.Time
	stop  func()

	mu    sync.Mutex
	state reign.State
	term  uint64 // highest heard of: what a node has on its disk
}

func (n *node) clock() area.Instant { return area.Instant(time.Since(n.start)) + 1 }

func (n *node) heard(s reign.State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = s
	n.term = max(n.term, s.Term)
}

func (n *node) now() reign.State {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state
}

// reigns tells whether the node may grant at this moment.
func (n *node) reigns() bool {
	s := n.now()
	return s.Mine && n.clock() < s.Until
}

func join(t *testing.T, s reign.Store, name string, index, term uint64) *node {
	t.Helper()
	n := &node{t: t, start: time.Now(), term: term}
	k, err := reign.New(reign.Config{Node: name, Life: fmt.Sprint(name, rand.Uint64()), Index: index}, s, n.clock)
	if err != nil {
		t.Fatal(err)
	}
	n.k = k
	k.Follow("north", ttl, term, n.heard)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := k.Run(ctx); err != nil {
			t.Errorf("%s ends with %v", name, err)
		}
	})
	n.stop = sync.OnceFunc(func() { cancel(); run.Wait() })
	t.Cleanup(n.stop)
	return n
}

// after lets time pass and looks, each 50 ms, that no two reign at once; it answers
// when a node first did.
func after(t *testing.T, d time.Duration, nodes ...*node) (first time.Duration) {
	t.Helper()
	first = -1
	for start := time.Now(); time.Since(start) < d; time.Sleep(50 * time.Millisecond) {
		n := 0
		for _, x := range nodes {
			if x.reigns() {
				n++
			}
		}
		if n > 1 {
			t.Fatalf("after %v %d nodes reign", time.Since(start), n)
		}
		if n == 1 && first < 0 {
			first = time.Since(start)
		}
	}
	return first
}

// pair is two nodes, the first of which has the area.
func pair(t *testing.T, s reign.Store) (a, b *node) {
	a = join(t, s, "hub-1", 0, 0)
	after(t, ttl/2, a)
	b = join(t, s, "hub-2", 1, 0)
	after(t, ttl, a, b)
	if !a.reigns() || b.now().Owner != "hub-1" {
		t.Fatalf("hub-1 has %+v, hub-2 sees %+v", a.now(), b.now())
	}
	return a, b
}

// withPair is a bubble with a pair of nodes and their ledger.
func withPair(t *testing.T, then func(t *testing.T, m *reign.Memory, a, b *node)) {
	synctest.Test(t, func(t *testing.T) {
		m := new(reign.Memory)
		a, b := pair(t, m)
		defer b.stop()
		defer a.stop()
		then(t, m, a, b)
	})
}

func TestOneNodeTakesAnArea(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(reign.Memory)
		a, b := join(t, m, "hub-1", 0, 0), join(t, m, "hub-2", 1, 0)
		defer b.stop()
		defer a.stop()
		if first := after(t, 8*time.Second, a, b); first < ttl || first > ttl+time.Second {
			t.Errorf("the area is taken after %v, want %v or a little more: also a cold start waits", first, ttl)
		}
		if a.reigns() == b.reigns() {
			t.Errorf("hub-1 has %+v, hub-2 sees %+v", a.now(), b.now())
		}
		for i, n := range []*node{a, b} {
			if s := n.now(); s.Mine && (s.Term%64 != uint64(i) || s.Term == 0) {
				t.Errorf("term %d is not congruent to the index %d", s.Term, i)
			}
		}
	})
}

func TestAnAreaIsHandedOn(t *testing.T) {
	withPair(t, func(t *testing.T, _ *reign.Memory, a, b *node) {
		before := a.now().Term
		wrote := make(chan error, 2)
		a.k.Commit("north", reign.Commit{Core: []byte("last"), Term: before + 64}, func(err error) { wrote <- err })
		a.k.GiveUp("north", func(err error) { wrote <- err })
		if e1, e2 := <-wrote, <-wrote; e1 != nil || e2 != nil {
			t.Fatalf("the last record: %v, %v", e1, e2)
		}
		if first := after(t, 3*time.Second, a, b); first < 0 || first > 1500*time.Millisecond {
			t.Errorf("handed on after %v, want at the next look", first)
		}
		if s := b.now(); !s.Mine || s.Term <= before+64 {
			t.Errorf("hub-2 has %+v, want a term above %d", s, before+64)
		}
	})
}

// TestALostNode: who dies is waited for, and what it wrote is found.
func TestALostNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(reign.Memory)
		a, b := pair(t, m)
		defer b.stop()
		wrote := make(chan error, 1)
		a.k.Commit("north", reign.Commit{Core: []byte("rec"), Led: []byte("led")}, func(err error) { wrote <- err })
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		var begun reign.State
		b.k.Follow("north", ttl, 0, func(s reign.State) {
			if s.Begun {
				begun = s
			}
			b.heard(s)
		})
		a.stop()
		if first := after(t, 15*time.Second, b); first < ttl-leastGap || first > ttl+2*time.Second {
			t.Errorf("taken over after %v, want about %v", first, ttl)
		}
		if string(begun.Core) != "rec" || string(begun.Led) != "led" {
			t.Errorf("the next reign begins with %q and %q", begun.Core, begun.Led)
		}
	})
}

const leastGap = 1100 * time.Millisecond // the wait counts from a look, at most one beat after the write

func TestTheLedgerIsAway(t *testing.T) {
	withPair(t, func(t *testing.T, m *reign.Memory, a, b *node) {
		m.Away(true)
		after(t, ttl, a, b)
		if a.reigns() || a.now().Mine {
			t.Errorf("without a ledger hub-1 still has %+v", a.now())
		}
		failed := make(chan error, 1)
		a.k.Commit("north", reign.Commit{Core: []byte("x")}, func(err error) { failed <- err })
		if err := <-failed; err == nil {
			t.Error("a record is durable without a ledger")
		}
		after(t, 20*time.Second, a, b)
		m.Away(false)
		if first := after(t, 15*time.Second, a, b); first < ttl || first > ttl+2*time.Second {
			t.Errorf("with the ledger back an area is taken after %v, want %v", first, ttl)
		}
	})
}

func TestTheLedgerIsFlushed(t *testing.T) {
	withPair(t, func(t *testing.T, m *reign.Memory, a, b *node) {
		before := a.now().Term
		m.Flush()
		time.Sleep(1100 * time.Millisecond) // the next renewal
		if a.now().Mine {
			t.Error("a node goes on after another record was found")
		}
		if first := after(t, 15*time.Second, a, b); first < ttl-leastGap {
			t.Errorf("taken after %v", first)
		}
		for _, n := range []*node{a, b} {
			if s := n.now(); s.Mine && s.Term <= before {
				t.Errorf("the term is %d again, after %d", s.Term, before)
			}
		}
	})
}

// TestALostAnswer: a write that was done though nobody heard of it is known for
// our own.
func TestALostAnswer(t *testing.T) {
	withPair(t, func(t *testing.T, m *reign.Memory, a, b *node) {
		m.LoseAnswers(true)
		after(t, 2*time.Second, a, b)
		m.LoseAnswers(false)
		after(t, 20*time.Second, a, b)
		if !a.reigns() || a.k.Stats().Lost != 0 {
			t.Errorf("hub-1 has lost the area, or found it anew: %+v", a.k.Stats())
		}
	})
}

// TestFaults has three nodes with a ledger that fails in every way for a day, at
// each seed, and looks that no two ever reign.
func TestFaults(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 1))
			m := new(reign.Memory)
			nodes := []*node{join(t, m, "hub-1", 0, 0), join(t, m, "hub-2", 1, 0), join(t, m, "hub-3", 2, 0)}
			terms := map[uint64]string{}
			for range 300 {
				i := dice.IntN(len(nodes))
				switch dice.IntN(8) {
				case 0:
					m.Away(true)
				case 1, 2, 3:
					m.Away(false)
					m.LoseAnswers(false)
				case 4:
					m.LoseAnswers(true)
				case 5:
					m.Flush()
				case 6:
					nodes[i].stop()
					nodes[i] = join(t, m, fmt.Sprintf("hub-%d", i+1), uint64(i), nodes[i].term)
				case 7:
					n := nodes[i]
					n.heard(reign.State{}) // its arbiter has stopped
					n.k.GiveUp("north", func(error) { n.k.Follow("north", ttl, 0, n.heard) })
				}
				after(t, time.Duration(dice.IntN(12000))*time.Millisecond, nodes...)
				for _, n := range nodes {
					if s := n.now(); s.Mine {
						if by, known := terms[s.Term]; known && by != s.Life {
							t.Fatalf("seed %d: two reigns have the term %d", seed, s.Term)
						}
						terms[s.Term] = s.Life
					}
				}
			}
			for _, n := range nodes {
				n.stop()
			}
			if len(terms) < 10 {
				t.Errorf("seed %d: only %d reigns", seed, len(terms))
			}
		})
	}
}
