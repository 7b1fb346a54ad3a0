package replaytest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// Patience bounds how long an event may take; a test that waits longer fails.
const Patience = time.Minute

// Store is what the logs of several nodes have in common.
type Store interface {
	// Log is that of one more node. It numbers all groups but those that begin with
	// "own".
	Log(t testing.TB) signalr.Log
	// Forget empties the store.
	Forget(t testing.TB)
	// Snapshot keeps what it has of a group, to which restore sets it back.
	Snapshot(t testing.TB, group string) (restore func())
	// Away has it not answer, or answer again.
	Away(t testing.TB, away bool)
}

// Numbers is which groups the logs of a [Store] number.
func Numbers(group string) bool { return !strings.HasPrefix(group, "own") }

// appended waits for the places of records.
func appended(t testing.TB, l signalr.Log, group string, records ...string) (list []signalr.Position) {
	t.Helper()
	type place struct {
		at  signalr.Position
		err error
	}
	places := make(chan place, len(records))
	for _, r := range records {
		l.Append(group, []byte(r), func(at signalr.Position, err error) { places <- place{at, err} })
	}
	for range records {
		select {
		case p := <-places:
			if p.err != nil {
				t.Fatal(p.err)
			}
			list = append(list, p.at)
		case <-time.After(Patience):
			t.Fatal("no place")
		}
	}
	return list
}

func open(t testing.TB, l signalr.Log, group, behind string) signalr.Position {
	t.Helper()
	at, err := l.Open(t.Context(), []string{group}, []string{behind})
	if err != nil {
		t.Fatal(err)
	}
	return at[0]
}

func since(t testing.TB, l signalr.Log, group string, from signalr.Position) string {
	t.Helper()
	list, gap, err := l.Since(t.Context(), group, from)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range list {
		all = append(all, fmt.Sprintf("%d:%s", r.At.Offset, r.Body))
	}
	return strings.Join(all, " ") + fmt.Sprint(" ", gap)
}

// Test runs the contract.
func Test(t *testing.T, stores func(*testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){"numbers": numbers, "positions": positions, "epochs": epochs, "two write": twoWrite, "bounded": bounded} {
		t.Run(name, func(t *testing.T) { test(t, stores(t)) })
	}
}

func numbers(t *testing.T, s Store) {
	a, b := s.Log(t), s.Log(t)
	if !a.Numbers("g") || a.Numbers("own g") {
		t.Error("numbers the wrong groups")
	}
	begin := open(t, a, "g", "")
	if begin.Epoch == "" || begin.Offset != 0 {
		t.Errorf("a new group stands at %v", begin)
	}
	for i, at := range appended(t, a, "g", "x", "y", "z") {
		if at.Epoch != begin.Epoch || at.Offset != uint64(i+1) {
			t.Errorf("event %d is at %v", i, at)
		}
	}
	if at := appended(t, b, "g", "u")[0]; at != (signalr.Position{Epoch: begin.Epoch, Offset: 4}) {
		t.Errorf("of another node at %v", at)
	}
	if at := open(t, b, "g", ""); at.Offset != 4 {
		t.Errorf("stands at %v", at)
	}
	if at := appended(t, b, "h", "u")[0]; at.Offset != 1 {
		t.Errorf("the first of a group that nobody opened is at %v", at)
	}
}

func positions(t *testing.T, s Store) {
	l := s.Log(t)
	e := appended(t, l, "g", "a", "b", "c\x00\xff")[0].Epoch
	for _, c := range []struct {
		from signalr.Position
		want string
	}{
		{signalr.Position{Epoch: e}, "1:a 2:b 3:c\x00\xff false"}, {signalr.Position{Epoch: e, Offset: 2}, "3:c\x00\xff false"},
		{signalr.Position{Epoch: e, Offset: 3}, " false"}, {signalr.Position{Epoch: e, Offset: 4}, " true"},
		{signalr.Position{Epoch: "7777777777777777"}, " true"}, {signalr.Position{Epoch: "no number", Offset: 1}, " true"}, {signalr.Position{}, " true"},
	} {
		if got := since(t, l, "g", c.from); got != c.want {
			t.Errorf("since %v: got %q, want %q", c.from, got, c.want)
		}
	}
	if got := since(t, l, "nothing", signalr.Position{Epoch: e}); got != " true" {
		t.Errorf("of a group without events: %q", got)
	}
}

func epochs(t *testing.T, s Store) {
	a, b := s.Log(t), s.Log(t)
	first := appended(t, a, "g", "a", "b")[1]
	if at := open(t, a, "g", "0"); at != first {
		t.Errorf("behind any: %v", at)
	}
	second := open(t, a, "g", first.Epoch)
	if !signalr.Later(second.Epoch, first.Epoch) || second.Offset != 0 {
		t.Errorf("%v after %v", second, first)
	}
	if at := open(t, b, "g", first.Epoch); at != second {
		t.Errorf("another node begins one more: %v", at)
	}
	if at := appended(t, b, "g", "c")[0]; at != (signalr.Position{Epoch: second.Epoch, Offset: 1}) {
		t.Errorf("in the new epoch at %v", at)
	}
	if at := appended(t, a, "g", "d")[0]; at != (signalr.Position{Epoch: second.Epoch, Offset: 2}) {
		t.Errorf("of a node that knew the old one at %v", at)
	}
	if got := since(t, a, "g", first); got != " true" {
		t.Errorf("since the old one: %q", got)
	}
	if got := since(t, a, "g", signalr.Position{Epoch: first.Epoch, Offset: 1}); got != "2:b true" {
		t.Errorf("of the old one: %q", got)
	}
	s.Forget(t)
	at := appended(t, a, "g", "e")[0]
	if !signalr.Later(at.Epoch, second.Epoch) || at.Offset != 1 {
		t.Errorf("after everything was forgotten at %v", at)
	}
	if got := since(t, b, "g", signalr.Position{Epoch: second.Epoch, Offset: 1}); got != " true" {
		t.Errorf("since what was forgotten: %q", got)
	}
}

// twoWrite: two nodes that write one group number it together, without holes.
func twoWrite(t *testing.T, s Store) {
	const each = 200
	var tasks sync.WaitGroup
	var mu sync.Mutex
	var all []uint64
	open(t, s.Log(t), "g", "")
	for range 2 {
		l := s.Log(t)
		tasks.Go(func() {
			for range each / 10 {
				for _, at := range appended(t, l, "g", slices.Repeat([]string{"x"}, 10)...) {
					mu.Lock()
					all = append(all, at.Offset)
					mu.Unlock()
				}
			}
		})
	}
	tasks.Wait()
	slices.Sort(all)
	for i, n := range all {
		if n != uint64(i+1) {
			t.Fatalf("event %d has number %d", i+1, n)
		}
	}
}

// bounded: the oldest go, and who asks for them is told.
func bounded(t *testing.T, s Store) {
	l := s.Log(t)
	var last signalr.Position
	for range 30 {
		at := appended(t, l, "g", slices.Repeat([]string{"x"}, 100)...)
		last = at[len(at)-1]
	}
	list, gap, err := l.Since(context.Background(), "g", signalr.Position{Epoch: last.Epoch})
	if err != nil || !gap || len(list) < 900 || len(list) > 1200 || list[len(list)-1].At != last {
		t.Errorf("%d are kept, gap %v, %v", len(list), gap, err)
	}
}
