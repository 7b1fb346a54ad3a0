//go:build linux && (amd64 || arm64)

package audio

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"
)

const (
	bufferTime = 100 * time.Millisecond // asked of a card, and the most that is written ahead
	periodTime = 10 * time.Millisecond  // asked of a card
	startTime  = 20 * time.Millisecond  // of sound written, at which the card begins
)

// errSubframes is a card that wants every sample wrapped for the wire: HDMI on a
// Raspberry Pi. alsa-lib can do that.
var errSubframes = errors.New("takes only IEC958 subframes, as HDMI does: use output aplay")

// setup is what a card was found to take.
type setup struct {
	layout
	period, buffer int // frames
}

// negotiate finds out how the card can be run, as near as can be to the wish, and
// sets it so.
func negotiate(k kernel, rate, channels int) (setup, error) {
	h := everything()
	if !h.narrow(k, func(h *hwParams) { h.only(paramAccess, accessRW) }) {
		return setup{}, errors.New("cannot be written to frame by frame")
	}
	s := setup{}
	var err error
	if s.format, err = h.chooseFormat(k); err != nil {
		return setup{}, err
	}
	s.channels = h.choose(k, paramChans, channels, 2)
	s.rate = h.choose(k, paramRate, rate, 48000, 44100, 96000, 32000, 192000)
	h.near(k, paramPeriod, frames(periodTime, s.rate))
	h.near(k, paramBuffer, frames(bufferTime, s.rate))
	h.rmask = math.MaxUint32
	if err := k.ioctl(ioParams, unsafe.Pointer(&h)); err != nil {
		return setup{}, fmt.Errorf("set %s, %d channels, %d Hz: %w", s.format, s.channels, s.rate, err)
	}
	s.channels, s.rate = int(h.intervals[paramChans].min), int(h.intervals[paramRate].min)
	s.period, s.buffer = int(h.intervals[paramPeriod].min), int(h.intervals[paramBuffer].min)
	if s.channels < 1 || s.rate < 1000 || s.period < 1 || s.buffer < s.period {
		return setup{}, fmt.Errorf("%d channels, %d Hz, %d of %d frames make no sense", s.channels, s.rate, s.period, s.buffer)
	}
	return s, nil
}

// soften sets when the card begins, and that it is silent where nothing was
// written.
func soften(k kernel, s setup, start int) error {
	p := swParams{periodStep: 1, availMin: uint64(s.period), align: 1,
		startAt: uint64(start), stopAt: uint64(s.buffer), silenceSize: math.MaxInt64}
	return k.ioctl(ioSoft, unsafe.Pointer(&p))
}

// everything is the widest wish.
func everything() hwParams {
	h := hwParams{rmask: math.MaxUint32, info: math.MaxUint32}
	for i := range h.masks {
		for j := range h.masks[i] {
			h.masks[i][j] = math.MaxUint32
		}
	}
	for i := range h.intervals {
		h.intervals[i].max = math.MaxUint32
	}
	return h
}

func (h *hwParams) only(param, bit int) {
	h.masks[param] = mask{}
	h.masks[param][bit/32] = 1 << (bit % 32)
}

func (h *hwParams) has(param, bit int) bool { return h.masks[param][bit/32]>>(bit%32)&1 == 1 }

// narrow changes h where the card can do what results, and tells whether it can.
func (h *hwParams) narrow(k kernel, change func(*hwParams)) bool {
	next := *h
	change(&next)
	next.rmask, next.cmask = math.MaxUint32, 0
	if k.ioctl(ioRefine, unsafe.Pointer(&next)) != nil {
		return false
	}
	*h = next
	return true
}

func (h *hwParams) chooseFormat(k kernel) (format, error) {
	for _, f := range formats {
		if h.has(paramFormat, f.alsa()) && h.narrow(k, func(h *hwParams) { h.only(paramFormat, f.alsa()) }) {
			return f, nil
		}
	}
	if h.has(paramFormat, alsaIEC958) {
		return 0, errSubframes
	}
	return 0, fmt.Errorf("takes none of the formats %v", formats)
}

// choose takes the first value that the card can do, else its least, and answers
// it.
func (h *hwParams) choose(k kernel, param int, values ...int) int {
	for _, v := range values {
		if h.within(k, param, v, v) {
			return v
		}
	}
	return h.pin(k, param, h.least(param))
}

// near takes the value at or above the wish, else the one below it.
func (h *hwParams) near(k kernel, param, wish int) {
	if h.within(k, param, wish, math.MaxInt32) {
		h.pin(k, param, h.least(param))
	} else if h.within(k, param, 0, wish) {
		h.pin(k, param, h.most(param))
	}
}

func (h *hwParams) within(k kernel, param, from, to int) bool {
	return h.narrow(k, func(h *hwParams) {
		i := &h.intervals[param]
		if i.min = max(i.min, uint32(from)); i.min == uint32(from) && from > 0 {
			i.flags &^= openMin
		}
		if i.max = min(i.max, uint32(to)); i.max == uint32(to) {
			i.flags &^= openMax
		}
	})
}

func (h *hwParams) pin(k kernel, param, v int) int {
	h.within(k, param, v, v)
	return v
}

func (h *hwParams) least(param int) int {
	i := h.intervals[param]
	return int(i.min) + int(i.flags&openMin)
}

func (h *hwParams) most(param int) int {
	i := h.intervals[param]
	return int(i.max) - int(i.flags&openMax>>1)
}
