package media

import (
	"errors"
	"fmt"
	"io"
	"math"
)

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
