package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/drivers/media"
)

// Config says how the loudspeaker is simulated.
type Config struct {
	WAV    string           // file to record to; one that has sound becomes FILE.1 first; empty: no recording
	Buffer time.Duration    // how far it takes sound ahead of the clock; 0: 50 ms
	Now    func() time.Time // nil: time.Now
}

// Audio is a simulated loudspeaker. Its methods are those of firmware.Player.
// They are safe for concurrent use; Write and Drain of one play belong to one
// goroutine.
type Audio struct {
	cfg Config

	mu     sync.Mutex
	open   bool
	since  time.Time // of sample 0
	head   int       // position after the last sample that was written
	record *recording
	begun  *mark // a play whose first sample is not written yet
}

// ErrClosed is the error of using a loudspeaker that is not open.
var ErrClosed = errors.New("simulated loudspeaker is not open")

// NewAudio makes a loudspeaker; it touches no file before it is opened.
func NewAudio(cfg Config) *Audio {
	if cfg.Buffer <= 0 {
		cfg.Buffer = 50 * time.Millisecond
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Audio{cfg: cfg}
}

// Open starts the clock and the recording. The rate must be [media.Rate], with
// one channel.
func (a *Audio) Open(rate, channels int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if rate != media.Rate || channels != 1 {
		return fmt.Errorf("simulated loudspeaker takes %d Hz and 1 channel, not %d Hz and %d", media.Rate, rate, channels)
	}
	if a.open {
		return errors.New("simulated loudspeaker is open already")
	}
	a.since, a.head, a.begun = a.cfg.Now(), 0, nil
	if a.cfg.WAV != "" {
		r, err := newRecording(a.cfg.WAV, a.since)
		if err != nil {
			return err
		}
		a.record = r
	}
	a.open = true
	return nil
}

// Began says that the next samples belong to a play; the line of its start is
// written with the first of them.
func (a *Audio) Began(work string, token uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = &mark{work: work, token: token}
}

// Write takes samples (16 bit, little-endian) to be heard after those before
// them. It blocks while they would be further ahead of the clock than the
// buffer. Where the clock has overtaken what was written there is silence.
func (a *Audio) Write(b []byte) (int, error) {
	n := len(b) / 2
	if err := a.wait(context.Background(), max(0, media.Samples(a.cfg.Buffer)-n)); err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.open {
		return 0, ErrClosed
	}
	a.head = max(a.head, a.position())
	if a.record != nil {
		if a.begun != nil {
			if err := a.record.event("start", *a.begun, a.head); err != nil {
				return 0, err
			}
		}
		if err := a.record.write(b[:2*n], a.head); err != nil {
			return 0, err
		}
	}
	a.begun = nil
	a.head += n
	return 2 * n, nil
}

// Ended says that the play is over: the position of the line is where its last
// sample was, after [Audio.Drain] or [Audio.Drop]. A play without any sample
// leaves no line.
func (a *Audio) Ended(work string, token uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	unheard := a.begun != nil
	a.begun = nil
	if a.open && a.record != nil && !unheard {
		// The sound is over already: a full disk here loses one line, and the
		// next Write tells of it.
		_ = a.record.event("end", mark{work: work, token: token}, a.head)
	}
}

// Delay is how long it takes until what was written has been heard.
func (a *Audio) Delay() (time.Duration, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.open {
		return 0, ErrClosed
	}
	return media.Length(max(0, a.head-a.position())), nil
}

// Drain blocks until everything that was written has been heard, or ctx ends.
func (a *Audio) Drain(ctx context.Context) error { return a.wait(ctx, 0) }

// Drop forgets what was written and not yet heard.
func (a *Audio) Drop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.open {
		return ErrClosed
	}
	pos := a.position()
	if a.head <= pos {
		return nil
	}
	a.head = pos
	if a.record == nil {
		return nil
	}
	return a.record.cut(pos)
}

// Close ends the recording at this moment, so that its length is the time since
// it was opened. Closing again does nothing.
func (a *Audio) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.open {
		return nil
	}
	a.open = false
	if a.record == nil {
		return nil
	}
	r := a.record
	a.record = nil
	return errors.Join(r.cut(a.position()), r.close())
}

// Tail is how long sound goes on after the process has died: what is in the
// buffer stays in the recording.
func (a *Audio) Tail() time.Duration { return a.cfg.Buffer }

// position is the sample that is heard now.
func (a *Audio) position() int { return media.Samples(a.cfg.Now().Sub(a.since)) }

// wait blocks until at most ahead samples are still to be heard.
func (a *Audio) wait(ctx context.Context, ahead int) error {
	for {
		a.mu.Lock()
		over, open := a.head-a.position()-ahead, a.open
		a.mu.Unlock()
		if !open {
			return ErrClosed
		}
		if over <= 0 {
			return nil
		}
		if err := sleep(ctx, media.Length(over+1)); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
