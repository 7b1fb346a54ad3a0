package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/clip"
)

// Cache is the clips that a device has. It is safe for concurrent use.
type Cache struct {
	cfg   Config
	web   *Web
	kept  *clip.Store
	parts string        // directory of downloads under way
	slots chan struct{} // who downloads has one
	count counters

	mu    sync.Mutex
	under map[clip.Sum]*flight // downloads under way
}

// flight is a download under way.
type flight struct {
	over  chan struct{} // closed at its end
	moved time.Time     // when it began, or bytes came last
}

type counters struct {
	hits, fetched, hub, near, bytes, resumed, retried, missing, wrong, large, slow atomic.Uint64
}

// Stats counts what a [Cache] has done since it was opened.
type Stats struct {
	Hits    uint64 // asked for, and there
	Fetched uint64 // whole clips
	Hub     uint64 // of them, that came from the hub
	Near    uint64 // of them, that came from a neighbour
	Bytes   uint64 // that came over the network
	Resumed uint64 // downloads that went on where they had broken off
	Retried uint64 // attempts after the first
	Missing uint64 // that the hub has not, or refused
	Wrong   uint64 // of another hash
	Large   uint64 // of more bytes than a clip has
	Slow    uint64 // given up because they came too slowly
	Kept    clip.Stats
}

// Open opens a cache. Its error is a configuration that is not valid, or a
// directory that cannot be used.
func Open(cfg Config, web *Web) (*Cache, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.fill()
	c := &Cache{cfg: cfg, web: web, parts: filepath.Join(cfg.Dir, "parts"), slots: make(chan struct{}, cfg.AtOnce), under: map[clip.Sum]*flight{}}
	var err error
	if c.kept, err = clip.Open(clip.Config{Dir: cfg.Dir, MaxBytes: cfg.MaxBytes, MaxClip: cfg.MaxClip, Log: cfg.Log}); err != nil {
		return nil, err
	}
	return c, os.MkdirAll(c.parts, 0o700)
}

// Close ends the connections that nobody uses.
func (c *Cache) Close() { c.web.Close() }

// Stats is a snapshot of the counters.
func (c *Cache) Stats() Stats {
	n := &c.count
	return Stats{Hits: n.hits.Load(), Fetched: n.fetched.Load(), Hub: n.hub.Load(), Near: n.near.Load(), Bytes: n.bytes.Load(), Resumed: n.resumed.Load(), Retried: n.retried.Load(),
		Missing: n.missing.Load(), Wrong: n.wrong.Load(), Large: n.large.Load(), Slow: n.slow.Load(), Kept: c.kept.Stats()}
}

// Fetch answers the clip of that name ("sha256:…"), from the cache, from a
// neighbour that has it, or from the hub's web listener at what hub answers, which is asked before each attempt. It
// blocks until the whole clip is there and right, until it is known that it
// cannot be had, or until ctx ends; its error wraps [ErrMissing], [ErrHash] or
// [ErrDisk]. The file is the caller's to close.
func (c *Cache) Fetch(ctx context.Context, hub func() string, name string) (io.ReadSeekCloser, error) {
	sum, err := clip.ParseSum(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if f, _, err := c.kept.Open(sum); err == nil {
		c.count.hits.Add(1)
		return f, nil
	}
	leave, err := c.enter(ctx, sum)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	defer leave()
	if f, _, err := c.kept.Open(sum); err == nil { // somebody else fetched it meanwhile
		return f, nil
	}
	if err := c.download(ctx, hub, sum); err != nil {
		return nil, err
	}
	f, _, err := c.kept.Open(sum)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDisk, err)
	}
	return f, nil
}

// enter waits until nobody else downloads the clip, and for a slot.
func (c *Cache) enter(ctx context.Context, sum clip.Sum) (leave func(), err error) {
	for {
		c.mu.Lock()
		other, busy := c.under[sum]
		if !busy {
			c.under[sum] = &flight{over: make(chan struct{}), moved: time.Now()}
		}
		c.mu.Unlock()
		if !busy {
			break
		}
		select {
		case <-other.over:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots; c.left(sum) }, nil
	case <-ctx.Done():
		c.left(sum)
		return nil, ctx.Err()
	}
}

func (c *Cache) left(sum clip.Sum) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.under[sum].over)
	delete(c.under, sum)
}

// moved notes that bytes of a download came.
func (c *Cache) moved(sum clip.Sum) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.under[sum].moved = time.Now()
}

// keep takes a finished download into the cache.
func (c *Cache) keep(part string, sum clip.Sum) error {
	_, err := c.kept.Adopt(part, sum)
	if err == nil {
		c.count.fetched.Add(1)
		return nil
	}
	_ = os.Remove(part) // what is wrong is not resumed
	if errors.Is(err, clip.ErrSum) {
		return ErrHash
	}
	return fmt.Errorf("%w: %w", ErrDisk, err)
}
