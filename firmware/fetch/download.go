package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/clip"
)

// errTransient marks what may be better the next time.
var errTransient = errors.New("for now")

// part is the file of a download under way.
func (c *Cache) part(sum clip.Sum) string { return filepath.Join(c.parts, sum.Hex()) }

// download fetches a clip, attempt by attempt: from a neighbour that has it, else
// from the hub.
func (c *Cache) download(ctx context.Context, hub func() string, sum clip.Sum) error {
	c.prune()
	part := c.part(sum)
	for wait := firstWait; ; wait = min(2*wait, longest) {
		if err := c.fromNear(ctx, part, sum); err == nil || errors.Is(err, ErrDisk) {
			return err
		}
		err := c.fromHub(ctx, hub(), part, sum)
		if err == nil || !errors.Is(err, errTransient) {
			return err
		}
		t := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-t.C:
			c.count.retried.Add(1)
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%w: %w", ErrMissing, err)
		}
	}
}

// fromHub goes on with a download from the hub's web listener.
func (c *Cache) fromHub(ctx context.Context, hub, part string, sum clip.Sum) error {
	if hub == "" {
		return fmt.Errorf("%w: the hub's web listener is not known: %w", ErrMissing, errTransient)
	}
	err := c.attempt(ctx, func(ctx context.Context, head http.Header) (*http.Response, error) {
		return c.web.Get(ctx, hub, "/clips/"+sum.Hex(), head)
	}, part, sum)
	if err == nil {
		c.count.hub.Add(1)
	}
	return err
}

// source asks whoever has a clip for it, with headers.
type source func(ctx context.Context, head http.Header) (*http.Response, error)

// attempt goes on with a download until it is whole, or ends.
func (c *Cache) attempt(ctx context.Context, get source, part string, sum clip.Sum) error {
	f, err := os.OpenFile(part, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	defer f.Close()
	had, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	res, err := get(ctx, rangeFrom(had))
	if err != nil {
		return unreachable(err)
	}
	defer res.Body.Close()
	from, err := c.answered(res, had)
	if err != nil {
		if useless(res.StatusCode) {
			_ = f.Truncate(0)
		}
		return err
	}
	if from > 0 {
		c.count.resumed.Add(1)
	}
	if err := c.take(f, sum, from, res, stop); err != nil {
		return err
	}
	err = c.keep(part, sum)
	switch {
	case errors.Is(err, ErrHash) && from > 0: // the beginning may have been another's
		return fmt.Errorf("%w: %w", err, errTransient)
	case errors.Is(err, ErrHash):
		c.count.wrong.Add(1)
	}
	return err
}

func rangeFrom(n int64) http.Header {
	h := http.Header{}
	if n > 0 {
		h.Set("Range", "bytes="+strconv.FormatInt(n, 10)+"-")
	}
	return h
}

// unreachable is the error of a hub that gave no answer. One that does not know
// the device will not know it a second later.
func unreachable(err error) error {
	if errors.Is(err, errSignIn) {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return fmt.Errorf("%w: %w: %w", ErrMissing, err, errTransient)
}

// answered reads the head of an answer, and tells from which byte on it goes.
func (c *Cache) answered(res *http.Response, had int64) (from int64, err error) {
	switch code := res.StatusCode; {
	case code == http.StatusOK:
	case code == http.StatusPartialContent && strings.HasPrefix(res.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(had, 10)+"-"):
		from = had
	case code == http.StatusPartialContent, code == http.StatusRequestedRangeNotSatisfiable:
		return 0, fmt.Errorf("%w: another part of it was sent: %w", ErrMissing, errTransient)
	case code == http.StatusTooManyRequests, code >= 500:
		return 0, fmt.Errorf("%w: the hub answers %s: %w", ErrMissing, res.Status, errTransient)
	default:
		c.count.missing.Add(1)
		return 0, fmt.Errorf("%w: the hub answers %s", ErrMissing, res.Status)
	}
	if res.ContentLength > c.cfg.MaxClip-from {
		c.count.large.Add(1)
		return 0, fmt.Errorf("%w: %d bytes are more than a clip has", ErrMissing, res.ContentLength)
	}
	return from, nil
}

// useless tells whether what was fetched before does not help: the answer is no
// trouble of the hub's, but about this part or this clip.
func useless(code int) bool {
	return code < 500 && code != http.StatusTooManyRequests
}

// take writes the body of an answer to its place. It ends a line that is dead
// and one that drips.
func (c *Cache) take(f *os.File, sum clip.Sum, from int64, res *http.Response, stop context.CancelCauseFunc) error {
	if err := errors.Join(f.Truncate(from), seek(f, from)); err != nil {
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	dead := time.AfterFunc(stallTime, func() { stop(errors.New("nothing comes any more")) })
	defer dead.Stop()
	began, buf := time.Now(), make([]byte, 32<<10)
	for n := int64(0); ; {
		k, err := res.Body.Read(buf)
		dead.Reset(stallTime)
		n += int64(k)
		c.count.bytes.Add(uint64(k))
		c.moved(sum)
		if from+n > c.cfg.MaxClip {
			c.count.large.Add(1)
			return errors.Join(fmt.Errorf("%w: more bytes than a clip has", ErrMissing), os.Remove(f.Name()))
		}
		if _, bad := f.Write(buf[:k]); bad != nil {
			return fmt.Errorf("%w: %w", ErrDisk, bad)
		}
		if d := time.Since(began) - slowGrace; d > 0 && n < int64(d/time.Second)*slowRate {
			c.count.slow.Add(1)
			return fmt.Errorf("%w: %d bytes in %v: too slow", ErrMissing, n, time.Since(began).Round(time.Second))
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("%w: %w: %w", ErrMissing, err, errTransient)
		}
	}
}

func seek(f *os.File, to int64) error {
	_, err := f.Seek(to, io.SeekStart)
	return err
}

// prune forgets the oldest downloads that broke off.
func (c *Cache) prune() {
	parts, err := os.ReadDir(c.parts)
	if err != nil || len(parts) <= mostParts {
		return
	}
	slices.SortFunc(parts, func(a, b fs.DirEntry) int { return timeOf(b).Compare(timeOf(a)) })
	for _, p := range parts[mostParts:] {
		_ = os.Remove(filepath.Join(c.parts, p.Name())) // one that is under way starts again
	}
}

func timeOf(f fs.DirEntry) time.Time {
	stat, err := f.Info()
	if err != nil {
		return time.Time{}
	}
	return stat.ModTime()
}
