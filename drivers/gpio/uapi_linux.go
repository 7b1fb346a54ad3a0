package gpio

import (
	"bytes"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's GPIO character device, version 2: include/uapi/linux/gpio.h.

const (
	nameSize = 32
	maxLines = 64
	maxAttrs = 10

	flagUsed     = 1 << 0
	flagInput    = 1 << 2
	flagRising   = 1 << 4
	flagFalling  = 1 << 5
	flagPullUp   = 1 << 8
	flagPullDown = 1 << 9
	flagNoPull   = 1 << 10
)

type chipInfo struct {
	name, label [nameSize]byte
	lines       uint32
}

type lineInfo struct {
	name, consumer [nameSize]byte
	offset, _      uint32 // of the line, number of attributes
	flags          uint64
	_              [maxAttrs][2]uint64 // attributes
	_              [4]uint32
}

type lineConfig struct {
	flags uint64
	_     uint32 // number of attributes
	_     [5]uint32
	_     [maxAttrs][3]uint64 // attributes
}

type lineRequest struct {
	offsets   [maxLines]uint32
	consumer  [nameSize]byte
	config    lineConfig
	lines     uint32
	eventSize uint32
	_         [5]uint32
	fd        int32
}

type lineValues struct{ bits, mask uint64 }

type lineEvent struct {
	_      uint64 // time
	_, _   uint32 // what happened, offset of the line
	_      uint32 // number of the event, from 1, among all of the request
	inLine uint32 // and of the line
	_      [6]uint32
}

// The requests, which are the same on every architecture that we build for.
var (
	getChipInfo   = request(2, 0x01, unsafe.Sizeof(chipInfo{}))
	getLineInfo   = request(3, 0x05, unsafe.Sizeof(lineInfo{}))
	getLine       = request(3, 0x07, unsafe.Sizeof(lineRequest{}))
	getLineValues = request(3, 0x0e, unsafe.Sizeof(lineValues{}))
)

func request(dir, nr, size uintptr) uintptr { return dir<<30 | size<<16 | 0xb4<<8 | nr }

// ioctl does a request; arg is a struct of the above.
func ioctl[T any](fd, req uintptr, arg *T) error {
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, fd, req, uintptr(unsafe.Pointer(arg)))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return e
	}
}

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

func (l *lineInfo) nameText() string     { return text(l.name[:]) }
func (l *lineInfo) consumerText() string { return text(l.consumer[:]) }

func chipInfoOf(path string) (info chipInfo, err error) {
	f, err := os.Open(path)
	if err != nil {
		return info, err
	}
	defer f.Close()
	if err := ioctl(f.Fd(), getChipInfo, &info); err != nil {
		return info, fmt.Errorf("%s is no GPIO chip: %w", path, err)
	}
	return info, nil
}

// lineInfos is what the kernel tells of the first n lines of a chip.
func lineInfos(path string, n int) ([]lineInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	infos := make([]lineInfo, n)
	for i := range infos {
		infos[i].offset = uint32(i)
		if err := ioctl(f.Fd(), getLineInfo, &infos[i]); err != nil {
			return infos[:i], fmt.Errorf("%s: line %d: %w", path, i, err)
		}
	}
	return infos, nil
}
