//go:build linux && (amd64 || arm64)

package audio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ALSA plays on a sound card by the kernel's own interface, without alsa-lib.
// Its methods are those of firmware.Player; Xruns and Where may be called by anybody, and do not block.
type ALSA struct {
	card  string
	cards func() ([]Card, error)
	open  func(path string, capture bool) (kernel, error)
	xruns atomic.Uint64
	found atomic.Value // string: see Where

	mu     sync.Mutex
	source layout // what is written; rate 0: not open
	pcm    *pcm   // of the play; nil: the card is free
}

// NewALSA makes a player; card is empty for the likeliest one that can be
// opened, or the number or id of a card, hw:CARD,DEVICE or a path in /dev/snd.
func NewALSA(card string) *ALSA {
	return &ALSA{card: card, cards: hostCards, open: openDevice}
}

func hostCards() ([]Card, error) { return Cards(os.DirFS("/proc/asound")) }

// Open says what will be written, 16 bit little-endian samples, and tries the
// card: it fails where there is none that works, or it is taken.
func (a *ALSA) Open(rate, channels int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if rate <= 0 || channels <= 0 {
		return fmt.Errorf("alsa: %d Hz and %d channels", rate, channels)
	}
	a.source = layout{format: s16, rate: rate, channels: channels}
	if a.pcm != nil {
		return nil
	}
	if err := a.start(); err != nil {
		return err
	}
	return a.stop()
}

// start opens the first card that can be.
func (a *ALSA) start() error {
	cards, err := a.cards()
	if err != nil {
		return fmt.Errorf("alsa: %w", err)
	}
	list, err := find(cards, a.card, false)
	if err != nil {
		return fmt.Errorf("alsa: %w", err)
	}
	var faults []error
	for _, at := range list {
		p, err := openPCM(a.open, at, a.source, &a.xruns)
		if err == nil {
			a.pcm = p
			a.found.Store(at.name + " (" + p.setup.layout.String() + ")")
			return nil
		}
		faults = append(faults, fmt.Errorf("alsa: %s: %w", at.name, err))
	}
	return errors.Join(faults...)
}

// stop gives the card back, and whatever it had.
func (a *ALSA) stop() error {
	if a.pcm == nil {
		return nil
	}
	err := a.pcm.k.close()
	a.pcm = nil
	return err
}

// Write hands samples to the card, which is opened with the first of a play. It
// blocks while 100 ms are waiting to be heard. A card that stands still for
// 100 ms loses what it has, which counts as an xrun, and for 900 ms is an error,
// as is one that was unplugged.
func (a *ALSA) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.source.rate == 0 {
		return 0, errors.New("alsa: not open")
	}
	if a.pcm == nil {
		if err := a.start(); err != nil {
			return 0, err
		}
	}
	if err := a.pcm.write(a.pcm.conv.push(b)); err != nil {
		return 0, errors.Join(fmt.Errorf("alsa: %s: %w", a.pcm.name, err), a.stop())
	}
	return len(b), nil
}

// Delay is how long it takes until what was written has been heard.
func (a *ALSA) Delay() (time.Duration, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pcm == nil {
		return 0, nil
	}
	d, _, err := a.pcm.delay()
	if err != nil {
		return 0, fmt.Errorf("alsa: %s: %w", a.pcm.name, err)
	}
	return d, nil
}

// Drain blocks until the last sample has left the card, and gives the card back.
// Where ctx ends first the rest is dropped.
func (a *ALSA) Drain(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pcm == nil {
		return nil
	}
	if err := errors.Join(a.pcm.drain(ctx), a.stop()); err != nil {
		return fmt.Errorf("alsa: %w", err)
	}
	return nil
}

// Drop silences the card at once and gives it back.
func (a *ALSA) Drop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pcm == nil {
		return nil
	}
	_ = a.pcm.k.ioctl(ioDrop, nil) // giving it back does the same
	return a.stop()
}

// Close does what Drop does, and forgets what Open said.
func (a *ALSA) Close() error {
	err := a.Drop()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.source.rate = 0
	return err
}

// Tail is how long sound can go on after our death: nothing is ahead of a card
// by more, and the kernel stops one whose owner is gone.
func (a *ALSA) Tail() time.Duration { return bufferTime }

// Xruns counts the gaps in all plays so far: the card had nothing to play, or
// stood still.
func (a *ALSA) Xruns() uint64 { return a.xruns.Load() }

// Where names the card of the last play, and how it was run.
func (a *ALSA) Where() string {
	text, _ := a.found.Load().(string)
	return text
}

