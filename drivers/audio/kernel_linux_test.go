//go:build linux && (amd64 || arm64)

package audio

import (
	"math"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fakeCard is a sound card behind the kernel's interface, on the clock of a
// bubble. It refines wishes as the kernel does: it takes the intersection of what
// is asked for and what it can, and refuses an empty one.
type fakeCard struct {
	formats                        []int // bits of the mask
	channels, rate, period, buffer [2]int

	mu      sync.Mutex
	set     setup
	frame   int
	start   int // threshold
	state   string
	began   time.Time // position 0
	base    int       // frames heard before began
	written int       // frames
	heard   []byte
	opened  int
	open    bool
	fails   error // of every call from now on
	stands  bool  // it takes nothing and plays nothing
	sleeps  bool  // the machine has been suspended
	rouses  error // the answer to resuming
	xruns   int
	tick    time.Duration // it knows its place by such steps; 0: exactly
	cut     int           // frames that were not heard when it was closed while it drained
}

func newFakeCard() *fakeCard {
	return &fakeCard{formats: []int{2, 10}, channels: [2]int{2, 2}, rate: [2]int{44100, 48000}, period: [2]int{64, 8192}, buffer: [2]int{128, 16384}}
}

func (c *fakeCard) openFile(path string, capture bool) (kernel, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails != nil {
		return nil, c.fails
	}
	if c.open {
		return nil, unix.EBUSY
	}
	c.open, c.state = true, "open"
	c.opened++
	return c, nil
}

func (c *fakeCard) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.step(); c.state == "draining" {
		c.cut += c.written - c.played()
	}
	c.open = false
	return nil
}

func (c *fakeCard) wait(d time.Duration) error {
	time.Sleep(d)
	return nil
}

func (c *fakeCard) ioctl(request uint32, arg unsafe.Pointer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails != nil {
		return c.fails
	}
	switch request {
	case ioRefine:
		return c.refine((*hwParams)(arg))
	case ioParams:
		return c.params((*hwParams)(arg))
	case ioSoft:
		c.start = int((*swParams)(arg).startAt)
		return nil
	case ioPrepare:
		c.state, c.written, c.base = "prepared", 0, 0
		return nil
	case ioDrop:
		c.state = "setup"
		return nil
	case ioResume:
		if c.sleeps = false; c.rouses == nil {
			c.state = "prepared"
		}
		return c.rouses
	case ioStatus:
		if c.step(); c.state == "draining" {
			(*status)(arg).state = stateDraining
		}
		return nil
	case ioDelay:
		return c.delay((*int64)(arg))
	case ioWriteI:
		return c.write((*transfer)(arg))
	case ioDrain:
		if c.state == "prepared" && c.written > 0 {
			c.run()
		}
		if c.state == "running" {
			c.state = "draining"
			return unix.EAGAIN
		}
		c.state = "setup"
		return nil
	}
	return unix.ENOTTY
}

func (c *fakeCard) run() { c.state, c.began = "running", time.Now() }

// played is the frames heard so far.
func (c *fakeCard) played() int {
	if c.state != "running" && c.state != "draining" || c.stands {
		return c.base
	}
	since := time.Since(c.began)
	if c.tick > 0 {
		since = since.Truncate(c.tick)
	}
	return frames(since, c.set.rate)
}

// step notices that the card has run out.
func (c *fakeCard) step() {
	if c.played() < c.written {
		return
	}
	switch c.state {
	case "running":
		c.state = "xrun"
		c.xruns++
	case "draining":
		c.state = "setup"
	}
}

func (c *fakeCard) delay(n *int64) error {
	c.step()
	switch {
	case c.sleeps:
		return unix.ESTRPIPE
	case c.state == "xrun":
		return unix.EPIPE
	case c.state == "setup" || c.state == "open" || c.state == "draining":
		return unix.EBADFD
	}
	*n = int64(c.written - c.played())
	return nil
}

func (c *fakeCard) write(x *transfer) error {
	c.step()
	switch {
	case c.sleeps:
		return unix.ESTRPIPE
	case c.state == "xrun":
		return unix.EPIPE
	case c.state != "prepared" && c.state != "running":
		return unix.EBADFD
	}
	n := min(int(x.frames), c.set.buffer-(c.written-c.played()))
	if n <= 0 || c.stands {
		return unix.EAGAIN
	}
	c.heard = append(c.heard, unsafe.Slice((*byte)(x.buf), n*c.frame)...)
	c.written += n
	x.result = int64(n)
	if c.state == "prepared" && c.written >= c.start {
		c.run()
	}
	return nil
}

func (c *fakeCard) refine(h *hwParams) error {
	var access, formats mask
	access[0] = 1 << accessRW
	for _, f := range c.formats {
		formats[f/32] |= 1 << (f % 32)
	}
	for param, can := range map[int]mask{paramAccess: access, paramFormat: formats} {
		any := uint32(0)
		for i := range can {
			h.masks[param][i] &= can[i]
			any |= h.masks[param][i]
		}
		if any == 0 {
			return unix.EINVAL
		}
	}
	for param, can := range map[int][2]int{paramChans: c.channels, paramRate: c.rate, paramPeriod: c.period, paramBuffer: c.buffer} {
		i := &h.intervals[param]
		i.min, i.max = max(i.min, uint32(can[0])), min(i.max, uint32(can[1]))
		if i.min > i.max {
			return unix.EINVAL
		}
	}
	return nil
}

func (c *fakeCard) params(h *hwParams) error {
	if h.rmask != math.MaxUint32 {
		return unix.EINVAL
	}
	if err := c.refine(h); err != nil {
		return err
	}
	for i := range h.intervals {
		h.intervals[i].max = h.intervals[i].min
	}
	of := func(param int) int { return int(h.intervals[param].min) }
	for _, f := range formats {
		if h.has(paramFormat, f.alsa()) {
			c.set.format = f
		}
	}
	c.set.rate, c.set.channels, c.set.period, c.set.buffer = of(paramRate), of(paramChans), of(paramPeriod), of(paramBuffer)
	c.frame = c.set.frame()
	return nil
}
