package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/shared/sharedtest"
)

func TestChangeText(t *testing.T) {
	want := shared.Change{Name: shared.Name{Table: "t", Key: " a b "}, Stamp: shared.Stamp{Time: 7, Node: "n", Sum: 3}}
	if name, got, ok := parseChange(changeText("x.1", want)); name != "x.1" || got != want || !ok {
		t.Errorf("got %q, %+v, %v", name, got, ok)
	}
	for text, want := range map[string]string{"x.2": "x.2", "x.3 nothing t k": "x.3", "": "", "x.4 ": "x.4", "x.5  t k": "x.5"} {
		if name, _, ok := parseChange(text); name != want || ok {
			t.Errorf("%q: %q, %v", text, name, ok)
		}
	}
}

// change brings so many changes to the common copy, with numbers as their keys.
func change(t *testing.T, x *Tables, from, to int) {
	t.Helper()
	for part := range slices.Chunk(numbers(from, to), 200) {
		var list []shared.Entry
		for _, key := range part {
			n, _ := strconv.Atoi(key)
			list = append(list, shared.Entry{Name: shared.Name{Table: "t", Key: key}, Stamp: shared.Stamp{Time: uint64(n) + 1, Node: "n"}, Value: []byte{}})
		}
		if newer, err := x.Merge(t.Context(), list); err != nil || len(newer) > 0 {
			t.Fatal(newer, err)
		}
	}
}

func since(t *testing.T, x *Tables, mark string) (keys []string, next string) {
	t.Helper()
	list, next, err := x.Since(t.Context(), mark)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		keys = append(keys, c.Key)
	}
	return keys, next
}

func mark(t *testing.T, x *Tables) string {
	t.Helper()
	m, _, err := x.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestChangesOnce: each change comes once and in order, from however far back; the
// list is bounded, and one from before it is a gap.
func TestChangesOnce(t *testing.T) {
	e := startEngine(t)
	a, b := e.tables("a"), e.tables("b")
	first := mark(t, a)
	at, n := first, 0
	for _, more := range []int{1, 2, changesFirst - 1, changesFirst, fewChanges / 2} {
		change(t, b, n, n+more)
		keys, next := since(t, a, at)
		if want := numbers(n, n+more); !slices.Equal(keys, want) {
			t.Fatalf("after %d changes: %v", n, keys)
		}
		at, n = next, n+more
	}
	change(t, b, n, n+fewChanges-1)
	if keys, _ := since(t, a, at); len(keys) != fewChanges-1 {
		t.Errorf("%d changes, want %d", len(keys), fewChanges-1)
	}
	if kept, err := e.one.Do("LLEN", a.s.cfg.changesKey()); err != nil || kept != strconv.Itoa(fewChanges) {
		t.Errorf("the list has %s, %v", kept, err)
	}
	if _, _, err := a.Since(t.Context(), first); !errors.Is(err, shared.ErrGap) {
		t.Errorf("from the first mark: %v", err)
	}
}

// TestChangesTold: who waits for changes hears of them without looking, of other nodes'
// ones alone.
func TestChangesTold(t *testing.T) {
	e := startEngine(t)
	changesTold(t, e.tables("a"), e.tables("b"))
	e = startEngine(t)
	old := e.tables("a")
	old.s.resp2 = true // a server without RESP3
	changesTold(t, old, e.tables("b"))
}

func changesTold(t *testing.T, a, b *Tables) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), sharedtest.Patience)
	defer stop()
	at := mark(t, a)
	a.look = 0
	since(t, a, at)                  // it hears
	a.look = 2 * sharedtest.Patience // longer than the test waits
	change(t, b, 0, 1)
	_, at = since(t, a, at)
	for i := range 20 {
		heard := make(chan error, 1)
		go func() {
			list, next, err := a.Since(ctx, at)
			for err == nil && len(list) == 0 { // it may ring in vain
				list, next, err = a.Since(ctx, at)
			}
			if at = next; err == nil && (len(list) != 1 || list[0].Key != fmt.Sprint(i+1)) {
				err = fmt.Errorf("changes %v", list)
			}
			heard <- err
		}()
		change(t, b, i+1, i+2)
		if err := <-heard; err != nil {
			t.Fatal(err)
		}
	}
}

// TestChangesNotHeard: a node that hears no more of changes says so: it may have more
// than the server that is there now.
func TestChangesNotHeard(t *testing.T) {
	for _, old := range []bool{false, true} {
		e := startEngine(t)
		a := e.tables("a")
		a.s.resp2, a.look = old, sharedtest.Patience
		at, lost := mark(t, a), make(chan error, 1)
		go func() {
			_, _, err := a.Since(t.Context(), at)
			lost <- err
		}()
		sharedtest.Until(t, "it hears", func() bool {
			n, err := e.one.Do("PUBSUB", "NUMSUB", a.s.cfg.changesChannel())
			return err == nil && strings.HasSuffix(strings.TrimSpace(n), "1")
		})
		e.do("CLIENT", "KILL", "TYPE", "pubsub")
		if err := <-lost; err == nil || errors.Is(err, shared.ErrGap) { // any other says that the server is away
			t.Errorf("old protocol %v: %v", old, err)
		}
		a.look = 0
		since(t, a, at)
	}
}

// TestTablesReplicaPromoted: the server dies, and its replica, which may know less,
// takes its place.
func TestTablesReplicaPromoted(t *testing.T) {
	t.Parallel()
	p, e := startPair(t)
	a, b := sharedtest.Start(t, "a", e.tables("a"), nil), sharedtest.Start(t, "b", e.tables("b"), nil)
	sharedtest.Until(t, "both are connected", func() bool { return a.Stats().Connected && b.Stats().Connected })
	want := map[string]string{}
	for i := range 60 {
		if i == 40 {
			p.Master.Kill()
		}
		key := strconv.Itoa(i)
		a.Put(key, "of a")
		b.Put(key+" too", "of b")
		want[key], want[key+" too"] = "of a", "of b"
	}
	sharedtest.Become(t, want, a, b)
	if p.Replica.Role() != "master" {
		t.Error("the replica is not the server")
	}
}
