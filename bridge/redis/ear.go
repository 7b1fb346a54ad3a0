package redis

import (
	"cmp"
	"context"
	"slices"
	"unsafe"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

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
	return e.tracks[ch] == nil || e.catchUp(ch, nil)
}

// begin notes where the counting of each origin is, before the subscription.
func (e *ear) begin(ch channel) bool {
	t := e.tracks[ch]
	if t == nil {
		t = &backplane.Tracker{}
		e.tracks[ch] = t
	}
	list, ok := e.history(ch, nil)
	for _, b := range list {
		t.Begin(b, b.First+uint64(len(b.List)))
	}
	return ok
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
		if !e.catchUp(ch, &b) {
			return
		}
	}
	e.hand(ch, t.Take(b), b, false)
}

// catchUp hands on what the history has and was not heard. It is read from its end,
// back to where all is known, or to its beginning where that leaves a hole. last is a
// batch that waits to follow.
func (e *ear) catchUp(ch channel, last *backplane.Batch) bool {
	list, ok := e.history(ch, func(page []backplane.Batch) bool { return e.known(ch, page) })
	if ok && e.holed(ch, list, last) {
		list, ok = e.history(ch, nil)
	}
	if e.owed[ch] = !ok; !ok {
		return false
	}
	for _, b := range list {
		e.hand(ch, e.tracks[ch].Take(b), b, true)
	}
	return true
}

// known tells whether nothing in a page is new; one of our own alone does not tell.
func (e *ear) known(ch channel, page []backplane.Batch) bool {
	return len(page) > 0 && !slices.ContainsFunc(page, func(b backplane.Batch) bool {
		return e.tracks[ch].Next(b.Origin, b.Life) < b.First+uint64(len(b.List))
	})
}

// holed tells whether numbers are missing in what comes next.
func (e *ear) holed(ch channel, list []backplane.Batch, last *backplane.Batch) bool {
	if last != nil {
		list = append(slices.Clip(list), *last)
	}
	next := map[life]uint64{}
	for _, b := range list {
		l := life{b.Origin, b.Life}
		if next[l] == 0 {
			next[l] = e.tracks[ch].Next(b.Origin, b.Life)
		}
		if b.First > next[l] {
			return true
		}
		next[l] = max(next[l], b.First+uint64(len(b.List)))
	}
	return false
}

// life is one of a node's, of which the numbers begin at 1.
type life struct {
	origin string
	life   uint64
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

// page is how many batches are read from the history at once: over a slow link too
// that many come in time.
const page = 32

// history reads that of a channel from its end, page by page, until enough says that
// no more is needed; nil: all of it. It is answered oldest first, without our own. What
// is added meanwhile moves what is older, so that some of it may come twice, and none
// is passed over. What is no longer there is told as missed by the numbers.
func (e *ear) history(ch channel, enough func(page []backplane.Batch) bool) (list []backplane.Batch, ok bool) {
	var pages [][]backplane.Batch
	for end := int64(-1); ; end -= page {
		texts, err := e.read(ch, end)
		if err != nil {
			return nil, false
		}
		got := e.parse(texts)
		pages = append(pages, got)
		if len(texts) < page || enough != nil && enough(got) {
			break
		}
	}
	slices.Reverse(pages)
	return ordered(slices.Concat(pages...)), true
}

// ordered has the batches of each life in the order of their numbers. What its sender
// was not sure of it has sent again, so that some are there twice, and of the first of
// these the beginning may be cut off.
func ordered(list []backplane.Batch) (out []backplane.Batch) {
	var lives []life
	of := map[life][]backplane.Batch{}
	for _, b := range list {
		l := life{b.Origin, b.Life}
		if of[l] == nil {
			lives = append(lives, l)
		}
		of[l] = append(of[l], b)
	}
	for _, l := range lives {
		slices.SortStableFunc(of[l], func(a, b backplane.Batch) int { return cmp.Compare(a.First, b.First) })
		out = append(out, of[l]...)
	}
	return out
}

func (e *ear) parse(texts []string) (list []backplane.Batch) {
	for _, text := range texts {
		b, err := backplane.ParseBatch(bytesOf(text))
		if err != nil {
			e.p.count.malformed.Add(1)
			continue
		}
		if b.Origin != e.p.cfg.Node {
			list = append(list, b)
		}
	}
	return list
}

// read is the page of a history that ends there, counted from the end.
func (e *ear) read(ch channel, end int64) ([]string, error) {
	out, err := e.p.s.do(e.ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Lrange().Key(e.p.cfg.history(ch)).Start(end - page + 1).Stop(end).Build()}
	})
	if err != nil {
		return nil, err
	}
	return out[0].AsStrSlice()
}

// bytesOf is the bytes of a string that nobody changes.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
