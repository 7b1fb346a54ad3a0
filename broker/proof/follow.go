package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	followEvery = 500 * time.Millisecond
	askTime     = 5 * time.Second
)

// Others asks the other nodes of the hub. Its methods are called by several
// goroutines.
type Others interface {
	// Nodes are the names of those that are alive.
	Nodes() []string
	// Ask hands a question to the [Book.Answer] of one of them.
	Ask(ctx context.Context, node string, question []byte) ([]byte, error)
}

// follower copies the records of one node.
type follower struct {
	b     *Book
	ask   func(ctx context.Context, q question) (reply, error)
	node  string
	life  string
	since uint64

	stored bool // what is in common answers, not the node
	told   map[area.Name]string
}

// Follow copies what other nodes record, twice a second, until ctx ends, and returns
// nil. A node that cannot be reached is asked again: what it has written meanwhile
// comes then. Of nodes that do not live it copies what is in common, where there is
// such a thing (nil: there is none), every five seconds. Run must run, and
// [Config.Copies] be set.
func (b *Book) Follow(ctx context.Context, others Others, common Common) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	known, dead := map[string]*follower{}, map[string]*follower{}
	for next := b.clock(); ; {
		living := others.Nodes()
		if now := b.clock(); common != nil && now >= next {
			next = now + storedEvery.Milliseconds()
			b.fetchStored(ctx, common, func(node string) bool { return slices.Contains(living, node) }, dead)
		}
		b.followAll(ctx, others, living, known)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// followAll asks all nodes that live once, at the same time.
func (b *Book) followAll(ctx context.Context, others Others, living []string, known map[string]*follower) {
	var tasks sync.WaitGroup
	for _, node := range living {
		f := known[node]
		if f == nil {
			if node == b.cfg.Node || !area.IsID(node) || !room(known, living) {
				continue
			}
			f = &follower{b: b, node: node, ask: asking(others, node)}
			known[node] = f
		}
		tasks.Go(func() { f.round(ctx) })
	}
	tasks.Wait()
}

// room tells whether one more can be followed. Where there are as many as there may be,
// those that are none of the nodes any more are forgotten: who comes back is asked for all.
func room(known map[string]*follower, nodes []string) bool {
	if len(known) >= mostNodes {
		maps.DeleteFunc(known, func(node string, _ *follower) bool { return !slices.Contains(nodes, node) })
	}
	return len(known) < mostNodes
}

// asking asks a node that lives.
func asking(others Others, node string) func(context.Context, question) (reply, error) {
	return func(ctx context.Context, q question) (r reply, err error) {
		ask, err := json.Marshal(q)
		if err != nil {
			return r, err
		}
		b, err := others.Ask(ctx, node, ask)
		if err != nil {
			return r, err
		}
		if err := json.Unmarshal(b, &r); err != nil {
			return r, fmt.Errorf("proof: the answer of %s: %w", node, err)
		}
		return r, nil
	}
}

// round asks once, and copies all that is new. What fails comes in the next.
func (f *follower) round(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	begun := f.b.clock()
	if f.told == nil {
		f.told = map[area.Name]string{}
	}
	r, err := f.ask(ctx, question{Since: f.since, Life: f.life})
	if err != nil {
		return // it is known from when on nothing is known
	}
	if f.stored {
		f.b.recall(f.node, *r.stored)
	} else {
		f.b.compare(f.node, begun, r.Now)
	}
	whole := true
	for a := range f.b.heard(f.node, r) {
		if err = f.copy(ctx, a); err != nil {
			if ctx.Err() != nil {
				return
			}
			whole = false
			f.failed(a, err)
		}
	}
	switch {
	case !whole:
	case f.stored:
		f.b.completeTo(f.node, r.stored.known)
	default:
		f.life, f.since = r.Life, r.Version
		if !r.More {
			f.b.complete(f.node, begun)
		}
	}
}

// failed tells, once, what keeps a record from being copied. What is in common and does
// not go on from itself, or from the copy, is part of each verdict: nobody else judges it.
func (f *follower) failed(a area.Name, err error) {
	f.b.count.copyFailed.Add(1)
	if f.stored && (errors.Is(err, errLine) || errors.Is(err, errOther)) {
		f.b.refuse(place{f.node, a}, err)
	}
	if f.told[a] == err.Error() {
		return
	}
	f.told[a] = err.Error()
	f.b.log.Warn("record of a node cannot be copied", "area", a, "node", f.node, "err", err)
}

// copy brings the copy of an area's record up to what the node has.
func (f *follower) copy(ctx context.Context, a area.Name) error {
	p := place{f.node, a}
	for {
		r, err := f.ask(ctx, question{Area: a, After: f.b.have(p)})
		if err != nil {
			return err
		}
		if r.Lines == "" && !r.Fork {
			delete(f.told, a)
			f.b.accept(p)
			return nil
		}
		if r.Fork && f.stored {
			return errOther // and the copy stays
		}
		if err := f.b.paste(ctx, pasted{place: p, lines: []byte(r.Lines), restart: r.Fork}); err != nil {
			return err
		}
	}
}

// pasted is lines of another node on their way to the goroutine of Run.
type pasted struct {
	place
	lines   []byte
	restart bool // the copy is not what the node goes on from
	done    chan error
}

// paste hands lines to the goroutine of Run, and waits until they are written.
func (b *Book) paste(ctx context.Context, in pasted) error {
	in.done = make(chan error, 1)
	select {
	case b.pastes <- in:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-in.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// have is how far a copy goes.
func (b *Book) have(p place) head {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got[p]
}

// heard takes in how far a node's records go, and answers the areas of which
// something is missing here.
func (b *Book) heard(node string, r reply) map[area.Name]bool {
	todo := map[area.Name]bool{}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.peer(node)
	for a, h := range r.Heads {
		if area.IsID(string(a)) && (r.stored == nil || h.N >= p.heads[a].N) {
			p.heads[a] = h
		}
		if p.refused[a] != "" {
			todo[a] = true
		}
	}
	for a, h := range p.heads { // from before too, if it did not come
		if got := b.got[place{node, a}]; got != h && (r.stored == nil || got.N <= h.N) {
			todo[a] = true
		}
	}
	return todo
}

// complete notes that all that a node had when it was asked is here.
func (b *Book) complete(node string, when int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peer(node).heard = when
}

// completeTo notes up to when, by the clock of a node, all that it had is here.
func (b *Book) completeTo(node string, when int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.peer(node); when > 0 {
		p.heard = max(p.heard, when-p.clock.Ahead)
	}
}

// compare compares clocks: the other one's answer was written between two readings of
// ours. The narrowest such pair counts; a node that has begun anew has another clock,
// which shows when the two contradict each other.
func (b *Book) compare(node string, begun, theirs int64) {
	ended := b.clock()
	is := compared{Ahead: theirs - (begun+ended)/2, Error: (ended-begun+1)/2 + 1}
	b.mu.Lock()
	p := b.peer(node)
	was := p.clock
	apart := max(is.Ahead-was.Ahead, was.Ahead-is.Ahead)
	better := is.Error < was.Error || apart > is.Error+was.Error
	if better {
		p.clock = is
	}
	b.mu.Unlock()
	if !better {
		return
	}
	if err := b.keepClock(node, is); err != nil {
		b.count.copyFailed.Add(1)
	}
}

func (b *Book) keepClock(node string, c compared) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.cfg.Copies, node)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp := filepath.Join(dir, clockFile+".new")
	return errors.Join(os.WriteFile(tmp, text, 0o600), os.Rename(tmp, filepath.Join(dir, clockFile)))
}
