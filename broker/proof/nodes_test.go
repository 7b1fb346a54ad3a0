package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// plant is nodes of one hub that copy each other's records.
type plant struct {
	t     *testing.T
	dirs  map[string]string
	mu    sync.Mutex
	books map[string]*Book // of those that are alive
	away  bool             // nobody reaches anybody

	common Common // nil: there is none
}

// commonOfPlant is how much of an area's record its nodes have in common.
const commonOfPlant = 128 << 10

func newPlant(t *testing.T) *plant {
	return &plant{t: t, dirs: map[string]string{}, books: map[string]*Book{}}
}

// view is the plant as one node sees it.
type view struct {
	*plant
	self string
}

func (v view) Nodes() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Sorted(maps.Keys(v.books))
}

func (v view) Ask(_ context.Context, node string, question []byte) ([]byte, error) {
	v.mu.Lock()
	b := v.books[node]
	if v.away {
		b = nil
	}
	v.mu.Unlock()
	if b == nil {
		return nil, errors.New("no such node")
	}
	return b.Answer(question)
}

// node starts a node whose clock is ahead by so much; stop ends it in order.
func (p *plant) node(name string, ahead time.Duration) (b *Book, stop func()) {
	p.t.Helper()
	if p.dirs[name] == "" {
		p.dirs[name] = p.t.TempDir()
	}
	cfg := Config{Dir: filepath.Join(p.dirs[name], "proof"), Copies: filepath.Join(p.dirs[name], "proof-of"), Node: name, FileBytes: 64 << 10, Files: 3, CommonBytes: commonOfPlant}
	b, err := Open(cfg, func() time.Time { return time.Now().Add(ahead) }, slog.New(slog.DiscardHandler))
	if err != nil {
		p.t.Fatal(err)
	}
	if p.common != nil {
		_ = b.Regain(p.t.Context(), p.common)
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = b.Run(ctx) })
	tasks.Go(func() { _ = b.Follow(ctx, view{p, name}, p.common) })
	if p.common != nil {
		tasks.Go(func() { _ = b.Mirror(ctx, p.common, view{p, name}.Nodes) })
	}
	p.mu.Lock()
	p.books[name] = b
	p.mu.Unlock()
	synctest.Wait()
	return b, func() {
		p.mu.Lock()
		delete(p.books, name)
		p.mu.Unlock()
		cancel()
		tasks.Wait()
	}
}

// kill ends a node of which nobody hears that it ends: what it writes then is lost.
func (p *plant) kill(name string, stop func()) {
	p.mu.Lock()
	delete(p.books, name)
	p.mu.Unlock()
	if m, ok := p.common.(*Memory); ok {
		defer m.Snapshot()()
	}
	stop()
}

func (p *plant) reach(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = !on
}

// plays has a device sound from now on for a second, and tells b.
func plays(b *Book, d area.DeviceID, t area.Token) {
	b.Note("north", Record{Is: Granted, Device: d, Token: t})
	time.Sleep(time.Second)
	sounds(b, d, t, time.Now().Add(-time.Second), time.Now())
	b.Note("north", Record{Is: Freed, Device: d, Token: t})
	time.Sleep(time.Millisecond)
}

// sounds has b hear that a device, whose clock is its own, has sounded.
func sounds(b *Book, d area.DeviceID, t area.Token, from, to time.Time) {
	own := int64(len(d)) * 1_000_000_000
	b.Note("north", Record{Is: Sounded, Device: d, Token: t, Boot: 1, At: time.Now().UnixMilli() - own, First: from.UnixMilli() - own, Last: to.UnixMilli() - own, Result: area.Played})
}

func (p *plant) verdict(b *Book) Verdict {
	p.t.Helper()
	v, err := b.Check("north", time.Now().Add(-24*time.Hour))
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// strandOf is what a verdict says of a node.
func strandOf(v Verdict, node string) Strand {
	for _, s := range v.Nodes {
		if s.Node == node {
			return s
		}
	}
	return Strand{}
}

// TestTheRecordOutlivesItsNode: an area moves between nodes with clocks that are an
// hour apart; each judges the whole, also after the other is gone with its disk, and
// says up to when it knows that one's record.
func TestTheRecordOutlivesItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t)
		one, stopOne := p.node("hub-1", 0)
		two, stopTwo := p.node("hub-2", time.Hour)
		defer stopTwo()
		for i := range 20 {
			plays([]*Book{one, two}[i%2], area.DeviceID(fmt.Sprint("d", i%3)), area.Token(i+1))
		}
		time.Sleep(2 * followEvery)
		for _, b := range []*Book{one, two} {
			v := p.verdict(b)
			if !v.OneVoice || v.Plays != 20 || v.Measured != 20 || v.Unmeasured != 0 || v.Gaps != 0 || len(v.Nodes) != 2 || len(v.Incomplete()) != 0 {
				t.Errorf("%+v", v)
			}
		}
		if c := strandOf(p.verdict(one), "hub-2"); c.ClockMs < 3_599_990 || c.ClockMs > 3_600_010 || c.Known == nil {
			t.Errorf("the other clock: %+v", c)
		}
		p.mu.Lock()
		delete(p.books, "hub-1") // it dies, and its disk with it
		p.mu.Unlock()
		died := time.Now().Add(time.Hour) // by the clock of the other
		stopOne()
		if err := os.RemoveAll(p.dirs["hub-1"]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		v := p.verdict(two)
		gone := strandOf(v, "hub-1")
		if !v.OneVoice || v.Plays != 20 || v.Measured != 20 || !gone.Incomplete || gone.Known == nil || gone.Known.After(died) || died.Sub(gone.Known.Time) > 2*followEvery {
			t.Errorf("after its death at %v: %+v, %+v", died, v.Counts, gone)
		}
	})
}

