package sharedtest

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/shared"
)

// Site is one common copy: Join gives each node its own way to it. The others make it
// fail, as a server does.
type Site struct {
	Join     func(name string) shared.Common
	Away     func(away bool)
	Flush    func()
	Snapshot func() (restore func())
	Kept     int // changes that it keeps, about
}

// TestNodes runs the contract of tables of several nodes. Each part has a common copy
// of its own, made by open.
func TestNodes(t *testing.T, open func(t *testing.T) Site) {
	for name, part := range map[string]func(*testing.T, Site){
		"spreads": spreads, "a later node": laterNode, "the newest stays": newestStays, "conflict": conflict, "deletion against put": deletionAgainstPut, "one of all": oneOfAll,
		"away": away, "if away": ifAway, "flushed": flushed, "set back": setBack, "gap": gap, "away for an hour": awayForAnHour, "away for too long": awayForTooLong,
		"a clock that steps back": clockBack, "alone for a while": aloneForAWhile, "what was before": whatWasBefore, "a watcher and its own": watcherAndOwn, "large": large,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			part(t, open(t))
		})
	}
}

func two(t *testing.T, s Site) (a, b *Node) {
	t.Helper()
	a, b = Start(t, "a", s.Join("a"), nil), Start(t, "b", s.Join("b"), nil)
	connected(t, a)
	connected(t, b)
	return a, b
}

func connected(t *testing.T, n *Node) {
	t.Helper()
	Until(t, n.name+" is connected", func() bool { return n.Stats().Connected })
}

func toldIs(t *testing.T, n *Node, want map[string]string) {
	t.Helper()
	Until(t, fmt.Sprintf("node %s is told %v", n.name, want), func() bool { return maps.Equal(n.Told(), want) })
}

func spreads(t *testing.T, s Site) {
	a, b := two(t, s)
	a.Put("one", "1")
	b.Put("two", "")
	Become(t, map[string]string{"one": "1", "two": ""}, a, b)
	toldIs(t, b, map[string]string{"one": "1"})
	toldIs(t, a, map[string]string{"two": ""})
	b.Put("one", "I")
	a.Delete("two")
	Become(t, map[string]string{"one": "I"}, a, b)
	toldIs(t, a, map[string]string{"two": "", "one": "I"})
	toldIs(t, b, map[string]string{"two": "nothing", "one": "1"})
	if err := b.Table("u").Put(t.Context(), "one", []byte("of another table")); err != nil {
		t.Fatal(err)
	}
	Until(t, "the other table spreads", func() bool {
		value, _, err := a.Table("u").Get("one")
		return err == nil && string(value) == "of another table"
	})
	Become(t, map[string]string{"one": "I"}, a, b)
}

// laterNode: one that joins has everything before its owners load, if it asks.
func laterNode(t *testing.T, s Site) {
	a := Start(t, "a", s.Join("a"), nil)
	want := map[string]string{}
	for i := range 600 {
		want[fmt.Sprint(i)] = "v"
		a.T.PutAsync(fmt.Sprint(i), []byte("v"), func(error) {})
	}
	a.Put("last", "v")
	a.Delete("0")
	delete(want, "0")
	want["last"] = "v"
	Become(t, want, a)
	b := Start(t, "b", nil, nil)
	b.Stop()
	b.Open(s.Join("b"))
	if err := b.Catch(t.Context()); err != nil || !maps.Equal(b.Has(), want) {
		t.Errorf("the later node has %d records, want %d: %v", len(b.Has()), len(want), err)
	}
}

// Clock is a clock that is set by hand.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock shows the time of now.
func NewClock() *Clock { return &Clock{at: time.Now()} }

// Now is what it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Step moves it, back too.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// newestStays: two nodes that cannot hear each other change the same.
func newestStays(t *testing.T, s Site) {
	clock := NewClock()
	a, b := Start(t, "a", s.Join("a"), clock.Now), Start(t, "b", s.Join("b"), clock.Now)
	s.Away(true)
	a.Put("x", "of a, first")
	b.Put("y", "of b, first")
	clock.Step(time.Second)
	b.Put("x", "of b, last")
	a.Put("y", "of a, last")
	s.Away(false)
	Become(t, map[string]string{"x": "of b, last", "y": "of a, last"}, a, b)
	for i := range 20 { // at the same time, while they hear each other
		var both sync.WaitGroup
		for _, n := range []*Node{a, b} {
			both.Go(func() { n.Put("z", fmt.Sprint(n.name, i)) })
		}
		both.Wait()
	}
	same(t, a, b)
}

