//go:build linux

package main

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/scope"
)

// recorder reads samples of a sound device of the kernel, 16 bit, at
// [scope.Rate], in two channels of which it answers the left. The numbers and
// layouts are those of include/uapi/sound/asound.h on 64 bit.
type recorder struct {
	f     *os.File
	frame []int16
}

const (
	recordChannels = 2
	recordPeriod   = scope.Rate / 100 // frames: 10 ms
	recordBuffer   = scope.Rate * 4   // frames: how late the probe may be
)

// The ioctls of a PCM.
const (
	pcmHwParams = 0xc2604111
	pcmSwParams = 0xc0884113
	pcmPrepare  = 0x4140
	pcmStart    = 0x4142
	pcmRead     = 0x80184151
)

type pcmInterval struct{ min, max, flags uint32 }

type pcmHw struct {
	flags     uint32
	masks     [8][8]uint32
	intervals [21]pcmInterval
	rmask     uint32
	cmask     uint32
	info      uint32
	msbits    uint32
	num, den  uint32
	fifo      uint64
	_         [64]byte
}

type pcmSw struct {
	tstamp    int32
	step      uint32
	sleep     uint32
	availMin  uint64
	align     uint64
	start     uint64
	stop      uint64
	silence   uint64
	silenceOf uint64
	boundary  uint64
	proto     uint32
	kind      uint32
	_         [56]byte
}

type pcmTransfer struct {
	result int64
	buf    unsafe.Pointer
	frames uint64
}

// The parameters that are set; masks first, intervals from 8 on.
const (
	paramAccess, paramFormat, paramSubformat                  = 0, 1, 2
	paramChannels, paramRate, paramPeriod, paramBuffer        = 10 - 8, 11 - 8, 13 - 8, 17 - 8
	accessInterleaved, formatS16LE, subformatStd              = 3, 2, 0
	intervalInteger                                    uint32 = 1 << 2
)

// record opens a device such as /dev/snd/pcmC0D1c and starts it.
func record(path string) (*recorder, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := &recorder{f: os.NewFile(uintptr(fd), path), frame: make([]int16, recordPeriod*recordChannels)}
	if err := r.start(); err != nil {
		_ = r.f.Close() // what went wrong is told
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r *recorder) start() error {
	var hw pcmHw
	for i := range hw.masks {
		for j := range hw.masks[i] {
			hw.masks[i][j] = ^uint32(0)
		}
	}
	for i := range hw.intervals {
		hw.intervals[i].max = ^uint32(0)
	}
	for which, bit := range map[int]int{paramAccess: accessInterleaved, paramFormat: formatS16LE, paramSubformat: subformatStd} {
		hw.masks[which] = [8]uint32{1 << bit}
	}
	for which, v := range map[int]uint32{paramChannels: recordChannels, paramRate: scope.Rate, paramPeriod: recordPeriod, paramBuffer: recordBuffer} {
		hw.intervals[which] = pcmInterval{v, v, intervalInteger}
	}
	hw.rmask = ^uint32(0)
	if err := r.ioctl(pcmHwParams, unsafe.Pointer(&hw)); err != nil {
		return fmt.Errorf("hardware parameters: %w", err)
	}
	sw := pcmSw{step: 1, availMin: recordPeriod, align: 1, start: 1, stop: recordBuffer, boundary: recordBuffer << 32}
	if err := r.ioctl(pcmSwParams, unsafe.Pointer(&sw)); err != nil {
		return fmt.Errorf("software parameters: %w", err)
	}
	if err := r.ioctl(pcmPrepare, nil); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if err := r.ioctl(pcmStart, nil); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}

// read waits for the next 10 ms. A sample that was lost is an error: the time
// line is that of the samples.
func (r *recorder) read() (scope.Block, error) {
	t := pcmTransfer{buf: unsafe.Pointer(&r.frame[0]), frames: recordPeriod}
	if err := r.ioctl(pcmRead, unsafe.Pointer(&t)); err != nil {
		return scope.Block{}, fmt.Errorf("recording: %w", err)
	}
	b := scope.Block{At: now() - 10*time.Millisecond, Samples: make([]int16, t.result)}
	for i := range b.Samples {
		b.Samples[i] = r.frame[i*recordChannels]
	}
	return b, nil
}

func (r *recorder) close() { _ = r.f.Close() } // nothing is lost with a recorder

func (r *recorder) ioctl(what uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, r.f.Fd(), what, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// now is the clock that counts while the machine is suspended.
func now() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // it is there since Linux 2.6.39
	return time.Duration(t.Nano())
}
