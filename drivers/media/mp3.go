package media

import (
	"bufio"
	"bytes"
	"io"

	"github.com/gopxl/beep/v2"
	"github.com/gopxl/beep/v2/mp3"
)

const id3Size = 10 // bytes of the head of an ID3v2 tag

// isFrame tells whether b begins with the head of an MPEG audio frame of layer 3
// [ISO 11172-3, 2.4.1.3].
func isFrame(b []byte) bool {
	return len(b) >= 3 && b[0] == 0xFF && b[1]&0xE6 == 0xE2 && b[1]&0x18 != 0x08 && b[2]&0xF0 != 0xF0 && b[2]&0x0C != 0x0C
}

// openMP3 skips the tags itself: the decoder reads one into memory as long as
// it claims to be.
func openMP3(r *bufio.Reader) (beep.StreamSeekCloser, beep.Format, error) {
	for {
		b, _ := r.Peek(id3Size)
		if len(b) < id3Size || !bytes.HasPrefix(b, []byte("ID3")) {
			break
		}
		// 7 bits of each byte [ID3v2.4, 3.1]; the size is that of what follows.
		size := int64(b[6]&0x7F)<<21 | int64(b[7]&0x7F)<<14 | int64(b[8]&0x7F)<<7 | int64(b[9]&0x7F)
		if _, err := io.CopyN(io.Discard, r, id3Size+size); err != nil {
			return nil, beep.Format{}, io.ErrUnexpectedEOF
		}
	}
	return mp3.Decode(io.NopCloser(r))
}