// conflict: a node hears that what it owes was replaced.
func conflict(t *testing.T, s Site) {
	clock := NewClock()
	a := Start(t, "a", s.Join("a"), clock.Now)
	a.Stop()
	a.Open(s.Join("a"))
	a.Put("k", "of a")
	clock.Step(time.Second)
	b := Start(t, "b", s.Join("b"), clock.Now)
	b.Put("k", "of b")
	Become(t, map[string]string{"k": "of b"}, b)
	a.Serve()
	Become(t, map[string]string{"k": "of b"}, a, b)
	if n := a.Stats().Conflicts; n != 1 {
		t.Errorf("%d conflicts are counted, want 1", n)
	}
}

// same waits until both have the same and owe nothing.
func same(t *testing.T, a, b *Node) {
	t.Helper()
	defer tellFailed(t, a, b)
	Until(t, "both have the same", func() bool {
		return a.Stats().Owed == 0 && b.Stats().Owed == 0 && maps.Equal(a.Has(), b.Has())
	})
}

func deletionAgainstPut(t *testing.T, s Site) {
	clock := NewClock()
	a, b := Start(t, "a", s.Join("a"), clock.Now), Start(t, "b", s.Join("b"), clock.Now)
	a.Put("deleted last", "1")
	a.Put("put last", "1")
	Become(t, map[string]string{"deleted last": "1", "put last": "1"}, a, b)
	s.Away(true)
	clock.Step(time.Second)
	a.Put("deleted last", "2")
	b.Delete("put last")
	clock.Step(time.Second)
	b.Delete("deleted last")
	a.Put("put last", "2")
	s.Away(false)
	Become(t, map[string]string{"put last": "2"}, a, b)
	toldIs(t, a, map[string]string{"deleted last": "nothing"})
}

func oneOfAll(t *testing.T, s Site) {
	a, b := two(t, s)
	oneWins(t, a, b)
	same(t, a, b)
	if n := len(a.Has()); n != 3 {
		t.Errorf("there are %d records, want 3", n)
	}
	found, done, err := b.T.PutIf(t.Context(), "x", []byte(a.Has()["x"]), nil)
	if err != nil || !done {
		t.Errorf("to delete what the other made: found %q, %v, %v", found, done, err)
	}
	if found, done, err := a.T.PutIf(t.Context(), "x", []byte("?"), []byte("!")); done || err != nil || found != nil {
		t.Errorf("what the other has deleted: found %q, %v, %v", found, done, err)
	}
}

// away: what is changed meanwhile is kept, and is there afterwards.
func away(t *testing.T, s Site) {
	a, b := two(t, s)
	a.Put("before", "1")
	Become(t, map[string]string{"before": "1"}, a, b)
	s.Away(true)
	a.Put("of a", "1")
	b.Put("of b", "1")
	b.Delete("before")
	if got, want := a.Has(), map[string]string{"before": "1", "of a": "1"}; !maps.Equal(got, want) {
		t.Errorf("meanwhile a has %v, want %v", got, want)
	}
	Until(t, "a owes it", func() bool { return a.Stats().Owed == 1 && !a.Stats().Connected })
	a.Stop()
	a.Again(s.Join("a")) // it is not forgotten by a start
	s.Away(false)
	Become(t, map[string]string{"of a": "1", "of b": "1"}, a, b)
}

func ifAway(t *testing.T, s Site) {
	a, b := two(t, s)
	s.Away(true)
	if _, done, err := a.T.PutIf(t.Context(), "k", nil, []byte("1")); done || area.CodeOf(err) != area.CodeDegraded {
		t.Errorf("while it is away: %v, %v", done, err)
	}
	a.Put("k", "of a") // owed, and newer than what is there
	s.Away(false)
	Until(t, "it is back", func() bool {
		found, done, err := b.T.PutIf(t.Context(), "k", []byte("of a"), []byte("of b"))
		if err == nil && !done && found != nil {
			t.Errorf("found %q", found)
		}
		return done
	})
	Become(t, map[string]string{"k": "of b"}, a, b)
	found, done, err := a.T.PutIf(t.Context(), "k", []byte("of b"), []byte("of a again"))
	if !done || err != nil {
		t.Errorf("found %q, %v, %v", found, done, err)
	}
}

