package courier

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tacet-hub/tacet/broker/clip"
)

// Fetch brings a clip from another node, unless it is here, and answers what is known
// of it. Who asks for one that is being brought waits for that. It blocks until the
// clip is here, nobody has it, or ctx ends. Its errors wrap [clip.ErrNotFound], those
// of the store, or are the backplane's.
func (c *Courier) Fetch(ctx context.Context, sum clip.Sum) (clip.Info, error) {
	for {
		if info, here := c.clips.Get(sum); here {
			return info, nil
		}
		e, first := c.errand(sum)
		if first {
			e.info, e.err = c.fetch(ctx, sum)
			c.settle(sum, e)
			return e.info, e.err
		}
		select {
		case <-e.done:
		case <-ctx.Done():
			return clip.Info{}, ctx.Err()
		}
		if !errors.Is(e.err, context.Canceled) && !errors.Is(e.err, context.DeadlineExceeded) { // else the first has gone; we have time
			return e.info, e.err
		}
	}
}

// errand is the one that brings a clip; who is first has to do it.
func (c *Courier) errand(sum clip.Sum) (e *errand, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.under[sum]; e != nil {
		return e, false
	}
	e = &errand{done: make(chan struct{})}
	c.under[sum] = e
	return e, true
}

func (c *Courier) settle(sum clip.Sum, e *errand) {
	c.mu.Lock()
	delete(c.under, sum)
	c.mu.Unlock()
	close(e.done)
	switch {
	case e.err == nil:
		c.count.fetched.Add(1)
		c.count.bytes.Add(uint64(e.info.Bytes))
	case errors.Is(e.err, clip.ErrNotFound):
		c.count.unknown.Add(1)
	default:
		c.count.failed.Add(1)
	}
}

// fetch brings a clip.
func (c *Courier) fetch(ctx context.Context, sum clip.Sum) (clip.Info, error) {
	has, err := c.locate(ctx, sum, nil)
	if err != nil {
		return clip.Info{}, err
	}
	if err := enter(ctx, c.slots); err != nil {
		return clip.Info{}, err
	}
	defer leave(c.slots)
	info, _, err := c.clips.Put(ctx, &pieces{ctx: ctx, c: c, sum: sum, from: has}, clip.About{Sum: sum, Name: has.Name, Key: has.Key})
	if err != nil {
		return clip.Info{}, fmt.Errorf("bring clip %s from node %s: %w", sum, has.node, err)
	}
	return info, nil
}

// enter takes one of the places.
func enter(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func leave(places chan struct{}) { <-places }

// holding is what a node says of a clip that it has.
type holding struct {
	node  string
	Bytes int64  `json:"bytes"`
	Name  string `json:"name,omitempty"`
	Key   string `json:"key,omitempty"`
}

// locate finds a node that has a clip, and is none of but. Where no node says so,
// clip.ErrNotFound is told; that some did not answer is not known to matter.
func (c *Courier) locate(ctx context.Context, sum clip.Sum, but []string) (has holding, err error) {
	if err := enter(ctx, c.asks); err != nil {
		return has, err
	}
	defer leave(c.asks)
	asking, stop := context.WithTimeout(ctx, whoTime)
	defer stop()
	found := false
	c.mux.Ask(asking, kindWho, nil, sum[:], func(node string, b []byte, err error) bool {
		if err != nil || slices.Contains(but, node) || json.Unmarshal(b, &has) != nil || has.Bytes <= 0 {
			return true
		}
		has.node, found = node, true
		return false
	})
	switch {
	case found:
		return has, nil
	case ctx.Err() != nil:
		return holding{}, ctx.Err()
	}
	return holding{}, fmt.Errorf("%w at any node: %s", clip.ErrNotFound, sum)
}

// pieces is the bytes of a clip that another node has. It lives as long as one call,
// whose context it has.
type pieces struct {
	ctx  context.Context
	c    *Courier
	sum  clip.Sum
	from holding
	at   int64
	rest []byte
	lost []string // nodes that have not laid a piece down
}

// wanted is the question for a piece.
type wanted struct {
	Sum  string `json:"sum"`
	At   int64  `json:"at"`
	Name string `json:"name"` // under which it is to lie on the shelf
}

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.at >= p.from.Bytes {
			return 0, io.EOF
		}
		if err := p.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// next brings the next piece: of another node where this one does not.
func (p *pieces) next() error {
	for {
		b, err := p.c.take(p.ctx, p.from.node, wanted{p.sum.Hex(), p.at, p.c.mux.Plane().Self() + "-" + rand.Text()})
		if err == nil {
			p.rest, p.at = b, p.at+int64(len(b))
			return nil
		}
		if p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		p.c.log.Warn("piece of a clip not brought", "node", p.from.node, "rule", p.sum.Hex(), "n", p.at, "err", err)
		p.lost = append(p.lost, p.from.node)
		other, lost := p.c.locate(p.ctx, p.sum, p.lost)
		if lost != nil {
			return fmt.Errorf("after %d of %d bytes: %w", p.at, p.from.Bytes, err)
		}
		p.from.node = other.node
	}
}

// take has a node lay a piece down, and takes it.
func (c *Courier) take(ctx context.Context, node string, w wanted) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, pieceTime)
	defer stop()
	question, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	err = fmt.Errorf("%w: %s", ErrSilent, node)
	c.mux.Ask(ctx, kindPiece, []string{node}, question, func(_ string, _ []byte, failed error) bool {
		err = failed
		return true
	})
	if err != nil {
		return nil, err
	}
	b, err := c.shelf.Take(ctx, w.Name)
	if err == nil && (len(b) == 0 || len(b) > pieceBytes) {
		err = fmt.Errorf("courier: node %s has laid down %d bytes", node, len(b))
	}
	return b, err
}
