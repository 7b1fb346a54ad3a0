package media

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/gopxl/beep/v2"
	"github.com/gopxl/beep/v2/vorbis"
)

// What the headers of a Vorbis stream may hold. The decoder makes room for what
// they claim, and believes that they are sound; encoders in use stay far below.
const (
	mostHead    = 4 << 20 // bytes of all three headers, cover pictures included
	mostEntries = 1 << 16 // of a codebook
	mostValues  = 1 << 20 // entries times dimensions of all codebooks
	mostVoices  = 8       // channels
)

// openVorbis looks at the headers before it lets the decoder read them.
func openVorbis(r *bufio.Reader) (beep.StreamSeekCloser, beep.Format, error) {
	var head bytes.Buffer
	if err := checkVorbis(io.TeeReader(io.LimitReader(r, mostHead), &head)); err != nil {
		return nil, beep.Format{}, err
	}
	return vorbis.Decode(io.NopCloser(io.MultiReader(&head, r)))
}

// checkVorbis looks at the three headers with which a stream begins
// [Vorbis I, 4.2].
func checkVorbis(r io.Reader) error {
	var packets [3][]byte
	for found := 0; found < len(packets); {
		sizes, body, err := oggPage(r)
		if err != nil {
			return fmt.Errorf("header %d: %w", found+1, err)
		}
		for _, s := range sizes {
			packets[found] = append(packets[found], body[:s]...)
			body = body[s:]
			if s == 255 {
				continue
			}
			if found++; found == len(packets) {
				break
			}
		}
	}
	for i, kind := range []byte{1, 3, 5} {
		if !bytes.HasPrefix(packets[i], append([]byte{kind}, "vorbis"...)) {
			return fmt.Errorf("header %d is not one of vorbis", i+1)
		}
		packets[i] = packets[i][7:]
	}
	return errors.Join(checkIdentification(packets[0]), checkComment(packets[1]), checkCodebooks(packets[2]))
}

// oggPage reads a page: the sizes of its segments, and their bytes
// [RFC 3533, 6].
func oggPage(r io.Reader) (sizes, body []byte, err error) {
	var head [27]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, nil, io.ErrUnexpectedEOF
	}
	if string(head[:4]) != "OggS" || head[26] == 0 {
		return nil, nil, errors.New("no page")
	}
	sizes = make([]byte, head[26])
	if _, err := io.ReadFull(r, sizes); err != nil {
		return nil, nil, io.ErrUnexpectedEOF
	}
	total := 0
	for _, s := range sizes {
		total += int(s)
	}
	body = make([]byte, total)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, nil, io.ErrUnexpectedEOF
	}
	return sizes, body, nil
}

func checkIdentification(b []byte) error {
	if len(b) < 23 || b[4] < 1 || b[4] > mostVoices {
		return fmt.Errorf("not 1 to %d channels", mostVoices)
	}
	return nil
}

// checkComment sees to it that there is room for as many comments as there are
// said to be.
func checkComment(b []byte) error {
	if len(b) < 4 {
		return io.ErrUnexpectedEOF
	}
	vendor := int64(binary.LittleEndian.Uint32(b))
	if b = b[4:]; int64(len(b)) < vendor+4 {
		return io.ErrUnexpectedEOF
	}
	b = b[vendor:]
	if n := int64(binary.LittleEndian.Uint32(b)); 4*n > int64(len(b)-4) {
		return fmt.Errorf("%d comments in %d bytes", n, len(b))
	}
	return nil
}

// checkCodebooks walks through the codebooks of a setup header
// [Vorbis I, 3.2.1].
func checkCodebooks(b []byte) error {
	r := &bits{b: b}
	values := 0
	for range r.take(8) + 1 {
		n, err := checkCodebook(r)
		if err != nil {
			return err
		}
		if values += n; values > mostValues {
			return errors.New("codebooks are too large")
		}
	}
	return nil
}

// checkCodebook answers how many values the codebook has.
func checkCodebook(r *bits) (int, error) {
	if r.take(24) != 0x564342 {
		return 0, errors.New("a codebook does not begin like one")
	}
	dimensions, entries := r.take(16), r.take(24)
	if dimensions == 0 || entries < 2 || entries > mostEntries || dimensions*entries > mostValues {
		return 0, fmt.Errorf("codebook of %d entries with %d dimensions", entries, dimensions)
	}
	if err := checkLengths(r, entries); err != nil {
		return 0, err
	}
	switch kind := r.take(4); kind {
	case 0:
	case 1, 2:
		r.skip(64)
		width := r.take(4) + 1
		r.skip(1)
		n := entries * dimensions
		if kind == 1 {
			n = int(math.Floor(math.Pow(float64(entries), 1/float64(dimensions))))
		}
		r.skip(n * width)
	default:
		return 0, fmt.Errorf("codebook with a table of kind %d", kind)
	}
	if r.over() {
		return 0, io.ErrUnexpectedEOF
	}
	return entries * dimensions, nil
}

// checkLengths walks over the lengths of the code words; one must be used, or
// reading a word never ends.
func checkLengths(r *bits, entries int) error {
	used := 0
	if r.take(1) == 1 {
		r.skip(5)
		for at := 0; at < entries; {
			n := r.take(width(entries - at))
			if at += n; n > 0 {
				used++
			}
			if r.over() || at > entries {
				return io.ErrUnexpectedEOF
			}
		}
	} else {
		sparse := r.take(1) == 1
		for range entries {
			if !sparse || r.take(1) == 1 {
				r.skip(5)
				used++
			}
		}
	}
	if used == 0 || r.over() {
		return errors.New("codebook without a word")
	}
	return nil
}

// width is the number of bits of n.
func width(n int) int {
	w := 0
	for ; n > 0; n >>= 1 {
		w++
	}
	return w
}

// bits reads the bits of b, the lowest of a byte first [Vorbis I, 2.1.4].
type bits struct {
	b  []byte
	at int
}

// take reads n bits; what is after the end reads as 0.
func (r *bits) take(n int) int {
	v := 0
	for i := range n {
		if k := r.at / 8; k < len(r.b) && r.b[k]>>(r.at%8)&1 == 1 {
			v |= 1 << i
		}
		r.at++
	}
	return v
}

func (r *bits) skip(n int) { r.at += n }

// over tells whether more was read than there is.
func (r *bits) over() bool { return r.at > 8*len(r.b) }
