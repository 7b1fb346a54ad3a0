package media

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/gopxl/beep/v2"
	"github.com/gopxl/beep/v2/flac"
)

// Kind is a type of sound file.
type Kind string

// The kinds that are read.
const (
	WAV    Kind = "wav"
	MP3    Kind = "mp3"
	FLAC   Kind = "flac"
	Vorbis Kind = "vorbis" // in an Ogg file
)

// Clip is a sound file that was read.
type Clip struct {
	Kind     Kind
	Rate     int // samples a second of the file
	Channels int // of the file; an mp3 file always counts as 2
	Sound    Sound

	Missing time.Duration // of a wav file that ends before its head says; 0 where that does not know the length
}

// The errors of [Decode].
var (
	ErrUnknown     = errors.New("neither wav, mp3, flac nor ogg vorbis")
	ErrUnsupported = errors.New("sound file of a form that is not read here")
	ErrDamaged     = errors.New("damaged sound file")
	ErrTooLong     = errors.New("sound is too long")
)

const (
	minRate = 1000
	maxRate = 768000        // nothing samples faster; bounds the work of resampling
	block   = 4096          // samples that are read at once
	noLimit = math.MaxInt64 // length
)

func isRate(hz int) bool { return hz >= minRate && hz <= maxRate }

// Decode reads a whole sound file, whose type it finds out by itself, into mono
// sound; the duration of [Clip.Sound] is exactly that of what will be heard. It
// needs memory for the sound, at most for the given length of it, and 16 MiB,
// whatever the file says of itself. Its errors wrap [ErrUnknown], [ErrUnsupported],
// [ErrDamaged], [ErrTooLong] or what reading has answered. A file without any
// sample is damaged; a wav file that was cut short is read as far as it goes, see
// [Clip.Missing]. It may be called by several goroutines.
func Decode(r io.Reader, longest time.Duration) (c Clip, err error) {
	defer func() {
		if p := recover(); p != nil { // the decoders trust what they read
			c, err = Clip{}, fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	in := &input{r: r}
	s, c, err := open(bufio.NewReaderSize(in, 64<<10))
	if err == nil && !isRate(c.Rate) {
		err = fmt.Errorf("%d Hz", c.Rate)
	}
	if err == nil {
		c.Sound, err = collect(s, c.Rate, longest)
		if w, ok := s.(*wav); ok {
			c.Missing = w.missing()
		}
	}
	switch {
	case in.err != nil:
		return Clip{}, in.err
	case errors.Is(err, ErrTooLong), errors.Is(err, ErrUnknown):
		return Clip{}, err
	case errors.Is(err, ErrUnsupported):
		return Clip{}, fmt.Errorf("%s: %w", c.Kind, err)
	case err != nil:
		return Clip{}, fmt.Errorf("%w: %s: %w", ErrDamaged, c.Kind, err)
	case len(c.Sound) == 0:
		return Clip{}, fmt.Errorf("%w: %s without a sample", ErrDamaged, c.Kind)
	}
	return c, nil
}

// input notes why reading has failed. It hides that a file can be searched:
// decoders that know it read all of it before the first sample.
type input struct {
	r   io.Reader
	err error
}

func (i *input) Read(b []byte) (int, error) {
	n, err := i.r.Read(b)
	if err != nil && err != io.EOF {
		i.err = err
	}
	return n, err
}

func (i *input) Close() error { return nil }

// source hands out mono samples, at the end with io.EOF.
type source interface {
	read(out []int16) (int, error)
}

// streamInfo tells whether the first block of a FLAC file is what it must be, 34
// bytes of STREAMINFO [RFC 9639, 8.2]. The decoder reads whatever comes first, and
// believes other blocks how much memory they need, which ends the process; all
// later ones it skips.
func streamInfo(head []byte) bool {
	return len(head) >= 8 && head[4]&0x7f == 0 && head[5] == 0 && head[6] == 0 && head[7] == 34
}

// sampleBits is what the stream info says that a sample has; 0: it is cut off.
func sampleBits(head []byte) int {
	if len(head) < 22 {
		return 0
	}
	return int(head[20]&1)<<4 + int(head[21]>>4) + 1
}

// open finds out what r is.
func open(r *bufio.Reader) (source, Clip, error) {
	head, _ := r.Peek(22)
	switch {
	case bytes.HasPrefix(head, []byte("RIFF")):
		w, err := openWAV(r)
		if err != nil {
			return nil, Clip{Kind: WAV}, err
		}
		return w, Clip{Kind: WAV, Rate: w.rate, Channels: w.channels}, nil
	case bytes.HasPrefix(head, []byte("fLaC")):
		if !streamInfo(head) {
			return nil, Clip{Kind: FLAC}, errors.New("it does not begin with its stream info")
		}
		if bits := sampleBits(head); bits == 32 { // the decoder knows no such frame
			return nil, Clip{Kind: FLAC}, fmt.Errorf("%w: %d bits a sample, make it 24 or 16", ErrUnsupported, bits)
		}
		s, f, err := flac.Decode(r)
		return of(FLAC, s, f, err)
	case bytes.HasPrefix(head, []byte("OggS")):
		s, f, err := openVorbis(r)
		return of(Vorbis, s, f, err)
	case bytes.HasPrefix(head, []byte("ID3")), isFrame(head):
		s, f, err := openMP3(r)
		return of(MP3, s, f, err)
	}
	return nil, Clip{}, ErrUnknown
}

func of(k Kind, s beep.StreamSeekCloser, f beep.Format, err error) (source, Clip, error) {
	if err != nil {
		return nil, Clip{Kind: k}, err
	}
	return &stream{s: s}, Clip{Kind: k, Rate: int(f.SampleRate), Channels: f.NumChannels}, nil
}

// stream reads what a decoder of beep makes.
type stream struct {
	s   beep.Streamer
	buf [block][2]float64
}

func (s *stream) read(out []int16) (int, error) {
	n, ok := s.s.Stream(s.buf[:min(len(out), block)])
	for i, v := range s.buf[:n] {
		out[i] = narrow((v[0] + v[1]) / 2)
	}
	if err := s.s.Err(); err != nil {
		return n, err
	}
	if !ok {
		return n, io.EOF
	}
	return n, nil
}

// narrow is a sample of -1 to 1 as 16 bits.
func narrow(v float64) int16 {
	if math.IsNaN(v) {
		return 0
	}
	return clip(int64(math.Round(math.Min(math.Max(v, -2), 2) * 32768)))
}

// collect reads a source to its end, at most for the given length.
func collect(s source, rate int, longest time.Duration) (Sound, error) {
	var (
		out []int16
		in  [block]int16
		r   *Resampler
	)
	if rate != Rate {
		r = NewResampler(rate, Rate)
	}
	for {
		n, err := s.read(in[:])
		if r == nil {
			out = append(out, in[:n]...)
		} else {
			out = r.Push(out, in[:n])
		}
		if Length(len(out)) > longest {
			return nil, fmt.Errorf("%w: over %v", ErrTooLong, longest)
		}
		if err == io.EOF {
			if r != nil {
				out = r.Flush(out)
			}
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