// TestTwoNodesThatHearAnOverlapFindIt, each, as one finding; what only seems to be one
// since clocks cannot be compared better is none.
func TestTwoNodesThatHearAnOverlapFindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t)
		one, stopOne := p.node("hub-1", 0)
		two, stopTwo := p.node("hub-2", -time.Minute)
		defer stopOne()
		defer func() { stopTwo() }()
		time.Sleep(2 * followEvery)
		one.Note("north", Record{Is: Granted, Device: "d1", Token: 1})
		two.Note("north", Record{Is: Granted, Device: "d22", Token: 2})
		begin := time.Now()
		time.Sleep(time.Second)
		sounds(one, "d1", 1, begin, time.Now())
		sounds(two, "d22", 2, begin.Add(400*time.Millisecond), time.Now())
		time.Sleep(2 * followEvery)
		for _, b := range []*Book{one, two} {
			v := p.verdict(b)
			if v.OneVoice || v.Overlaps != 1 || len(v.Findings) != 1 || v.Findings[0].Ms < 590 || v.Findings[0].Ms > 600 {
				t.Errorf("%+v, %+v", v.Counts, v.Findings)
			}
			if n := b.Overlaps(); n != 1 {
				t.Errorf("%d overlaps on the dashboard", n)
			}
		}
		stopTwo()
		two, stopTwo = p.node("hub-2", -time.Minute)
		if n := two.Overlaps(); n != 1 {
			t.Errorf("%d overlaps after a start", n)
		}
	})
	if ms := overlap(Play{From: at(0), To: at(1000), wrong: 0}, Play{From: at(998), To: at(2000), by: "hub-2", wrong: 3}); ms > 0 {
		t.Errorf("an overlap of less than the error: %d ms", ms)
	}
}

// TestWhatWasMissedIsCopiedLater: nodes that did not reach each other do so again; what
// the node has dropped meanwhile the copy drops too.
func TestWhatWasMissedIsCopiedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t)
		one, stopOne := p.node("hub-1", 0)
		two, stopTwo := p.node("hub-2", 0)
		defer stopTwo()
		plays(one, "d1", 1)
		time.Sleep(2 * followEvery)
		p.reach(false)
		for i := range 10 {
			plays(one, "d1", area.Token(i+2))
		}
		time.Sleep(time.Minute)
		if c := strandOf(p.verdict(two), "hub-1"); !c.Incomplete || c.Records != 5 { // segment, start, grant, sound, free
			t.Errorf("while nobody is reached: %+v", c)
		}
		p.reach(true)
		time.Sleep(2 * followEvery)
		if v := p.verdict(two); v.Plays != 11 || !v.OneVoice || len(v.Incomplete()) != 0 {
			t.Errorf("%+v, %+v", v.Counts, v.Nodes)
		}
		stopOne() // the end is not seen
		one, stopOne = p.node("hub-1", 0)
		time.Sleep(2 * followEvery)
		if v := p.verdict(two); !v.OneVoice || len(v.Incomplete()) != 0 {
			t.Errorf("after a start: %+v, %+v", v.Counts, v.Nodes)
		}
		p.reach(false)
		for range 2000 { // more than four files of 64 KiB
			one.Note("north", Record{Is: Intruder, Device: area.DeviceID(strings.Repeat("x", 60))})
			time.Sleep(time.Millisecond)
		}
		p.reach(true)
		time.Sleep(4 * followEvery)
		v, own := p.verdict(two), p.verdict(one)
		if v.Broken != "" || strandOf(v, "hub-1").Records != own.Records || strandOf(v, "hub-1").Chain != own.Chain {
			t.Errorf("of what was dropped: %q, %+v, there %+v", v.Broken, v.Nodes, own.Counts)
		}
		if files, err := segments(filepath.Join(p.dirs["hub-2"], "proof-of", "hub-1", "north")); err != nil || len(files) != 3 {
			t.Errorf("%d files of a copy: %v", len(files), err)
		}
		stopOne()
	})
}

