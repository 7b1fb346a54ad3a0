package reigntest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// Ledger is one ledger: Join gives each node its own store of it, Break ends every
// connection, and Flush forgets everything.
type Ledger struct {
	Join  func() reign.Store
	Break func()
	Flush func()
}

// Test runs the contract. Each part has a ledger of its own, made by open.
func Test(t *testing.T, open func(t *testing.T) Ledger) {
	for name, part := range map[string]func(*testing.T, Ledger){
		"empty": empty, "compare and set": compareAndSet, "records": records, "several areas": several, "one of many": oneOfMany,
		"another connection": anotherConnection, "flushed": flushed,
	} {
		t.Run(name, func(t *testing.T) { part(t, open(t)) })
	}
}

func heads(t *testing.T, s reign.Store, areas ...area.Name) ([]string, uint64) {
	t.Helper()
	list, link, err := s.Heads(t.Context(), areas)
	if err != nil || len(list) != len(areas) || link == 0 {
		t.Fatalf("heads of %v: %q, connection %d, %v", areas, list, link, err)
	}
	return list, link
}

func swap(t *testing.T, s reign.Store, c ...reign.Change) []reign.Result {
	t.Helper()
	out, link, err := s.Swap(t.Context(), c)
	if err != nil || len(out) != len(c) || link == 0 {
		t.Fatalf("%d changes: %d results, connection %d, %v", len(c), len(out), link, err)
	}
	return out
}

func empty(t *testing.T, l Ledger) {
	if h, _ := heads(t, l.Join(), "north", "south"); h[0] != "" || h[1] != "" {
		t.Errorf("an empty ledger has the heads %q", h)
	}
	if h, _ := heads(t, l.Join()); len(h) != 0 {
		t.Errorf("no area has the heads %q", h)
	}
}

func compareAndSet(t *testing.T, l Ledger) {
	a, b := l.Join(), l.Join()
	for _, c := range []struct {
		name     string
		by       reign.Store
		was, set string
		done     bool
		found    string
	}{
		{"from nothing", a, "", "one", true, ""},
		{"from nothing again", b, "", "two", false, "one"},
		{"from what is there", b, "one", "two", true, "one"},
		{"from what was there", a, "one", "three", false, "two"},
		{"by the same", b, "two", "three", true, "two"},
	} {
		r := swap(t, c.by, reign.Change{Area: "north", Was: c.was, Head: c.set})[0]
		if r.Done != c.done || r.Found != c.found {
			t.Errorf("%s: %+v, want done %v, found %q", c.name, r, c.done, c.found)
		}
	}
	if h, _ := heads(t, a, "north"); h[0] != "three" {
		t.Errorf("the head is %q, want three", h[0])
	}
}

func records(t *testing.T, l Ledger) {
	a, b := l.Join(), l.Join()
	swap(t, a, reign.Change{Area: "north", Head: "1", Core: []byte("core\x00\r\n1"), Led: []byte("led 1")})
	swap(t, a, reign.Change{Area: "north", Was: "1", Head: "2", Led: []byte("led 2")})
	swap(t, b, reign.Change{Area: "north", Was: "1", Head: "x", Core: []byte("never")})
	swap(t, a, reign.Change{Area: "north", Was: "2", Head: "3"})
	r := swap(t, b, reign.Change{Area: "north", Was: "3", Head: "4", Read: true})[0]
	if !r.Done || string(r.Core) != "core\x00\r\n1" || string(r.Led) != "led 2" {
		t.Errorf("got %v core %q led %q, want core 1 and led 2", r.Done, r.Core, r.Led)
	}
	if r := swap(t, b, reign.Change{Area: "south", Head: "1", Read: true})[0]; r.Core != nil || r.Led != nil {
		t.Errorf("a new area has core %q, led %q", r.Core, r.Led)
	}
}

func several(t *testing.T, l Ledger) {
	a := l.Join()
	swap(t, a, reign.Change{Area: "north", Head: "n1"})
	out := swap(t, a, reign.Change{Area: "north", Was: "old", Head: "n2"}, reign.Change{Area: "south", Head: "s1"}, reign.Change{Area: "west", Was: "w", Head: "w2"})
	if out[0].Done || !out[1].Done || out[2].Done || out[0].Found != "n1" {
		t.Errorf("got %+v, want the second done alone", out)
	}
	if h, _ := heads(t, l.Join(), "west", "north", "south"); h[0] != "" || h[1] != "n1" || h[2] != "s1" {
		t.Errorf("heads %q, want none, n1, s1", h)
	}
}

// oneOfMany: of nodes that want the same at once one has it.
func oneOfMany(t *testing.T, l Ledger) {
	nodes := []reign.Store{l.Join(), l.Join(), l.Join()}
	was := ""
	for round := range 50 {
		var won atomic.Int64
		var next atomic.Value
		var all sync.WaitGroup
		for i, n := range nodes {
			head := fmt.Sprintf("%d of %d", i, round)
			all.Go(func() {
				out, _, err := n.Swap(t.Context(), []reign.Change{{Area: "north", Was: was, Head: head}})
				if err == nil && out[0].Done {
					won.Add(1)
					next.Store(head)
				}
			})
		}
		all.Wait()
		if h, _ := heads(t, nodes[0], "north"); won.Load() != 1 || h[0] != next.Load() {
			t.Fatalf("round %d: %d have it, the head is %q", round, won.Load(), h[0])
		}
		was = next.Load().(string)
	}
}

// anotherConnection: what was seen over a connection that is broken counts no
// more.
func anotherConnection(t *testing.T, l Ledger) {
	a := l.Join()
	swap(t, a, reign.Change{Area: "north", Head: "1"})
	_, link := heads(t, a, "north")
	if r := swap(t, a, reign.Change{Area: "north", Was: "1", Head: "2", Link: link})[0]; !r.Done {
		t.Errorf("over the same connection: %+v, want done", r)
	}
	l.Break()
	var again uint64
	for end := time.Now().Add(time.Minute); again == 0 || again == link; {
		_, n, err := a.Heads(t.Context(), []area.Name{"north"})
		if err == nil {
			again = n
		}
		if time.Now().After(end) {
			t.Fatalf("the connection is still %d, after it was broken: %v", again, err)
		}
	}
	if r := swap(t, a, reign.Change{Area: "north", Was: "2", Head: "3", Link: link})[0]; r.Done || r.Found != "2" {
		t.Errorf("over another connection: %+v, want not done, found 2", r)
	}
	if r := swap(t, a, reign.Change{Area: "north", Was: "2", Head: "3"})[0]; !r.Done {
		t.Errorf("over any connection: %+v, want done", r)
	}
}

func flushed(t *testing.T, l Ledger) {
	a := l.Join()
	swap(t, a, reign.Change{Area: "north", Head: "1", Core: []byte("c")})
	l.Flush()
	if h, _ := heads(t, a, "north"); h[0] != "" {
		t.Errorf("after a flush the head is %q", h[0])
	}
	if r := swap(t, a, reign.Change{Area: "north", Was: "1", Head: "2"})[0]; r.Done || r.Found != "" {
		t.Errorf("after a flush %+v, want not done, found nothing", r)
	}
}
