package redis

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
	"github.com/tacet-hub/tacet/broker/reign/reigntest"
)

func (e *engine) ledger(name string) *Reigns {
	e.t.Helper()
	s, err := NewServer(e.node(name))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(s.Close)
	r := NewReigns(s)
	e.t.Cleanup(r.Close)
	return r
}

func reignLedger(e *engine) reigntest.Ledger {
	return reigntest.Ledger{
		Join:  func() reign.Store { return e.ledger("hub-1") },
		Break: func() { e.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") },
		Flush: func() { e.do("FLUSHALL") },
	}
}

func TestReignsContract(t *testing.T) {
	reigntest.Test(t, func(t *testing.T) reigntest.Ledger { return reignLedger(startEngine(t)) })
}

// TestReignsOldProtocol: a server without RESP3.
func TestReignsOldProtocol(t *testing.T) {
	reigntest.Test(t, func(t *testing.T) reigntest.Ledger {
		e := startEngine(t)
		l := reignLedger(e)
		l.Join = func() reign.Store {
			r := e.ledger("hub-1")
			r.s.resp2 = true
			return r
		}
		return l
	})
}

// TestReignsOfAReplica: a server that takes no writes is no ledger, and what was
// seen over the connection to it counts no more.
func TestReignsOfAReplica(t *testing.T) {
	e := startEngine(t)
	r := e.ledger("hub-1")
	north := []area.Name{"north"}
	_, before, err := r.Heads(t.Context(), north)
	if err != nil {
		t.Fatal(err)
	}
	e.do("REPLICAOF", "127.0.0.1", "1")
	if heads, _, err := r.Heads(t.Context(), north); err == nil {
		t.Errorf("a replica answers %q", heads)
	}
	if out, _, err := r.Swap(t.Context(), []reign.Change{{Area: "north", Head: "1"}}); err == nil {
		t.Errorf("a replica writes: %+v", out)
	}
	e.do("REPLICAOF", "NO", "ONE")
	if _, after, err := r.Heads(t.Context(), north); err != nil || after == before {
		t.Errorf("afterwards the connection is %d as before, %v", after, err)
	}
}

// TestReignsMeanwhile: an entry that is written between the look and the write is
// not overwritten.
func TestReignsMeanwhile(t *testing.T) {
	e := startEngine(t)
	a, b := e.ledger("hub-1"), e.ledger("hub-2")
	list := []reign.Change{{Area: "north", Head: "a"}, {Area: "south", Head: "a"}}
	a.mu.Lock()
	out, err := a.compare(t.Context(), list)
	a.mu.Unlock()
	if err != nil || !out[0].Done || !out[1].Done {
		t.Fatalf("compared: %+v %v", out, err)
	}
	if _, _, err := b.Swap(t.Context(), []reign.Change{{Area: "south", Head: "b"}}); err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	err = a.set(t.Context(), list, out)
	a.mu.Unlock()
	if err != nil || out[0].Done || out[1].Done {
		t.Errorf("set: %+v %v, want neither", out, err)
	}
	if heads, _, err := a.Heads(t.Context(), []area.Name{"north", "south"}); err != nil || heads[0] != "" || heads[1] != "b" {
		t.Errorf("heads %q %v, want none and b", heads, err)
	}
}

// TestReignsAreAway: a server that is killed is away; the connection to one that is
// back is another one.
func TestReignsAreAway(t *testing.T) {
	e := startEngine(t)
	r := e.ledger("hub-1")
	if _, _, err := r.Heads(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	e.kill()
	if _, _, err := r.Heads(t.Context(), nil); err == nil {
		t.Error("a killed server answers")
	}
	e.start()
	for end := time.Now().Add(backplanetest.Patience); ; {
		_, link, err := r.Heads(t.Context(), nil)
		if err == nil {
			if link < 2 {
				t.Errorf("the connection is %d, as before", link)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("a server that is back does not answer: %v", err)
		}
	}
}

func BenchmarkReigns(b *testing.B) {
	e := startEngine(b)
	r := e.ledger("hub-1")
	was := ""
	for i := range b.N {
		head := itoa(i + 1)
		out, _, err := r.Swap(b.Context(), []reign.Change{{Area: "north", Was: was, Head: head, Core: []byte(`{"v":1,"term":64,"alive_ms":6250}`)}})
		if err != nil || !out[0].Done {
			b.Fatalf("%+v %v", out, err)
		}
		was = head
	}
}

func TestNodesHaveNumbers(t *testing.T) {
	e := startEngine(t)
	r := e.ledger("hub-1")
	for _, c := range []struct {
		node string
		kept int
		want uint64
	}{{"hub-1", -1, 0}, {"hub-2", -1, 1}, {"hub-1", -1, 0}, {"hub-2", 1, 1}, {"hub-3", 1, 2}, {"hub-4", 7, 7}} {
		if got, err := r.Index(t.Context(), c.node, c.kept, 8); err != nil || got != c.want {
			t.Errorf("%s, which had %d, gets %d %v, want %d", c.node, c.kept, got, err, c.want)
		}
	}
	for _, n := range []string{"a", "b", "c", "d"} {
		if _, err := r.Index(t.Context(), n, -1, 8); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	if n, err := r.Index(t.Context(), "one-too-many", -1, 8); err == nil {
		t.Errorf("a ninth node of eight gets %d", n)
	}
}

// One node alone is the first, and stays it.
func TestFirst(t *testing.T) {
	e := startEngine(t)
	a, b := e.ledger("hub-1").s, e.ledger("hub-2").s
	for _, c := range []struct {
		s    *Server
		what string
		want bool
	}{{a, "x", true}, {b, "x", false}, {a, "x", true}, {b, "y", true}, {a, "y", false}} {
		if got, err := c.s.First(t.Context(), c.what, time.Hour); err != nil || got != c.want {
			t.Errorf("%s and %s: %v %v, want %v", c.s.cfg.Node, c.what, got, err, c.want)
		}
	}
	e.kill()
	if first, err := a.First(t.Context(), "z", time.Hour); err == nil {
		t.Errorf("without a server: %v", first)
	}
}
