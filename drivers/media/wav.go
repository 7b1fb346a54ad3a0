package media

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderSize is the number of bytes of [Header].
const HeaderSize = 44

// MaxData is the most bytes of samples that a WAV file can have.
const MaxData = 1<<32 - 1 - HeaderSize

// Header is the head of a WAV file that holds data bytes of a [Sound].
func Header(data uint32) []byte {
	h := make([]byte, HeaderSize)
	le := binary.LittleEndian
	copy(h, "RIFF")
	le.PutUint32(h[4:], data+HeaderSize-8)
	copy(h[8:], "WAVEfmt ")
	le.PutUint32(h[16:], 16) // size of the format chunk
	le.PutUint16(h[20:], formatPCM)
	le.PutUint16(h[22:], 1) // channels
	le.PutUint32(h[24:], Rate)
	le.PutUint32(h[28:], Rate*2) // bytes a second
	le.PutUint16(h[32:], 2)      // bytes a frame
	le.PutUint16(h[34:], 16)     // bits a sample
	copy(h[36:], "data")
	le.PutUint32(h[40:], data)
	return h
}

// EncodeWAV is s as a WAV file.
func EncodeWAV(s Sound) []byte {
	b := s.Bytes()
	return append(Header(uint32(len(b))), b...)
}

// ErrNotWAV is what [DecodeWAV] wraps for bytes that are no WAV file, or one of
// a form that is not read.
var ErrNotWAV = errors.New("not a wav file that is read here")

const (
	formatPCM        = 1
	formatExtensible = 0xFFFE
	maxRate          = 768000 // nothing samples faster; bounds what resampling makes
)

type wavFormat struct {
	channels, rate, bits int
}

// DecodeWAV reads a WAV file of 8, 16, 24 or 32 bits a sample (integers), any
// rate and up to 32 channels, which are mixed to one. A data chunk that claims
// more than there is, as programs that write to a pipe leave it, is read to the
// end of b. Its errors wrap [ErrNotWAV].
func DecodeWAV(b []byte) (Sound, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, fmt.Errorf("%w: no RIFF/WAVE head", ErrNotWAV)
	}
	var f wavFormat
	for b = b[12:]; len(b) >= 8; {
		id, size := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
		body := b[8:min(8+size, int64(len(b)))]
		switch id {
		case "fmt ":
			var err error
			if f, err = parseFormat(body); err != nil {
				return nil, err
			}
		case "data":
			if f.channels == 0 {
				return nil, fmt.Errorf("%w: data before format", ErrNotWAV)
			}
			return Resample(f.mono(body), f.rate), nil
		}
		b = b[min(8+size+size&1, int64(len(b))):]
	}
	return nil, fmt.Errorf("%w: no data", ErrNotWAV)
}

func parseFormat(b []byte) (wavFormat, error) {
	if len(b) < 16 {
		return wavFormat{}, fmt.Errorf("%w: format of %d bytes", ErrNotWAV, len(b))
	}
	le := binary.LittleEndian
	f := wavFormat{channels: int(le.Uint16(b[2:])), rate: int(le.Uint32(b[4:])), bits: int(le.Uint16(b[14:]))}
	kind := le.Uint16(b)
	if kind == formatExtensible && len(b) >= 26 {
		kind = le.Uint16(b[24:])
	}
	known := f.bits == 8 || f.bits == 16 || f.bits == 24 || f.bits == 32
	if kind != formatPCM || !known || f.channels < 1 || f.channels > 32 || f.rate < 1000 || f.rate > maxRate {
		return wavFormat{}, fmt.Errorf("%w: format %d, %d channels, %d Hz, %d bits", ErrNotWAV, kind, f.channels, f.rate, f.bits)
	}
	return f, nil
}

// mono reads the frames of b and mixes their channels.
func (f wavFormat) mono(b []byte) []int16 {
	size := f.bits / 8
	frame := size * f.channels
	out := make([]int16, len(b)/frame)
	for i := range out {
		sum := 0
		for c := range f.channels {
			sum += sample(b[i*frame+c*size:][:size])
		}
		out[i] = int16(sum / f.channels)
	}
	return out
}

// sample is the upper 16 bits of one sample; 8 bits are unsigned in WAV files.
func sample(b []byte) int {
	if len(b) == 1 {
		return (int(b[0]) - 128) << 8
	}
	return int(int16(binary.LittleEndian.Uint16(b[len(b)-2:])))
}
