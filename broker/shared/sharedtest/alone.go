package sharedtest

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/shared"
)

// TestTable runs the contract of a table of one node, with nil or a common copy of
// its own.
func TestTable(t *testing.T, common func(t *testing.T) shared.Common) {
	for name, part := range map[string]func(*testing.T, *Node, func() shared.Common){
		"put and delete": putAndDelete, "in order": inOrder, "limits": limits, "if": putIf, "if deletes": putIfDeletes, "one of many": oneOfMany, "reopened": reopened,
	} {
		t.Run(name, func(t *testing.T) {
			c := common(t)
			part(t, Start(t, "a", c, nil), func() shared.Common { return c })
		})
	}
}

func putAndDelete(t *testing.T, n *Node, _ func() shared.Common) {
	if got := n.Has(); len(got) != 0 {
		t.Errorf("a new table has %v", got)
	}
	n.Put("one", "1")
	n.Put("two", "2")
	n.Put("two", "")
	n.Put("three", "3")
	n.Delete("three")
	n.Delete("four")
	if got, want := n.Has(), map[string]string{"one": "1", "two": ""}; !maps.Equal(got, want) {
		t.Errorf("it has %v, want %v", got, want)
	}
	for key, want := range map[string]string{"one": "1", "two": "", "three": "nothing", "four": "nothing"} {
		value, ok, err := n.T.Get(key)
		if err != nil || text(value) != want || ok != (want != "nothing") {
			t.Errorf("get %s: %q, %v, %v, want %q", key, value, ok, err, want)
		}
	}
	if told := n.Told(); len(told) != 0 {
		t.Errorf("the node was told of its own changes: %v", told)
	}
}

func inOrder(t *testing.T, n *Node, _ func() shared.Common) {
	var all sync.WaitGroup
	var last atomic.Int64
	for i := range 100 {
		all.Add(1)
		n.T.PutAsync("k", []byte{byte(i)}, func(err error) {
			defer all.Done()
			if was := last.Swap(int64(i)); err != nil || was > int64(i) {
				t.Errorf("change %d is told after %d: %v", i, was, err)
			}
		})
	}
	all.Wait()
	if got := n.Has()["k"]; got != "\x63" {
		t.Errorf("it has %q, want the last", got)
	}
}

func limits(t *testing.T, n *Node, _ func() shared.Common) {
	for name, c := range map[string]struct {
		key  string
		size int
		want area.Code
	}{
		"no key": {"", 1, area.CodeInvalid}, "long key": {strings.Repeat("k", 901), 1, area.CodeInvalid},
		"longest key": {strings.Repeat("k", 900), 1, ""}, "longest value": {"k", 1 << 20, ""}, "long value": {"k", 1<<20 + 1, area.CodeTooLarge},
	} {
		err := n.T.Put(t.Context(), c.key, make([]byte, c.size))
		if got := area.CodeOf(err); err != nil && got != c.want || err == nil && c.want != "" {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func putIf(t *testing.T, n *Node, _ func() shared.Common) {
	for _, c := range []struct {
		name       string
		old, value []byte
		done       bool
		found      string
	}{
		{"from nothing", nil, []byte("1"), true, ""},
		{"from nothing again", nil, []byte("2"), false, "1"},
		{"from what is there", []byte("1"), []byte(""), true, ""},
		{"from what was there", []byte("1"), []byte("3"), false, ""},
		{"from empty", []byte(""), []byte("3"), true, ""},
	} {
		found, done, err := n.T.PutIf(t.Context(), "k", c.old, c.value)
		if err != nil || done != c.done || !done && text(found) != c.found {
			t.Errorf("%s: found %q, done %v, %v, want %+v", c.name, found, done, err, c)
		}
	}
	if got := n.Has()["k"]; got != "3" {
		t.Errorf("it has %q, want 3", got)
	}
	n.Put("k", "4")
	if _, done, err := n.T.PutIf(t.Context(), "k", []byte("4"), []byte("5")); !done || err != nil {
		t.Errorf("after a put: %v, %v", done, err)
	}
}

func putIfDeletes(t *testing.T, n *Node, _ func() shared.Common) {
	n.Put("k", "1")
	if _, done, err := n.T.PutIf(t.Context(), "k", []byte("1"), nil); !done || err != nil {
		t.Fatalf("delete: %v, %v", done, err)
	}
	if found, done, err := n.T.PutIf(t.Context(), "k", []byte("1"), nil); done || err != nil || found != nil {
		t.Errorf("delete again: %q, %v, %v", found, done, err)
	}
	if _, done, err := n.T.PutIf(t.Context(), "k", nil, []byte("2")); !done || err != nil {
		t.Errorf("make again: %v, %v", done, err)
	}
	if got := n.Has(); !maps.Equal(got, map[string]string{"k": "2"}) {
		t.Errorf("it has %v", got)
	}
}

func oneOfMany(t *testing.T, n *Node, _ func() shared.Common) { oneWins(t, n) }

// oneWins has many try to be the first, at each node.
func oneWins(t *testing.T, nodes ...*Node) {
	t.Helper()
	for _, key := range []string{"x", "y", "z"} {
		var won atomic.Int64
		var all sync.WaitGroup
		for _, n := range nodes {
			for i := range 8 {
				all.Go(func() {
					_, done, err := n.T.PutIf(t.Context(), key, nil, []byte{'a' + byte(i)})
					if err != nil {
						t.Errorf("node %s: %v", n.name, err)
					}
					if done {
						won.Add(1)
					}
				})
			}
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%d are the first with %s, want one", won.Load(), key)
		}
	}
}

func reopened(t *testing.T, n *Node, common func() shared.Common) {
	n.Put("one", "1")
	n.Put("two", "2")
	n.Delete("two")
	n.Stop()
	n.Again(common())
	Become(t, map[string]string{"one": "1"}, n)
}