// pcm is one play on an open card.
type pcm struct {
	k     kernel
	name  string
	setup setup
	conv  *converter
	ahead int // frames that may wait to be heard
	xruns *atomic.Uint64
}

func openPCM(open func(string, bool) (kernel, error), at address, from layout, xruns *atomic.Uint64) (*pcm, error) {
	k, err := open(at.path(), false)
	if err != nil {
		return nil, err
	}
	p := &pcm{k: k, name: at.name, xruns: xruns}
	if p.setup, err = negotiate(k, from.rate, from.channels); err == nil {
		p.ahead = min(p.setup.buffer, frames(bufferTime, p.setup.rate))
		err = soften(k, p.setup, min(frames(startTime, p.setup.rate), p.ahead))
	}
	if err == nil {
		err = k.ioctl(ioPrepare, nil)
	}
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	p.conv = newConverter(from, p.setup.layout)
	return p, nil
}

// write hands over bytes in the layout of the card.
func (p *pcm) write(b []byte) error {
	moved := time.Now()
	quiet := moved // since when the card takes nothing, or was restarted
	for frame := p.setup.frame(); len(b) >= frame; {
		n, err := p.some(b[:min(len(b), p.ahead*frame)])
		if err == nil && n == 0 {
			err = p.k.wait(nap)
		}
		if err != nil {
			return err
		}
		now := time.Now()
		switch {
		case n > 0:
			moved, quiet, b = now, now, b[n*frame:]
		case now.Sub(moved) > stuck:
			return fmt.Errorf("it takes nothing in %v", stuck)
		case now.Sub(quiet) > stall:
			quiet = now
			if err := p.restart(); err != nil {
				return err
			}
		}
	}
	return nil
}

// some writes as many frames as there is room for, and answers their number.
func (p *pcm) some(b []byte) (int, error) {
	_, queued, err := p.delay()
	if err != nil {
		return 0, err
	}
	n := min(len(b)/p.setup.frame(), p.ahead-queued)
	if n <= 0 {
		time.Sleep(time.Millisecond) // wait would not: a buffer larger than wanted has room
		return 0, nil
	}
	x := transfer{buf: unsafe.Pointer(&b[0]), frames: uint64(n)}
	err = p.k.ioctl(ioWriteI, unsafe.Pointer(&x))
	runtime.KeepAlive(b)
	switch {
	case err == nil:
		return int(x.result), nil
	case errors.Is(err, unix.EAGAIN):
		return 0, nil
	case errors.Is(err, unix.EPIPE):
		return 0, p.restart()
	case errors.Is(err, unix.ESTRPIPE):
		return 0, p.resume()
	}
	return 0, err
}

// restart begins anew after the card has run out of samples, or has stood still.
func (p *pcm) restart() error {
	p.xruns.Add(1)
	_ = p.k.ioctl(ioDrop, nil) // it may have stopped by itself
	return p.k.ioctl(ioPrepare, nil)
}

// resume wakes the card after the machine has slept. What it had is old: it is
// dropped where the card cannot go on.
func (p *pcm) resume() error {
	if err := p.k.ioctl(ioResume, nil); err == nil || errors.Is(err, unix.EAGAIN) {
		return nil
	}
	return p.restart()
}

// delay is what was written and not heard, as time and as frames. A card that
// has stopped has heard everything.
func (p *pcm) delay() (time.Duration, int, error) {
	var n int64
	err := p.k.ioctl(ioDelay, unsafe.Pointer(&n))
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ESTRPIPE) {
		return 0, 0, nil
	}
	n = max(n, 0)
	return time.Duration(n) * time.Second / time.Duration(p.setup.rate), int(n), err
}

// drain waits until the last sample has left the card: until the kernel has
// stopped it. What DELAY said before is no measure, since a card knows its place
// by steps of some milliseconds (a period, a USB frame), and while it drains it
// answers EBADFD.
func (p *pcm) drain(ctx context.Context) error {
	if err := p.write(p.conv.flush()); err != nil {
		return err
	}
	left, _, err := p.delay()
	if err != nil {
		return err
	}
	heard := time.Now().Add(left) // what is on its way behind the buffer included
	late := heard.Add(stuck)
	if err := p.k.ioctl(ioDrain, nil); err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EPIPE) {
		return err
	}
	for {
		var s status
		if err := p.k.ioctl(ioStatus, unsafe.Pointer(&s)); err != nil {
			return err
		}
		if s.state != stateDraining {
			return pause(ctx, time.Until(heard))
		}
		if time.Now().After(late) {
			return fmt.Errorf("%s does not end in %v", p.name, stuck)
		}
		if err := pause(ctx, nap/5); err != nil {
			return err
		}
	}
}
