package fetch

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tacet-hub/tacet/broker/clip"
)

// Why there is no clip. What [Cache.Fetch] answers wraps one of them.
var (
	ErrMissing = errors.New("the clip could not be had")
	ErrHash    = errors.New("the hub sends another clip")
	ErrDisk    = errors.New("the clip could not be kept")
)

// Config says where clips are kept and how many.
type Config struct {
	Dir      string // needed; made where it is not there
	MaxBytes int64  // of the cache; 0: 256 MiB
	MaxClip  int64  // bytes of one; 0: 64 MiB
	AtOnce   int    // downloads; 0: 3
	Near     Near   // who is asked before the hub; nil: nobody
	Log      *slog.Logger
}

// Defaults and fixed bounds.
const (
	defaultMaxBytes = 256 << 20
	defaultAtOnce   = 3

	stallTime = 10 * time.Second // without a byte the line is taken for dead
	slowGrace = 15 * time.Second // after it a download has brought slowRate all along
	slowRate  = 4 << 10          // bytes a second: with less a clip of any use takes minutes
	firstWait = 200 * time.Millisecond
	longest   = 5 * time.Second // between two attempts
	mostParts = 8               // downloads that broke off
)

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("fetch: a directory is needed"))
	}
	if c.MaxBytes < 0 || c.MaxClip < 0 || c.AtOnce < 0 {
		faults = append(faults, fmt.Errorf("fetch: a bound is negative: %d bytes, %d bytes a clip, %d at once", c.MaxBytes, c.MaxClip, c.AtOnce))
	}
	return errors.Join(faults...)
}

func (c *Config) fill() {
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.MaxClip == 0 {
		c.MaxClip = clip.DefaultMaxClip
	}
	if c.AtOnce == 0 {
		c.AtOnce = defaultAtOnce
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}
