//go:build linux && (amd64 || arm64)

package audio

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's interface to a PCM device, as include/uapi/sound/asound.h has it
// for 64 bit machines. What is not used here has no name.

const (
	paramAccess  = 0 // masks
	paramFormat  = 1
	paramFirst   = 8 // of the intervals
	paramChans   = 10 - paramFirst
	paramRate    = 11 - paramFirst
	paramPeriod  = 13 - paramFirst // in frames
	paramBuffer  = 17 - paramFirst // in frames
	accessRW     = 3               // SNDRV_PCM_ACCESS_RW_INTERLEAVED
	openMin      = 1 << 0          // flags of an interval: its end does not belong to it
	openMax      = 1 << 1
	wholeNumbers = 1 << 2
)

type interval struct{ min, max, flags uint32 }

type mask [8]uint32

type hwParams struct {
	flags           uint32
	masks           [3]mask
	_               [5]mask
	intervals       [12]interval
	_               [9]interval
	rmask, cmask    uint32 // asked for, changed
	info, msbits    uint32
	rateNum, rateIn uint32
	fifo            uint64
	_               [64]byte
}

type swParams struct {
	stamps, periodStep, sleepMin     uint32
	availMin, align                  uint64
	startAt, stopAt                  uint64
	silenceAt, silenceSize, boundary uint64
	proto, stampKind                 uint32
	_                                [56]byte
}

// status is struct snd_pcm_status, of which the state alone is looked at.
type status struct {
	state int32
	_     [148]byte
}

const stateDraining = 5 // SNDRV_PCM_STATE_DRAINING

// transfer is struct snd_xferi.
type transfer struct {
	result int64
	buf    unsafe.Pointer
	frames uint64
}

// ioctl numbers: direction, size of the argument, type 'A', number.
const (
	ioNone, ioWrite, ioRead = 0, 1, 2

	ioRefine  = (ioRead|ioWrite)<<30 | uint32(unsafe.Sizeof(hwParams{}))<<16 | 'A'<<8 | 0x10
	ioParams  = (ioRead|ioWrite)<<30 | uint32(unsafe.Sizeof(hwParams{}))<<16 | 'A'<<8 | 0x11
	ioSoft    = (ioRead|ioWrite)<<30 | uint32(unsafe.Sizeof(swParams{}))<<16 | 'A'<<8 | 0x13
	ioStatus  = ioRead<<30 | uint32(unsafe.Sizeof(status{}))<<16 | 'A'<<8 | 0x20
	ioDelay   = ioRead<<30 | 8<<16 | 'A'<<8 | 0x21
	ioPrepare = ioNone<<30 | 'A'<<8 | 0x40
	ioStart   = ioNone<<30 | 'A'<<8 | 0x42
	ioDrop    = ioNone<<30 | 'A'<<8 | 0x43
	ioDrain   = ioNone<<30 | 'A'<<8 | 0x44
	ioResume  = ioNone<<30 | 'A'<<8 | 0x47
	ioWriteI  = ioWrite<<30 | uint32(unsafe.Sizeof(transfer{}))<<16 | 'A'<<8 | 0x50
	ioReadI   = ioRead<<30 | uint32(unsafe.Sizeof(transfer{}))<<16 | 'A'<<8 | 0x51
)

// kernel is an open PCM device. Tests have one of their own.
type kernel interface {
	ioctl(request uint32, arg unsafe.Pointer) error
	// wait blocks until the device can take or has samples, or for at most d.
	wait(d time.Duration) error
	close() error
}

// device is a device file.
type device struct {
	fd     int
	events int16
}

// openDevice opens a device file; it does not wait for one that is busy.
func openDevice(path string, capture bool) (kernel, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	d := &device{fd: fd, events: unix.POLLOUT}
	if capture {
		d.events = unix.POLLIN
	}
	return d, nil
}

func (d *device) ioctl(request uint32, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), uintptr(request), uintptr(arg))
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}

func (d *device) wait(most time.Duration) error {
	fds := []unix.PollFd{{Fd: int32(d.fd), Events: d.events}}
	_, err := unix.Poll(fds, int(most.Milliseconds())+1)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	return err
}

func (d *device) close() error { return unix.Close(d.fd) }
