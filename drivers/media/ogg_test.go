package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"
)

// What follows the last page of a stream is not read, whatever it is.
func TestOggEndsWithItsLastPage(t *testing.T) {
	ogg := fixture(t, "tone.ogg")
	var handed bytes.Buffer
	if _, err := handed.ReadFrom(&pages{r: io.MultiReader(bytes.NewReader(ogg), bytes.NewReader(ogg))}); err != nil || !bytes.Equal(handed.Bytes(), ogg) {
		t.Errorf("%d bytes of a stream of %d, %v", handed.Len(), len(ogg), err)
	}
	plain, err := Decode(bytes.NewReader(ogg), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	chained, err := Decode(io.MultiReader(bytes.NewReader(ogg), bytes.NewReader(ogg), bytes.NewReader([]byte("tags"))), time.Minute)
	if err != nil || len(chained.Sound) != len(plain.Sound) {
		t.Errorf("with more behind it: %d samples, %v, want %d", len(chained.Sound), err, len(plain.Sound))
	}
}

// A packet that goes on from page to page is given up, and costs no memory.
func TestOggPacketWithoutEnd(t *testing.T) {
	p := append([]byte("OggS\x00\x00"), make([]byte, 20)...)
	p = append(append(p, 255), bytes.Repeat([]byte{255}, 255)...)
	p = append(p, make([]byte, 255*255)...)
	binary.LittleEndian.PutUint32(p[22:], checksum(p))
	n, err := io.Copy(io.Discard, &pages{r: bytes.NewReader(bytes.Repeat(p, 100))})
	if err == nil || n > mostPacket {
		t.Errorf("%d bytes of a packet without an end, %v", n, err)
	}
	ogg := fixture(t, "tone.ogg")
	var head bytes.Buffer
	if err := checkVorbis(io.TeeReader(bytes.NewReader(ogg), &head)); err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(io.MultiReader(&head, bytes.NewReader(bytes.Repeat(p, 100))), time.Minute); !errors.Is(err, ErrDamaged) {
		t.Errorf("after good headers: %v", err)
	}
}
