package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

const fuzzLongest = 10 * time.Second

// fuzzDecode decodes: it must end, in one of the ways that are documented, and
// with no more sound than is allowed.
func fuzzDecode(t *testing.T, b []byte) {
	clip, err := Decode(bytes.NewReader(b), fuzzLongest)
	known := errors.Is(err, ErrUnknown) || errors.Is(err, ErrUnsupported) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrTooLong)
	if err != nil && !known {
		t.Fatalf("an error that is not told of: %v", err)
	}
	if err == nil && (len(clip.Sound) == 0 || clip.Sound.Duration() > fuzzLongest) {
		t.Fatalf("%d samples", len(clip.Sound))
	}
}

func FuzzWAV(f *testing.F) {
	f.Add(EncodeWAV(Sound{1, 2, 3})[4:])
	f.Fuzz(func(t *testing.T, b []byte) { fuzzDecode(t, append([]byte("RIFF"), b...)) })
}

func FuzzFLAC(f *testing.F) {
	b := fixture(f, "tone.flac")
	f.Add(b[4:4500])                                                       // more would be slower, and tell no more
	f.Add([]byte("\x84\x00\x00\x08\x00\x00\x00\x00\xff\xff\xff\xff"))      // 4 billion comments: 128 GiB
	f.Add([]byte("\x86\x00\x00\x24" + "\x00\x00\x00\x00\xff\xff\xff\xff")) // a picture of 4 GiB
	f.Fuzz(func(t *testing.T, b []byte) { fuzzDecode(t, append([]byte("fLaC"), b...)) })
}

func FuzzMP3(f *testing.F) {
	b := fixture(f, "tone.mp3")
	f.Add(b[:1000])
	f.Add(tagged(b[:1000], 10))
	f.Fuzz(fuzzDecode)
}

// FuzzVorbis makes pages out of the packets, with the right checksums: what
// comes behind those is what lies.
func FuzzVorbis(f *testing.F) {
	var packets [][]byte
	var packet []byte
	for in := bytes.NewReader(fixture(f, "tone.ogg")); in.Len() > 0; {
		p, err := readPage(in)
		if err != nil {
			f.Fatal(err)
		}
		body := p.body()
		for _, s := range p.sizes() {
			packet = append(packet, body[:s]...)
			body = body[s:]
			if s < 255 {
				packets, packet = append(packets, packet), nil
			}
		}
	}
	f.Add(join(packets[:5]))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzDecode(t, b)
		fuzzDecode(t, paged(split(b)))
	})
}

// join and split are inverse: each packet after its length in 2 bytes.
func join(packets [][]byte) []byte {
	var b []byte
	for _, p := range packets {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(p))), p...)
	}
	return b
}

func split(b []byte) [][]byte {
	var packets [][]byte
	for len(b) >= 2 {
		n := min(int(binary.LittleEndian.Uint16(b)), len(b)-2)
		packets = append(packets, b[2:2+n])
		b = b[2+n:]
	}
	return packets
}

// paged puts each packet into pages of its own.
func paged(packets [][]byte) []byte {
	var out []byte
	for i, p := range packets {
		for whole := false; !whole; {
			n := min(len(p), 254*255)
			whole = n == len(p)
			sizes := bytes.Repeat([]byte{255}, n/255)
			if whole {
				sizes = append(sizes, byte(n%255))
			}
			page := append([]byte("OggS\x00\x00"), make([]byte, 20)...)
			binary.LittleEndian.PutUint64(page[6:], uint64(i)*1024)
			page = append(append(append(page, byte(len(sizes))), sizes...), p[:n]...)
			binary.LittleEndian.PutUint32(page[22:], checksum(page))
			out, p = append(out, page...), p[n:]
		}
	}
	return out
}

// checksum is the CRC of a page whose own field is 0 [RFC 3533, 6].
func checksum(b []byte) uint32 {
	var c uint32
	for _, v := range b {
		c ^= uint32(v) << 24
		for range 8 {
			top := c >> 31
			c = c<<1 ^ 0x04C11DB7*top
		}
	}
	return c
}
