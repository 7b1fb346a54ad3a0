package gpio

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/gpio"
)

// edges is a line for input whose edges have numbers. It has the methods of
// conn's gpio.PinIn; WaitForEdge and Lost are called by one goroutine.
type edges struct {
	name   string
	offset int
	pull   gpio.Pull
	f      *os.File
	last   uint32 // number of the newest edge that was read
	lost   uint64
	halted atomic.Bool
	err    atomic.Pointer[error]
}

const queueLen = 64 // edges that the kernel keeps; more would be told of long after

// openEdges requests a line. Its error is EBUSY where somebody has it.
func openEdges(path string, offset int, name string, pull gpio.Pull) (*edges, error) {
	chip, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer chip.Close()
	r := lineRequest{lines: 1, eventSize: queueLen}
	r.offsets[0] = uint32(offset)
	copy(r.consumer[:nameSize-1], fmt.Sprintf("tacet-device@%d", os.Getpid()))
	r.config.flags = flagInput | flagRising | flagFalling | pullFlag(pull)
	if err := ioctl(chip.Fd(), getLine, &r); err != nil {
		return nil, fmt.Errorf("request %s of %s: %w", name, path, err)
	}
	if err := unix.SetNonblock(int(r.fd), true); err != nil { // so that reads can end
		return nil, errors.Join(err, unix.Close(int(r.fd)))
	}
	unix.CloseOnExec(int(r.fd))
	return &edges{name: name, offset: offset, pull: pull, f: os.NewFile(uintptr(r.fd), name)}, nil
}

func pullFlag(p gpio.Pull) uint64 {
	switch p {
	case gpio.PullUp:
		return flagPullUp
	case gpio.PullDown:
		return flagPullDown
	case gpio.Float:
		return flagNoPull
	}
	return 0
}

// WaitForEdge waits for at most timeout, or until Halt where it is negative; it
// tells whether there was an edge. Edges that have come together are one.
func (e *edges) WaitForEdge(timeout time.Duration) bool {
	var deadline time.Time
	if timeout >= 0 {
		deadline = time.Now().Add(timeout)
	}
	if err := e.f.SetReadDeadline(deadline); err != nil {
		e.fail(err)
		return false
	}
	if e.halted.Load() {
		return false
	}
	var buf [queueLen]lineEvent
	n, err := e.f.Read(unsafe.Slice((*byte)(unsafe.Pointer(&buf)), unsafe.Sizeof(buf)))
	if err != nil {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			e.fail(err)
		}
		return false
	}
	for _, ev := range buf[:n/int(unsafe.Sizeof(buf[0]))] {
		e.lost += missing(e.last, ev.inLine)
		e.last = ev.inLine
	}
	return n > 0
}

// missing is how many numbers there are between that of the last edge and the
// next; they begin at 1 and go round.
func missing(last, next uint32) uint64 { return uint64(next - last - 1) }

func (e *edges) fail(err error) { e.err.Store(&err) }

// Err is why the line can no longer be used; nil: it can.
func (e *edges) Err() error {
	if err := e.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Lost is how many edges the kernel had no room for since it was last asked.
func (e *edges) Lost() uint64 {
	n := e.lost
	e.lost = 0
	return n
}

// Read is the level of now; low where the line cannot be read, which Err tells.
func (e *edges) Read() gpio.Level {
	v := lineValues{mask: 1}
	err := e.control(func(fd uintptr) error { return ioctl(fd, getLineValues, &v) })
	if err != nil {
		e.fail(err)
	}
	return v.bits&1 == 1
}

func (e *edges) control(f func(fd uintptr) error) error {
	raw, err := e.f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	return errors.Join(raw.Control(func(fd uintptr) { failed = f(fd) }), failed)
}

// Halt ends a WaitForEdge, and every one that comes. It is safe for concurrent
// use.
func (e *edges) Halt() error {
	e.halted.Store(true)
	return e.f.SetReadDeadline(time.Unix(1, 0))
}

// Close gives the line back.
func (e *edges) Close() error { return e.f.Close() }

// In is an error: the line is an input already.
func (e *edges) In(gpio.Pull, gpio.Edge) error { return errors.New("gpio: a line is requested once") }

// Pull is what was asked for.
func (e *edges) Pull() gpio.Pull { return e.pull }

// DefaultPull is not known.
func (e *edges) DefaultPull() gpio.Pull { return gpio.PullNoChange }

// Name, Number, Function and String are for people.
func (e *edges) Name() string     { return e.name }
func (e *edges) Number() int      { return e.offset }
func (e *edges) Function() string { return "In" }
func (e *edges) String() string   { return fmt.Sprintf("%s(%d)", e.name, e.offset) }

var _ gpio.PinIn = (*edges)(nil)