// TestAChangedCopyIsFound, and so is a node that does not go on from what it has
// written before.
func TestAChangedCopyIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t)
		one, stopOne := p.node("hub-1", 0)
		two, stopTwo := p.node("hub-2", 0)
		plays(one, "d1", 1)
		time.Sleep(2 * followEvery)
		stopOne()
		before := map[string][]byte{}
		list, err := segments(filepath.Join(p.dirs["hub-1"], "proof", "north"))
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if before[list[0]], err = os.ReadFile(list[0]); err != nil {
			t.Fatal(err)
		}
		one, stopOne = p.node("hub-1", 0)
		plays(one, "d2", 2)
		time.Sleep(2 * followEvery)
		stopOne()
		copied := newest(t, filepath.Join(p.dirs["hub-2"], "proof-of", "hub-1", "north"))
		whole, err := os.ReadFile(copied)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, bytes.Replace(whole, []byte(`"device":"d2"`), []byte(`"device":"d9"`), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if v := p.verdict(two); !strings.HasPrefix(v.Broken, "node hub-1: ") || v.OneVoice {
			t.Errorf("a changed copy: %q", v.Broken)
		}
		if v, err := CheckFiles(filepath.Join(p.dirs["hub-2"], "proof", "north"), filepath.Join(p.dirs["hub-2"], "proof-of"), "north", time.UnixMilli(0)); err != nil || v.Broken == "" || len(v.Nodes) != 2 {
			t.Errorf("the files alone: %q %v", v.Broken, err)
		}
		if err := os.WriteFile(copied, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if v := p.verdict(two); v.Broken != "" || v.Plays != 2 {
			t.Errorf("as it was: %+v", v)
		}
		for path, b := range before { // the node comes back as it was yesterday
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		one, stopOne = p.node("hub-1", 0)
		plays(one, "d3", 3)
		time.Sleep(2 * followEvery)
		v := p.verdict(two)
		if !strings.Contains(v.Broken, "does not go on from the copy") || v.Plays != 2 || two.Stats().Forks != 1 {
			t.Errorf("a node that begins again: %q, %+v, %d forks", v.Broken, v.Counts, two.Stats().Forks)
		}
		stopOne()
		stopTwo()
	})
}

// TestQuestionsOfStrangers: what is no question is refused, and what is not followed
// from is not pasted.
func TestQuestionsOfStrangers(t *testing.T) {
	b, stop := opened(t, Config{Dir: t.TempDir(), Copies: t.TempDir(), Node: "hub-1"})
	defer stop()
	for _, q := range []string{"", "[]", `{"area":"../x"}`, `{"since":-1}`} {
		if _, err := b.Answer([]byte(q)); err == nil {
			t.Errorf("%s is answered", q)
		}
	}
	good, chain := line(Record{N: 1, T: 1, Is: Segment, Prev: sum{}.String()}, sum{})
	next, _ := line(Record{N: 2, T: 2, Is: Freed, Token: 1}, chain)
	skips, _ := line(Record{N: 4, T: 2, Is: Freed, Token: 1}, chain)
	for what, lines := range map[string][]byte{
		"nothing of a record": []byte("x\n"), "no end": good[:len(good)-1], "the middle": next, "a hole": append(bytes.Clone(good), skips...),
		"another chain": append(bytes.Clone(good), bytes.Replace(next, []byte(`"token":1`), []byte(`"token":2`), 1)...), "too long a line": append(bytes.Repeat([]byte{'x'}, mostLine+1), '\n'),
	} {
		if err := b.paste(t.Context(), pasted{place: place{"hub-2", area.Name(strings.ReplaceAll(what, " ", "-"))}, lines: lines}); err == nil {
			t.Errorf("%s is pasted", what)
		}
	}
	if err := b.paste(t.Context(), pasted{place: place{"hub-2", "north"}, lines: append(good, next...)}); err != nil {
		t.Error(err)
	}
}

// TestRoom: nodes that are none any more make room for others, and only they.
func TestRoom(t *testing.T) {
	known, nodes := map[string]*follower{}, []string{}
	for i := range mostNodes {
		nodes = append(nodes, fmt.Sprint("hub-", i))
		known[nodes[i]] = &follower{}
	}
	if room(known, append(nodes, "hub-x")) || len(known) != mostNodes {
		t.Errorf("among %d nodes there is room for one more", len(known))
	}
	if !room(known, append(nodes[1:], "hub-x")) || known["hub-0"] != nil || len(known) != mostNodes-1 {
		t.Errorf("%d are known, and there is no room", len(known))
	}
}
