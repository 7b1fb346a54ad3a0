package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
)

// Near is the neighbours of a device, which may have what it looks for. Package
// share has one. Its methods are safe for concurrent use.
type Near interface {
	// Ask asks all of them for a clip. It blocks for seconds at most.
	Ask(ctx context.Context, sum clip.Sum) []Shelf
	// Get asks one of them for the bytes, with these headers. The body is the
	// caller's to close. It blocks until the answer begins.
	Get(ctx context.Context, who area.DeviceID, sum clip.Sum, head http.Header) (*http.Response, error)
}

// Shelf is what a neighbour has of a clip.
type Shelf struct {
	Device area.DeviceID
	Has    Has
}

// Has is how much somebody has of a clip.
type Has uint8

// From less to more.
const (
	Silent  Has = iota // it did not answer
	Nothing            // it is not there
	Coming             // it is on its way there
	Whole
)

// Times of a clip that comes once for all neighbours.
const (
	asideTime  = 20 * time.Second // for one of them to begin; then half as long again, by chance
	askEvery   = time.Second
	spreadTime = 45 * time.Second // for each of them to begin, once one has it
	stillTime  = 15 * time.Second // without a byte nothing is on its way
	nearTries  = 3                // neighbours that are asked for the bytes
	mostFails  = 20               // of neighbours that have it, but do not give it
)

var errNobody = errors.New("no neighbour gave it")

// Look opens a clip that is here. The file is the caller's to close.
func (c *Cache) Look(sum clip.Sum) (io.ReadSeekCloser, error) {
	f, _, err := c.kept.Open(sum)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Has tells whether a clip is here whole, and else whether it is on its way: it is
// being fetched, and bytes of it came a short while ago.
func (c *Cache) Has(sum clip.Sum) (whole, coming bool) {
	if _, whole = c.kept.Get(sum); whole {
		return true, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.under[sum]
	return false, f != nil && time.Since(f.moved) < stillTime
}

// ask asks the neighbours, and tells the most that one of them has.
func (c *Cache) ask(ctx context.Context, sum clip.Sum) (shelves []Shelf, most Has) {
	if c.cfg.Near == nil {
		return nil, Silent
	}
	shelves = c.cfg.Near.Ask(ctx, sum)
	for _, s := range shelves {
		most = max(most, s.Has)
	}
	return shelves, most
}

// fromNear fetches a clip from one of the neighbours that have it.
func (c *Cache) fromNear(ctx context.Context, part string, sum clip.Sum) error {
	shelves, most := c.ask(ctx, sum)
	if most < Whole {
		return errNobody
	}
	rand.Shuffle(len(shelves), func(i, j int) { shelves[i], shelves[j] = shelves[j], shelves[i] })
	tries := 0
	for _, s := range shelves {
		if s.Has != Whole {
			continue
		}
		err := c.attempt(ctx, c.neighbour(s.Device, sum), part, sum)
		if err == nil {
			c.count.near.Add(1)
			return nil
		}
		c.cfg.Log.Debug("clip not had of a neighbour", "node", string(s.Device), "err", err)
		if tries++; tries == nearTries || errors.Is(err, ErrDisk) || ctx.Err() != nil {
			return err
		}
	}
	return errNobody
}

// neighbour is the source of a clip that a neighbour has.
func (c *Cache) neighbour(who area.DeviceID, sum clip.Sum) source {
	return func(ctx context.Context, head http.Header) (*http.Response, error) {
		res, err := c.cfg.Near.Get(ctx, who, sum, head)
		if err == nil && res.StatusCode != http.StatusOK && res.StatusCode != http.StatusPartialContent {
			_ = res.Body.Close() // it says what the status says
			err = fmt.Errorf("it answers %s", res.Status)
		}
		if err != nil {
			return nil, err
		}
		return res, nil
	}
}

// Await brings a clip that a neighbour was asked to bring from the hub, to be
// fetched from there: it waits while a neighbour has it or has it coming. Where
// nobody has begun after 20 to 30 s, or there is no neighbour, it is fetched as
// [Cache.Fetch] does. It blocks until the clip is here, or ctx ends; its errors
// are those of Fetch.
func (c *Cache) Await(ctx context.Context, hub func() string, name string) error {
	sum, err := clip.ParseSum(name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	fails := 0
	for until := aside(); ; {
		if whole, _ := c.Has(sum); whole {
			return nil
		}
		shelves, most := c.ask(ctx, sum)
		switch {
		case most == Whole:
			if err := c.fetchNear(ctx, sum); err == nil || errors.Is(err, ErrDisk) {
				return err
			}
			if fails++; fails < mostFails { // it has too many at a time
				until = aside()
			}
		case most == Coming:
			until = aside()
		}
		if len(shelves) == 0 || time.Now().After(until) {
			break
		}
		if err := doze(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrMissing, err)
		}
	}
	f, err := c.Fetch(ctx, hub, name)
	if err != nil {
		return err
	}
	return f.Close()
}

func aside() time.Time { return time.Now().Add(asideTime + rand.N(asideTime/2)) }

func doze(ctx context.Context) error {
	t := time.NewTimer(askEvery/2 + rand.N(askEvery))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetchNear fetches a clip from the neighbours alone.
func (c *Cache) fetchNear(ctx context.Context, sum clip.Sum) error {
	leave, err := c.enter(ctx, sum)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	defer leave()
	if whole, _ := c.Has(sum); whole {
		return nil
	}
	return c.fromNear(ctx, c.part(sum), sum)
}

// Spread waits until each neighbour that answers has a clip, and tells who has
// it and who has not. Who has not begun to fetch it after 45 s is not waited for,
// nor is one that does not answer. It blocks until then, or ctx ends.
func (c *Cache) Spread(ctx context.Context, name string) (has, lacks []area.DeviceID) {
	sum, err := clip.ParseSum(name)
	if err != nil {
		return nil, nil
	}
	for until := time.Now().Add(spreadTime); ; {
		shelves, _ := c.ask(ctx, sum)
		has, lacks = nil, nil
		wait := false
		for _, s := range shelves {
			if s.Has == Whole {
				has = append(has, s.Device)
				continue
			}
			lacks = append(lacks, s.Device)
			wait = wait || s.Has == Coming || s.Has == Nothing && time.Now().Before(until)
		}
		if !wait || doze(ctx) != nil {
			return has, lacks
		}
	}
}