// flushed: the common copy is filled again, also with what was not changed since.
func flushed(t *testing.T, s Site) {
	a, b := two(t, s)
	a.Put("one", "1")
	b.Put("two", "2")
	b.Put("three", "3")
	b.Delete("three")
	Become(t, map[string]string{"one": "1", "two": "2"}, a, b)
	toldIs(t, a, map[string]string{"two": "2", "three": "nothing"})
	b.Stop()
	s.Flush()
	filled(t, s, map[string]string{"one": "1", "two": "2"}, a)
	b.Again(s.Join("b"))
	b.Put("one", "I")
	Become(t, map[string]string{"one": "I", "two": "2"}, a, b)
	if a.Stats().Gaps == 0 && a.Stats().Losses == 0 {
		t.Error("the flush was not noticed")
	}
}

// filled waits until a new node finds everything at the common copy.
func filled(t *testing.T, s Site, want map[string]string, by ...*Node) {
	t.Helper()
	late := Start(t, "late", s.Join("late"), nil)
	Become(t, want, append(by, late)...)
	late.Stop()
}

// setBack: the common copy becomes what it was.
func setBack(t *testing.T, s Site) {
	a, b := two(t, s)
	a.Put("one", "1")
	a.Put("gone", "1")
	Become(t, map[string]string{"one": "1", "gone": "1"}, a, b)
	restore := s.Snapshot()
	a.Put("one", "2")
	a.Put("two", "2")
	b.Delete("gone")
	Become(t, map[string]string{"one": "2", "two": "2"}, a, b)
	restore()
	filled(t, s, map[string]string{"one": "2", "two": "2"}, a, b)
}

// gap: there are more changes than are kept, while a node is not there to hear them.
func gap(t *testing.T, s Site) {
	a, b := two(t, s)
	b.Stop()
	var all sync.WaitGroup
	want := map[string]string{}
	for i := range s.Kept * 3 / 2 {
		key := fmt.Sprint(i)
		want[key] = "v"
		all.Add(1)
		a.T.PutAsync(key, []byte("v"), func(err error) {
			if err != nil {
				t.Error(err)
			}
			all.Done()
		})
	}
	all.Wait()
	b.Again(s.Join("b"))
	Become(t, want, a, b)
}

func awayForAnHour(t *testing.T, s Site) {
	clock := NewClock()
	a, b := Start(t, "a", s.Join("a"), clock.Now), Start(t, "b", s.Join("b"), clock.Now)
	a.Put("changed", "1")
	a.Put("deleted", "1")
	Become(t, map[string]string{"changed": "1", "deleted": "1"}, a, b)
	b.Stop()
	clock.Step(time.Hour)
	a.Put("changed", "2")
	a.Put("new", "2")
	a.Delete("deleted")
	Become(t, map[string]string{"changed": "2", "new": "2"}, a)
	b.Again(s.Join("b"))
	Become(t, map[string]string{"changed": "2", "new": "2"}, a, b)
	toldIs(t, b, map[string]string{"changed": "2", "new": "2", "deleted": "nothing"})
}

// awayForTooLong: the deletion is forgotten everywhere when the node comes back, and
// what it alone has changed since is not.
func awayForTooLong(t *testing.T, s Site) {
	clock := NewClock()
	a, b := Start(t, "a", s.Join("a"), clock.Now), Start(t, "b", s.Join("b"), clock.Now)
	a.Put("deleted", "1")
	a.Put("kept", "1")
	Become(t, map[string]string{"deleted": "1", "kept": "1"}, a, b)
	connected(t, b) // it may have both from a comparison that is not done: then it does not know what the copy has
	b.Stop()
	s.Away(true)
	b.Again(s.Join("b"))
	clock.Step(time.Minute)
	b.Put("of b", "1")
	b.Stop()
	s.Away(false)
	a.Delete("deleted")
	Become(t, map[string]string{"kept": "1"}, a)
	clock.Step(8 * 24 * time.Hour)
	a.Stop()
	a.Again(s.Join("a")) // it tidies up
	Until(t, "the deletion is forgotten", func() bool { return a.Stats().Forgotten == 1 })
	b.Again(s.Join("b"))
	Become(t, map[string]string{"kept": "1", "of b": "1"}, a, b)
	toldIs(t, b, map[string]string{"deleted": "nothing"})
}

