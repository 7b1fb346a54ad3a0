package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// storedEvery is how often is asked what the nodes have in common of those that do not
// live.
const storedEvery = 5 * time.Second

// clockTold is by how many ms a clock of which is told has to be another than was known.
// It is far less than what that may be wrong.
const clockTold = 50

var errOther = errors.New("it is not what was copied before")

// stored answers for a node that does not live, with what the nodes have in common of its
// records.
type stored struct {
	b      *Book
	c      Common
	node   string
	orders map[area.Name]index // of the newest answer
}

// ask answers as the node would ([Book.Answer]).
func (s *stored) ask(ctx context.Context, q question) (reply, error) {
	if q.Area == "" {
		return s.heads(ctx)
	}
	return s.lines(ctx, q)
}

// heads tells how far its records go there.
func (s *stored) heads(ctx context.Context) (r reply, err error) {
	texts, err := s.c.Texts(ctx, s.node)
	if err != nil {
		return r, err
	}
	r = reply{Heads: map[area.Name]head{}, stored: &recalled{aside: map[area.Name]int64{}}}
	s.orders = map[area.Name]index{}
	for name, text := range texts {
		if len(r.Heads) == mostHeads {
			break
		}
		if a, ok := areaOf(name, asideText); ok {
			if x, err := parseIndex(text); err == nil {
				r.stored.aside[a] = x.To
			}
		}
		a, ok := areaOf(name, indexText)
		if !ok {
			continue
		}
		x, err := parseIndex(text)
		if err != nil {
			s.b.refuse(place{s.node, a}, err)
			continue
		}
		s.orders[a], r.Heads[a] = x, x.head
	}
	return r, s.clock(ctx, texts[wordText], r.stored)
}

// clock reads the word of the node. It may be long dead, and the server another one than
// then: that its clock was compared with that of the server says in which second it was,
// and nothing finer.
func (s *stored) clock(ctx context.Context, text string, r *recalled) error {
	var w word
	if text == "" || json.Unmarshal([]byte(text), &w) != nil {
		return nil
	}
	own, err := against(ctx, s.c, s.b.clock)
	if err != nil {
		return err
	}
	r.clock = &compared{Ahead: w.Ahead - own.Ahead, Error: max(uncompared.Error, w.Error+own.Error)}
	r.known = w.Now
	return nil
}

// lines reads lines of a record. That it is shorter than what is here says nothing.
func (s *stored) lines(ctx context.Context, q question) (r reply, err error) {
	x := s.orders[q.Area]
	if q.After.N >= x.N {
		r.Fork = q.After.N == x.N && q.After.Chain != x.Chain
		return r, nil
	}
	lines, fork, err := linesOf(x.Files, q.After, func(f stretch) ([]byte, error) {
		content, err := s.c.File(ctx, s.node, x.file(q.Area, f))
		if err == nil && int64(len(content)) < f.Bytes {
			err = fmt.Errorf("%w: %d of %d bytes are there", ErrLost, len(content), f.Bytes)
		}
		return content, err
	})
	r.Lines, r.Fork = string(lines), fork
	return r, err
}

// recalled is what is told of a node beside its records, by who is not it.
type recalled struct {
	clock *compared           // nil: nothing is known of it
	known int64               // by its clock
	aside map[area.Name]int64 // ends of records from which it has not gone on
}

// recall takes in what is told of a node. A clock that this one has compared itself
// counts.
func (b *Book) recall(node string, r recalled) {
	b.mu.Lock()
	p := b.peer(node)
	was := p.clock
	keep := r.clock != nil && was.Error >= uncompared.Error && max(r.clock.Ahead-was.Ahead, was.Ahead-r.clock.Ahead) > clockTold
	if keep {
		p.clock = *r.clock
	}
	for a, to := range r.aside {
		p.aside[a] = max(p.aside[a], to)
	}
	b.mu.Unlock()
	if !keep {
		return
	}
	if err := b.keepClock(node, *r.clock); err != nil {
		b.count.copyFailed.Add(1)
	}
}

// refuse notes that what there is of a record is not taken, since it does not go on from
// itself or from what is here.
func (b *Book) refuse(p place, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peer(p.node).refused[p.area] = why.Error()
}

// accept notes that all there is of a record is taken.
func (b *Book) accept(p place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.peer(p.node).refused, p.area)
}

// fetchStored copies what the nodes have in common of those that do not live.
func (b *Book) fetchStored(ctx context.Context, c Common, living func(string) bool, known map[string]*follower) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	names, err := c.Nodes(ctx)
	if err != nil {
		return // and none of them writes meanwhile
	}
	for _, node := range names {
		if node == b.cfg.Node || living(node) || !area.IsID(node) {
			continue
		}
		f := known[node]
		if f == nil {
			if !room(known, names) {
				continue
			}
			f = &follower{b: b, node: node, stored: true, ask: (&stored{b: b, c: c, node: node}).ask}
			known[node] = f
		}
		f.round(ctx)
	}
}
