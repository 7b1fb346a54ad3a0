package scope

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Rate is that of every recording, in frames a second; it has one channel.
const Rate = 48_000

// Pins are levels, a bit each.
type Pins uint32

// The bits of [Pins].
const (
	Amp    Pins = 1 << iota // the amplifier is on
	Lamp                    // the lamp is lit
	Status                  // the status LED is lit
)

// Block is what was recorded in a few milliseconds.
type Block struct {
	At      time.Duration // of the first sample, on the clock of who recorded
	Pins    Pins          // at the end of the block
	Samples []int16
}

const maxBlock = Rate // samples

type header struct {
	At      int64
	Pins    uint32
	Samples uint32
}

// Encode writes a block. It blocks as w does.
func Encode(w io.Writer, b Block) error {
	if err := binary.Write(w, binary.LittleEndian, header{int64(b.At), uint32(b.Pins), uint32(len(b.Samples))}); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, b.Samples)
}

// Decode reads a block: io.EOF where there is none any more.
func Decode(r io.Reader) (Block, error) {
	var h header
	if err := binary.Read(r, binary.LittleEndian, &h); err != nil {
		return Block{}, err
	}
	if h.Samples > maxBlock {
		return Block{}, fmt.Errorf("scope: a block of %d samples, at most %d are allowed", h.Samples, maxBlock)
	}
	b := Block{At: time.Duration(h.At), Pins: Pins(h.Pins), Samples: make([]int16, h.Samples)}
	err := binary.Read(r, binary.LittleEndian, b.Samples)
	if err == io.EOF && h.Samples > 0 {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}
