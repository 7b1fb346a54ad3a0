package redis

import (
	"context"
	"strconv"
	"sync"
	"unsafe"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

func itoa(n int) string { return strconv.Itoa(n) }

// arrival is something for the hearing goroutine: a batch, a subscription that
// stands, or news of the nodes or of the connection.
type arrival struct {
	from  channel
	b     string
	stood bool        // the subscription of from stands, for the first time or anew
	begin chan<- bool // note where the counting is, and say whether that could be read
	ended bool        // it is no longer wanted
	nodes []backplane.Node
	state bool
	up    bool
	call  bool
}

// inbox is what waits to be heard. Batches over the bound are dropped; their numbers
// show it.
type inbox struct {
	most int
	wake chan struct{}

	mu    sync.Mutex
	list  []arrival
	bytes int
}

func newInbox(most int) *inbox { return &inbox{most: most, wake: make(chan struct{}, 1)} }

func (in *inbox) put(a arrival) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.bytes+len(a.b) > in.most {
		return
	}
	in.bytes += len(a.b)
	in.list = append(in.list, a)
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

func (in *inbox) take(into []arrival) []arrival {
	in.mu.Lock()
	defer in.mu.Unlock()
	list := in.list
	in.list, in.bytes = into[:0], 0
	return list
}

// hear is the goroutine that calls the handler, until ctx ends.
func (p *Plane) hear(ctx context.Context) {
	e := newEar(ctx, p)
	var spare []arrival
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.in.wake:
		}
		list := p.in.take(spare)
		for i := range list {
			e.take(&list[i])
		}
		clear(list)
		spare = list
	}
}

// ear follows the numbers of all channels.
type ear struct {
	p      *Plane
	ctx    context.Context
	tracks map[channel]*backplane.Tracker
	owed   map[channel]bool // the history could not be read when it had to be
}

func newEar(ctx context.Context, p *Plane) *ear {
	return &ear{p: p, ctx: ctx, tracks: map[channel]*backplane.Tracker{}, owed: map[channel]bool{}}
}

func (e *ear) take(a *arrival) {
	switch {
	case a.state:
		e.p.h.Connected(a.up)
	case a.call:
		e.p.called(e.ctx)
	case a.nodes != nil:
		e.p.h.Changed(a.nodes)
	case a.ended:
		delete(e.tracks, a.from)
		delete(e.owed, a.from)
	case a.begin != nil:
		a.begin <- e.begin(a.from)
	case a.stood:
		e.stood(a.from)
	default:
		e.live(a.from, a.b)
	}
}

// stood reads the history when a subscription stands, for what came before. False
// is that it could not: then it is owed, and read when the next batch comes, at the
// latest with its sender's beat.
func (e *ear) stood(ch channel) bool {
	t := e.tracks[ch]
	if t == nil {
		return true
	}
	list, ok := e.history(ch)
	e.owed[ch] = !ok
	for _, b := range list {
		e.hand(ch, t.Take(b), b, true)
	}
	return ok
}

// begin notes where the counting of each origin is, before the subscription.
func (e *ear) begin(ch channel) bool {
	list, ok := e.history(ch)
	if !ok {
		return false
	}
	t := &backplane.Tracker{}
	e.tracks[ch] = t
	for _, b := range list {
		t.Begin(b, b.First+uint64(len(b.List)))
	}
	return true
}

// live takes a batch as it comes. Where numbers before it are missing they are
// looked for in the history first; while that cannot be read, the batch waits there
// like them.
func (e *ear) live(ch channel, raw string) {
	t := e.tracks[ch]
	if t == nil {
		return
	}
	if e.owed[ch] && !e.stood(ch) {
		return
	}
	b, err := backplane.ParseBatch(bytesOf(raw))
	if err != nil {
		e.p.count.malformed.Add(1)
		return
	}
	if b.Origin == e.p.cfg.Node {
		return
	}
	if next := t.Next(b.Origin, b.Life); next != 0 && b.First > next {
		e.p.count.gaps.Add(1)
		list, ok := e.history(ch)
		if e.owed[ch] = !ok; !ok {
			return
		}
		for _, old := range list {
			if old.Origin == b.Origin && old.Life == b.Life && old.First < b.First {
				e.hand(ch, t.Take(old), old, true)
			}
		}
	}
	e.hand(ch, t.Take(b), b, false)
}

func (e *ear) hand(ch channel, v backplane.Verdict, b backplane.Batch, again bool) {
	c := &e.p.count
	if v.Hole > 0 {
		c.missed.Add(v.Hole)
		e.p.h.Missed(b.Origin, ch.partition, v.Hole)
	}
	c.received.Add(uint64(len(v.New)))
	if again {
		c.caughtUp.Add(uint64(len(v.New)))
	} else {
		c.duplicates.Add(uint64(v.Old))
	}
	for _, env := range v.New {
		e.p.h.Heard(env)
	}
}

// history reads the stream of a channel, oldest first, without our own. What is no
// longer there is told as missed by the numbers.
func (e *ear) history(ch channel) (list []backplane.Batch, ok bool) {
	out, err := e.p.s.do(e.ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Xrange().Key(e.p.cfg.stream(ch)).Start("-").End("+").Build()}
	})
	if err != nil {
		return nil, false
	}
	entries, err := out[0].AsXRange()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, false
	}
	for _, x := range entries {
		b, err := backplane.ParseBatch([]byte(x.FieldValues["b"]))
		if err != nil {
			e.p.count.malformed.Add(1)
			continue
		}
		if b.Origin != e.p.cfg.Node {
			list = append(list, b)
		}
	}
	return list, true
}

// bytesOf is the bytes of a string that nobody changes.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
