package audio

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/drivers/media"
)

// format is how a card wants a sample.
type format uint8

const (
	s16   format = iota // 16 bits
	s32                 // 32 bits
	s24                 // 24 bits in the lower 3 of 4 bytes
	s24x3               // 24 bits in 3 bytes
	u8                  // 8 bits, unsigned
)

// formats in the order in which they are tried.
var formats = [...]format{s16, s32, s24, s24x3, u8}

// alsaIEC958 is the bit of IEC958_SUBFRAME_LE in a mask of formats.
const alsaIEC958 = 18

// alsa is the bit of f in a mask of formats.
func (f format) alsa() int { return [...]int{s16: 2, s32: 10, s24: 6, s24x3: 32, u8: 1}[f] }

func (f format) size() int { return [...]int{s16: 2, s32: 4, s24: 4, s24x3: 3, u8: 1}[f] }

func (f format) String() string {
	return [...]string{s16: "S16_LE", s32: "S32_LE", s24: "S24_LE", s24x3: "S24_3LE", u8: "U8"}[f]
}

// put appends a sample.
func (f format) put(b []byte, v int16) []byte {
	switch f {
	case s32:
		return binary.LittleEndian.AppendUint32(b, uint32(int32(v)<<16))
	case s24:
		return binary.LittleEndian.AppendUint32(b, uint32(int32(v)<<8))
	case s24x3:
		return append(b, 0, byte(v), byte(v>>8))
	case u8:
		return append(b, byte(v>>8)^0x80)
	}
	return binary.LittleEndian.AppendUint16(b, uint16(v))
}

// get is the upper 16 bits of a sample.
func (f format) get(b []byte) int16 {
	switch f {
	case s32:
		return int16(binary.LittleEndian.Uint16(b[2:]))
	case s24, s24x3:
		return int16(binary.LittleEndian.Uint16(b[1:]))
	case u8:
		return int16(uint16(b[0]^0x80) << 8)
	}
	return int16(binary.LittleEndian.Uint16(b))
}

// layout is how samples lie in memory.
type layout struct {
	format         format
	rate, channels int
}

func (l layout) frame() int { return l.format.size() * l.channels }

func (l layout) String() string { return fmt.Sprintf("%s, %d Hz, %d ch", l.format, l.rate, l.channels) }

// converter turns samples of one layout into another, piece by piece. Sound of
// one channel comes on the first two of a card, sound of more is mixed where the
// card has but one.
type converter struct {
	from, to layout
	lanes    [][]int16
	rates    []*media.Resampler // of each lane; none: the rates are the same
	resam    []int16
	out      []byte
}

func newConverter(from, to layout) *converter {
	c := &converter{from: from, to: to, lanes: make([][]int16, min(from.channels, to.channels, 2))}
	if from.rate != to.rate {
		c.rates = make([]*media.Resampler, len(c.lanes))
		for i := range c.rates {
			c.rates[i] = media.NewResampler(from.rate, to.rate)
		}
	}
	return c
}

// push converts whole frames; a part of one at the end is dropped. What it
// answers is good until the next call.
func (c *converter) push(b []byte) []byte {
	c.split(b)
	for i, r := range c.rates {
		c.resam = append(c.resam[:0], c.lanes[i]...)
		c.lanes[i] = r.Push(c.lanes[i][:0], c.resam)
	}
	return c.join()
}

// flush is what is still owed at the end of a sound.
func (c *converter) flush() []byte {
	for i := range c.lanes {
		c.lanes[i] = c.lanes[i][:0]
	}
	for i, r := range c.rates {
		c.lanes[i] = r.Flush(c.lanes[i])
	}
	return c.join()
}

func (c *converter) split(b []byte) {
	size, frame := c.from.format.size(), c.from.frame()
	for i := range c.lanes {
		c.lanes[i] = c.lanes[i][:0]
	}
	for ; len(b) >= frame; b = b[frame:] {
		if len(c.lanes) == c.from.channels {
			for i := range c.lanes {
				c.lanes[i] = append(c.lanes[i], c.from.format.get(b[i*size:]))
			}
			continue
		}
		sum := 0
		for i := range c.from.channels {
			sum += int(c.from.format.get(b[i*size:]))
		}
		for i := range c.lanes {
			c.lanes[i] = append(c.lanes[i], int16(sum/c.from.channels))
		}
	}
}

func (c *converter) join() []byte {
	c.out = c.out[:0]
	for i := range c.lanes[0] {
		for k := range c.to.channels {
			v := int16(0)
			if k < 2 {
				v = c.lanes[min(k, len(c.lanes)-1)][i]
			}
			c.out = c.to.format.put(c.out, v)
		}
	}
	return c.out
}

// frames is how many of them last d.
func frames(d time.Duration, rate int) int {
	return int(d.Microseconds() * int64(rate) / 1e6)
}
