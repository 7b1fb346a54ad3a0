package media

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

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
	return vorbis.Decode(io.NopCloser(&pages{r: io.MultiReader(&head, r)}))
}

// checkVorbis looks at the three headers with which a stream begins
// [Vorbis I, 4.2].
func checkVorbis(r io.Reader) error {
	var packets [3][]byte
	for found := 0; found < len(packets); {
		p, err := readPage(r)
		if err != nil {
			return fmt.Errorf("header %d: %w", found+1, err)
		}
		body := p.body()
		for _, s := range p.sizes() {
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
