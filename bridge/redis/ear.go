package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// ear follows the numbers of all channels.
type ear struct {
	p      *Plane
	ctx    context.Context
	tracks map[channel]*backplane.Tracker
	owed   map[channel]bool   // the history could not be read when it had to be
	seen   map[channel]string // up to which entry it was read
}

func newEar(ctx context.Context, p *Plane) *ear {
	return &ear{p: p, ctx: ctx, tracks: map[channel]*backplane.Tracker{}, owed: map[channel]bool{}, seen: map[channel]string{}}
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
		delete(e.seen, a.from)
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
	list, ok := e.history(ch)
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

// catchUp hands on what the history has and was not heard: what is new there since
// it was read, or all of it where that leaves a hole, as when the server has lost the
// newest entries, and others came. last is a batch that waits to follow them.
func (e *ear) catchUp(ch channel, last *backplane.Batch) bool {
	read := e.seen[ch]
	list, ok := e.history(ch)
	if ok && read != "" && e.holed(ch, list, last) {
		delete(e.seen, ch)
		list, ok = e.history(ch)
	}
	e.owed[ch] = !ok
	for _, b := range list {
		e.hand(ch, e.tracks[ch].Take(b), b, true)
	}
	return ok
}

// holed tells whether numbers are missing in what comes next.
func (e *ear) holed(ch channel, list []backplane.Batch, last *backplane.Batch) bool {
	if last != nil {
		list = append(slices.Clip(list), *last)
	}
	next := map[string]uint64{}
	for _, b := range list {
		if next[b.Origin] == 0 {
			next[b.Origin] = e.tracks[ch].Next(b.Origin, b.Life)
		}
		if b.First > next[b.Origin] {
			return true
		}
		next[b.Origin] = max(next[b.Origin], b.First+uint64(len(b.List)))
	}
	return false
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

// history reads what the stream of a channel has since it was read last, oldest
// first, without our own; not ok is that there may be more. What is no longer there is
// told as missed by the numbers.
func (e *ear) history(ch channel) (list []backplane.Batch, ok bool) {
	for {
		entries, err := e.read(ch, after(e.seen[ch]))
		if err != nil {
			return list, false
		}
		for _, x := range entries {
			e.seen[ch] = x.ID
			b, err := backplane.ParseBatch([]byte(x.FieldValues["b"]))
			if err != nil {
				e.p.count.malformed.Add(1)
				continue
			}
			if b.Origin != e.p.cfg.Node {
				list = append(list, b)
			}
		}
		if len(entries) < page {
			return list, true
		}
	}
}

func (e *ear) read(ch channel, from string) ([]rueidis.XRangeEntry, error) {
	out, err := e.p.s.do(e.ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Xrange().Key(e.p.cfg.stream(ch)).Start(from).End("+").Count(page).Build()}
	})
	if err != nil {
		return nil, err
	}
	entries, err := out[0].AsXRange()
	if rueidis.IsRedisNil(err) {
		err = nil
	}
	return entries, err
}

// after is the least identifier above one of a stream's entries.
func after(id string) string {
	ms, seq, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return "-"
	}
	return ms + "-" + strconv.FormatUint(n+1, 10)
}

// bytesOf is the bytes of a string that nobody changes.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
