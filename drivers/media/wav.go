package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
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
	formatFloat      = 3
	formatExtensible = 0xFFFE
)

// DecodeWAV reads a WAV file of 8, 16, 24 or 32 bits a sample (32 also as
// floating point), any rate and up to 32 channels, which are mixed to one. A
// data chunk that claims more than there is, as programs that write to a pipe
// leave it, is read to the end of b. Its errors wrap [ErrNotWAV].
func DecodeWAV(b []byte) (Sound, error) {
	w, err := openWAV(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return collect(w, w.rate, noLimit)
}

// wav reads the frames of a WAV file. Nothing in it is as large as the file says
// that something is.
type wav struct {
	r                    *io.LimitedReader // the data, from here on
	size                 int64             // of it, as the head says
	kind                 uint16
	channels, rate, bits int
	frames               []byte
}

// openWAV reads up to the first sample.
func openWAV(r io.Reader) (*wav, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return nil, notWAV("no RIFF/WAVE head")
	}
	w := &wav{}
	for {
		var chunk [8]byte
		if _, err := io.ReadFull(r, chunk[:]); err != nil {
			return nil, notWAV("no data")
		}
		size := int64(binary.LittleEndian.Uint32(chunk[4:]))
		switch string(chunk[:4]) {
		case "fmt ":
			if err := w.format(r, size); err != nil {
				return nil, err
			}
		case "data":
			if w.channels == 0 {
				return nil, notWAV("data before format")
			}
			w.r, w.size = &io.LimitedReader{R: r, N: size}, size
			return w, nil
		default:
			_, _ = io.CopyN(io.Discard, r, size+size&1) // the end is noticed above
		}
	}
}

// format reads the format chunk.
func (w *wav) format(r io.Reader, size int64) error {
	b := make([]byte, min(size, 40))
	if _, err := io.ReadFull(r, b); err != nil || len(b) < 16 {
		return notWAV("format of %d bytes", len(b))
	}
	_, _ = io.CopyN(io.Discard, r, size-int64(len(b))+size&1)
	le := binary.LittleEndian
	w.kind, w.channels, w.rate, w.bits = le.Uint16(b), int(le.Uint16(b[2:])), int(le.Uint32(b[4:])), int(le.Uint16(b[14:]))
	if w.kind == formatExtensible && len(b) >= 26 {
		w.kind = le.Uint16(b[24:])
	}
	known := w.kind == formatPCM && (w.bits == 8 || w.bits == 16 || w.bits == 24 || w.bits == 32) || w.kind == formatFloat && w.bits == 32
	if !known {
		return fmt.Errorf("%w: %w", ErrUnsupported, notWAV("format %d of %d bits", w.kind, w.bits))
	}
	if w.channels < 1 || w.channels > 32 || !isRate(w.rate) {
		return notWAV("format %d, %d channels, %d Hz, %d bits", w.kind, w.channels, w.rate, w.bits)
	}
	return nil
}

func notWAV(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotWAV, fmt.Sprintf(format, args...))
}

// streamed is what a data chunk claims at least that a program has written to a
// pipe, when it could not know: espeak-ng and sox just below 2 GiB, others 4 GiB.
const streamed = 0x7F00_0000

// missing is how much sound there is less than the head says, once all was read.
func (w *wav) missing() time.Duration {
	if w.size >= streamed {
		return 0
	}
	frames := w.r.N / int64(w.bits/8*w.channels) // under 2 GiB: no overflow below
	return time.Duration(frames) * time.Second / time.Duration(w.rate)
}

// read is source: it mixes the channels of each frame.
func (w *wav) read(out []int16) (int, error) {
	size := w.bits / 8
	frame := size * w.channels
	if w.frames == nil {
		w.frames = make([]byte, len(out)*frame)
	}
	n, err := io.ReadFull(w.r, w.frames[:len(out)*frame])
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	n /= frame
	for i := range n {
		sum := 0
		for c := range w.channels {
			sum += w.sample(w.frames[i*frame+c*size:][:size])
		}
		out[i] = int16(sum / w.channels)
	}
	return n, err
}

// sample is the upper 16 bits of one sample; 8 bits are unsigned in WAV files.
func (w *wav) sample(b []byte) int {
	switch {
	case w.kind == formatFloat:
		return int(narrow(float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))))
	case len(b) == 1:
		return (int(b[0]) - 128) << 8
	}
	return int(int16(binary.LittleEndian.Uint16(b[len(b)-2:])))
}
