package clip

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Why a store does not do what it is asked.
var (
	ErrNotFound = errors.New("no such clip")
	ErrTooLarge = errors.New("the clip is too large")
	ErrNotSound = errors.New("no sound that is read here")
	ErrFull     = errors.New("no room for the clip")
	ErrNeeded   = errors.New("an order that waits needs the clip")
	ErrDamaged  = errors.New("the clip was damaged")
	ErrSum      = errors.New("the bytes are not those of the clip")
)

// Meter knows sound files.
type Meter interface {
	// Measure tells a file's media type and how long it sounds, from where the
	// reader stands at its beginning. Its error refuses the file. It blocks for the
	// file, and is called by several goroutines.
	Measure(file io.ReadSeeker) (mediaType string, length time.Duration, err error)
}

// Config says where clips are and how many.
type Config struct {
	Dir      string // needed; made where it is not there, for its owner alone
	MaxBytes int64  // of all clips; 0: 1 GiB
	MaxClip  int64  // bytes of one; 0: 64 MiB
	MaxClips int    // how many; 0: 10,000

	// Meter measures what comes in, and refuses what is no sound; nil: everything
	// is taken and nothing known of it.
	Meter Meter
	// Needed is the clips that must stay. It is called while room is made or a clip
	// removed, with no lock held; nil: none must.
	Needed func() map[Sum]bool
	// Now is the wall clock; nil: time.Now.
	Now func() time.Time
	// Log is told of damage; nil: nobody is.
	Log *slog.Logger
}

// Defaults and fixed bounds.
const (
	DefaultMaxBytes = 1 << 30
	DefaultMaxClip  = 64 << 20
	DefaultMaxClips = 10_000

	writers    = 4                // newcomers written at a time
	grace      = 10 * time.Second // a clip used so lately is about to be named by an order
	mostAside  = 8                // damaged files that are kept
	mostKeys   = 8                // of one clip
	touchEvery = time.Minute      // the time of use is written no more often
	trustFor   = time.Hour        // bytes that were right are looked at again
)

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("clip: a directory is needed"))
	}
	if c.MaxBytes < 0 || c.MaxClip < 0 || c.MaxClips < 0 {
		faults = append(faults, fmt.Errorf("clip: a bound is negative: %d bytes, %d bytes a clip, %d clips", c.MaxBytes, c.MaxClip, c.MaxClips))
	}
	return errors.Join(faults...)
}

func (c *Config) fill() {
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.MaxClip == 0 {
		c.MaxClip = DefaultMaxClip
	}
	c.MaxClip = min(c.MaxClip, c.MaxBytes)
	if c.MaxClips == 0 {
		c.MaxClips = DefaultMaxClips
	}
	if c.Needed == nil {
		c.Needed = func() map[Sum]bool { return nil }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}
