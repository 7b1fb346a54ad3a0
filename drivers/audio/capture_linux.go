//go:build linux && (amd64 || arm64)

package audio

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Capture records from a sound card. It belongs to one goroutine.
type Capture struct {
	k     kernel
	name  string
	setup setup
	conv  *converter
	buf   []byte
	have  []byte // converted and not yet read
	xruns uint64
}

// NewCapture opens a card for recording rate samples a second, mono; card is as
// for [NewALSA]. It fails where there is none, or it is taken.
func NewCapture(card string, rate int) (*Capture, error) {
	cards, err := hostCards()
	if err != nil {
		return nil, fmt.Errorf("alsa: %w", err)
	}
	list, err := find(cards, card, true)
	if err != nil {
		return nil, fmt.Errorf("alsa: %w", err)
	}
	var faults []error
	for _, at := range list {
		c, err := openCapture(openDevice, at, rate)
		if err == nil {
			return c, nil
		}
		faults = append(faults, fmt.Errorf("alsa: %s: %w", at.name, err))
	}
	return nil, errors.Join(faults...)
}

func openCapture(open func(string, bool) (kernel, error), at address, rate int) (*Capture, error) {
	if rate <= 0 {
		return nil, fmt.Errorf("%d Hz", rate)
	}
	k, err := open(at.path(), true)
	if err != nil {
		return nil, err
	}
	c := &Capture{k: k, name: at.name}
	if c.setup, err = negotiate(k, rate, 1); err == nil {
		err = soften(k, c.setup, 1)
	}
	if err == nil {
		err = c.begin()
	}
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	c.buf = make([]byte, c.setup.period*c.setup.frame())
	c.conv = newConverter(c.setup.layout, layout{format: s16, rate: rate, channels: 1})
	return c, nil
}

func (c *Capture) begin() error {
	if err := c.k.ioctl(ioPrepare, nil); err != nil {
		return err
	}
	return c.k.ioctl(ioStart, nil)
}

// Read reads 16 bit little-endian samples as they come, at least one. It blocks
// for at most 900 ms: a microphone that gives nothing for so long is broken.
func (c *Capture) Read(b []byte) (int, error) {
	deadline := time.Now().Add(stuck)
	for len(c.have) == 0 {
		if err := c.some(); err != nil {
			return 0, fmt.Errorf("alsa: %s: %w", c.name, err)
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("alsa: %s: it gives nothing in %v", c.name, stuck)
		}
	}
	n := copy(b[:len(b)&^1], c.have)
	c.have = c.have[n:]
	return n, nil
}

// some reads and converts what there is.
func (c *Capture) some() error {
	x := transfer{buf: unsafe.Pointer(&c.buf[0]), frames: uint64(c.setup.period)}
	err := c.k.ioctl(ioReadI, unsafe.Pointer(&x))
	runtime.KeepAlive(c.buf)
	switch {
	case err == nil:
		c.have = c.conv.push(c.buf[:int(x.result)*c.setup.frame()])
		return nil
	case errors.Is(err, unix.EAGAIN):
		return c.k.wait(nap)
	case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ESTRPIPE):
		c.xruns++
		_ = c.k.ioctl(ioDrop, nil)
		return c.begin()
	}
	return err
}

// Xruns counts how often sound was lost, because it was not read in time.
func (c *Capture) Xruns() uint64 { return c.xruns }

// Where names the card, and how it is run.
func (c *Capture) Where() string { return c.name + " (" + c.setup.layout.String() + ")" }

// Close gives the card back.
func (c *Capture) Close() error { return c.k.close() }
