package redis

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/broker/proof/prooftest"
)

// records is what is in common, for one more node.
func (e *engine) records() proof.Common {
	e.t.Helper()
	s, err := NewServer(e.node("a"))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(s.Close)
	r := NewRecords(s)
	e.t.Cleanup(r.Close)
	return r
}

func TestRecords(t *testing.T) {
	site := startEngine(t).sites()
	prooftest.Test(t, func(t *testing.T) func() proof.Common { return site(t).records })
}

// TestRecordsOldProtocol: a server without RESP3.
func TestRecordsOldProtocol(t *testing.T) {
	site := startEngine(t).sites()
	prooftest.Test(t, func(t *testing.T) func() proof.Common {
		e := site(t)
		return func() proof.Common {
			r := e.records().(*Records)
			r.s.resp2 = true
			return r
		}
	})
}

// TestRecordsEnd: nothing stays for ever that nobody writes to, and a write puts the end
// of all that belongs to it off.
func TestRecordsEnd(t *testing.T) {
	e := startEngine(t)
	r := e.records().(*Records)
	begin := proof.Write{Name: "x", Texts: map[string]string{"x": "1"}, File: "f", Begin: true, Lines: []byte("1\n")}
	if done, err := r.Write(t.Context(), "n", begin); !done || err != nil {
		t.Fatal(done, err)
	}
	keys := []string{r.s.cfg.recordNodesKey(), r.s.cfg.recordTextsKey("n"), r.s.cfg.recordFileKey("n", "f")}
	ends := func(when string) {
		t.Helper()
		for _, key := range keys {
			if ms, err := e.one.Do("PTTL", key); err != nil || len(ms) < len("2000000000") {
				t.Errorf("%s %s ends in %s ms, %v", when, key, ms, err)
			}
		}
	}
	ends("once written")
	for _, key := range keys {
		e.do("PEXPIRE", key, "100000000")
	}
	if _, err := r.Keep(t.Context(), "n", "word", "x", []string{"f"}); err != nil {
		t.Fatal(err)
	}
	ends("once kept")
	e.do("HSET", r.s.cfg.recordNodesKey(), "old", "1")
	if nodes, err := r.Nodes(t.Context()); err != nil || len(nodes) != 1 || nodes[0] != "n" {
		t.Errorf("%v, %v", nodes, err)
	}
	if left, err := e.one.Do("HGET", r.s.cfg.recordNodesKey(), "old"); err != nil || left != "" {
		t.Errorf("who is long gone is not forgotten: %s, %v", left, err)
	}
}

// BenchmarkRecord is one record brought to the server, of 210 bytes.
func BenchmarkRecord(b *testing.B) {
	e := startEngine(b)
	s, err := NewServer(Config{URL: e.url, Node: "a"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r := NewRecords(s)
	defer r.Close()
	line := append(bytes.Repeat([]byte("x"), 209), '\n')
	was := ""
	for n := 0; b.Loop(); n++ {
		is := strconv.Itoa(n + 1)
		if done, err := r.Write(b.Context(), "n", proof.Write{Name: "x", Was: was, Texts: map[string]string{"x": is}, File: "f", Begin: n%1000 == 0, Lines: line}); !done || err != nil {
			b.Fatal(done, err)
		}
		was = is
	}
}