// clockBack: what is changed after something else is newer, whatever the clock says.
func clockBack(t *testing.T, s Site) {
	right, wrong := NewClock(), NewClock()
	a, b := Start(t, "a", s.Join("a"), right.Now), Start(t, "b", s.Join("b"), wrong.Now)
	wrong.Step(-time.Hour)
	a.Put("k", "1")
	Become(t, map[string]string{"k": "1"}, a, b)
	b.Put("k", "2")
	Become(t, map[string]string{"k": "2"}, a, b)
	right.Step(-2 * time.Hour)
	a.Put("k", "3")
	a.Stop()
	a.Again(s.Join("a"))
	a.Put("k", "4")
	Become(t, map[string]string{"k": "4"}, a, b)
	b.Delete("k")
	Become(t, map[string]string{}, a, b)
}

// aloneForAWhile: a node that had no common copy for a while brings what it has
// changed meanwhile.
func aloneForAWhile(t *testing.T, s Site) {
	a, b := two(t, s)
	for _, key := range []string{"changed", "deleted", "kept"} {
		a.Put(key, "1")
	}
	Become(t, map[string]string{"changed": "1", "deleted": "1", "kept": "1"}, a, b)
	a.Stop()
	a.Again(nil)
	a.Put("changed", "2")
	a.Put("new", "2")
	a.Delete("deleted")
	if got, want := a.Has(), map[string]string{"changed": "2", "new": "2", "kept": "1"}; !maps.Equal(got, want) {
		t.Errorf("alone it has %v, want %v", got, want)
	}
	a.Stop()
	a.Again(s.Join("a"))
	Become(t, map[string]string{"changed": "2", "new": "2", "kept": "1"}, a, b)
}

// whatWasBefore: a node brings what it has from before it had a common copy, which
// replaces nothing.
func whatWasBefore(t *testing.T, s Site) {
	a := Start(t, "a", s.Join("a"), nil)
	a.Put("k", "common")
	Become(t, map[string]string{"k": "common"}, a)
	b := Start(t, "b", nil, nil)
	b.Put("k", "old")
	b.Put("of b", "old")
	b.Stop()
	b.Again(s.Join("b"))
	Become(t, map[string]string{"k": "common", "of b": "old"}, a, b)
}

// watcherAndOwn: an owner who keeps in memory what he puts and what he is told is
// never left with something else than the table.
func watcherAndOwn(t *testing.T, s Site) {
	a, b := two(t, s)
	type owner struct {
		mu sync.Mutex
		is string
	}
	owners := map[*Node]*owner{a: {}, b: {}}
	for n, o := range owners {
		n.T.Watch(func(_ string, value []byte) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.is = text(value)
		})
	}
	var all sync.WaitGroup
	for n, o := range owners {
		all.Go(func() {
			for i := range 50 {
				o.mu.Lock()
				value := fmt.Sprint(n.name, i)
				n.Put("k", value)
				o.is = value
				o.mu.Unlock()
			}
		})
	}
	all.Wait()
	same(t, a, b)
	for n, o := range owners {
		Until(t, n.name+"'s owner has what the table has", func() bool {
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.is == a.Has()["k"]
		})
	}
}

// large: values of the largest size, more than go at once.
func large(t *testing.T, s Site) {
	a, b := two(t, s)
	value := make([]byte, 1<<20)
	for i := range value {
		value[i] = byte(i * 7)
	}
	want := map[string]string{}
	for i := range 4 {
		a.Put(fmt.Sprint(i), string(value))
		want[fmt.Sprint(i)] = string(value)
	}
	Until(t, "it is at the other", func() bool { return maps.Equal(b.Has(), want) })
}
