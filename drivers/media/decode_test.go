package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeKnowsAllKinds(t *testing.T) {
	cases := []struct {
		file     string
		kind     Kind
		channels int
		length   time.Duration
		off      time.Duration // an mp3 file has whole frames, and a delay
	}{
		{"tone.flac", FLAC, 2, 500 * time.Millisecond, 0},
		{"tone.ogg", Vorbis, 2, 500 * time.Millisecond, 0},
		{"tone.mp3", MP3, 2, 500 * time.Millisecond, 110 * time.Millisecond},
	}
	for _, c := range cases {
		clip, err := Decode(bytes.NewReader(fixture(t, c.file)), time.Minute)
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if clip.Kind != c.kind || clip.Rate != 44100 || clip.Channels != c.channels {
			t.Errorf("%s: %s, %d Hz, %d channels", c.file, clip.Kind, clip.Rate, clip.Channels)
		}
		if d := clip.Sound.Duration() - c.length; d < 0 || d > c.off {
			t.Errorf("%s: lasts %v", c.file, clip.Sound.Duration())
		}
		const peak = 10361 // of gain -10 dB; the encoder of the mp3 file has taken 5 % off
		middle := clip.Sound[Rate/8:][:Rate/4]
		if a := amplitude(middle, 587.25, Rate); a < 0.94*peak || a > 1.02*peak {
			t.Errorf("%s: amplitude %.0f at 587.25 Hz, want %d", c.file, a, peak)
		}
	}
	clip, err := Decode(bytes.NewReader(EncodeWAV(Tone(440, time.Second))), time.Second)
	if err != nil || clip.Kind != WAV || clip.Channels != 1 || clip.Sound.Duration() != time.Second {
		t.Errorf("wav: %s, %d channels, %v, %v", clip.Kind, clip.Channels, clip.Sound.Duration(), err)
	}
}

// tagged puts ID3v2 tags in front of an mp3 file, the first of the given size,
// and an ID3v1 tag behind it.
func tagged(mp3 []byte, size int) []byte {
	tag := func(size int) []byte {
		b := append([]byte("ID3\x04\x00\x00"), byte(size>>21)&0x7F, byte(size>>14)&0x7F, byte(size>>7)&0x7F, byte(size)&0x7F)
		return append(b, make([]byte, size)...)
	}
	b := append(append(tag(size), tag(3)...), mp3...)
	return append(append(b, "TAG"...), make([]byte, 125)...)
}

func TestMP3Tags(t *testing.T) {
	plain, err := Decode(bytes.NewReader(fixture(t, "tone.mp3")), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(bytes.NewReader(tagged(fixture(t, "tone.mp3"), 300)), time.Minute)
	if err != nil || len(got.Sound) != len(plain.Sound) {
		t.Errorf("with tags: %d samples, %v; without %d", len(got.Sound), err, len(plain.Sound))
	}
}

// endless is a WAV file that claims 4 GB, and has them.
func endless() io.Reader {
	return io.MultiReader(bytes.NewReader(Header(MaxData)), zeros{})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

type broken struct{}

var errBroken = errors.New("disk on fire")

func (broken) Read([]byte) (int, error) { return 0, errBroken }

func TestDecodeRefuses(t *testing.T) {
	ogg, flac, mp3 := fixture(t, "tone.ogg"), fixture(t, "tone.flac"), fixture(t, "tone.mp3")
	claims := func(b []byte, at int, v uint32) []byte {
		b = bytes.Clone(b)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	alaw := EncodeWAV(Tone(440, time.Second))
	alaw[20] = 6
	cases := []struct {
		name string
		in   io.Reader
		want error
	}{
		{"nothing", strings.NewReader(""), ErrUnknown},
		{"a text", strings.NewReader("hello, world, how are you"), ErrUnknown},
		{"a video", strings.NewReader("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00"), ErrUnknown},
		{"head of a wav", bytes.NewReader(Header(4)[:30]), ErrDamaged},
		{"wav without a sample", bytes.NewReader(Header(4)), ErrDamaged},
		{"wav of 4 GB", endless(), ErrTooLong},
		{"half a flac", bytes.NewReader(flac[:len(flac)/2]), ErrDamaged},
		{"head of a flac", bytes.NewReader(flac[:30]), ErrDamaged},
		{"flac of 32 bits", bytes.NewReader(fixture(t, "tone32.flac")), ErrUnsupported},
		{"wav of A-law", bytes.NewReader(alaw), ErrUnsupported},
		{"half an ogg", bytes.NewReader(ogg[:len(ogg)/2]), ErrDamaged},
		{"ogg of something else", bytes.NewReader(bytes.Replace(ogg, []byte("\x01vorbis"), []byte("OpusHea"), 1)), ErrDamaged},
		{"ogg with a wrong checksum", bytes.NewReader(append(bytes.Clone(ogg[:len(ogg)-1]), ogg[len(ogg)-1]^1)), ErrDamaged},
		{"frame head alone", bytes.NewReader(mp3[:4]), ErrDamaged},
		{"mp3 tag that claims 256 MB", bytes.NewReader(claims(tagged(mp3, 0), 6, 0x7F7F7F7F)), ErrDamaged},
		{"too long", bytes.NewReader(EncodeWAV(Silence(time.Minute + time.Second))), ErrTooLong},
		{"a disk that fails", io.MultiReader(bytes.NewReader(flac[:9000]), broken{}), errBroken},
	}
	for _, c := range cases {
		clip, err := Decode(c.in, time.Minute)
		if !errors.Is(err, c.want) || clip.Sound != nil {
			t.Errorf("%s: %d samples, %v, want %v", c.name, len(clip.Sound), err, c.want)
		}
	}
}

// What decoding costs follows from the limit, not from what the file claims.
func TestDecodeIsBounded(t *testing.T) {
	mp3 := tagged(fixture(t, "tone.mp3"), 0)
	copy(mp3[6:], "\x7F\x7F\x7F\x7F")
	for name, in := range map[string]io.Reader{"wav of 4 GB": endless(), "tag of 256 MB": bytes.NewReader(mp3)} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Decode(in, 10*time.Second); err == nil {
			t.Errorf("%s: no error", name)
		}
		runtime.ReadMemStats(&after)
		const most = 10*10*Rate*2 + 8<<20 // a growing slice is copied a few times
		if got := after.TotalAlloc - before.TotalAlloc; got > most {
			t.Errorf("%s: %d bytes of memory, at most %d", name, got, most)
		}
	}
}

// A wav file that was cut short is read as far as it goes, and what is missing is
// told, unless its head does not know the length.
func TestWAVThatWasCutShort(t *testing.T) {
	whole := EncodeWAV(Tone(440, 3*time.Second))
	half := whole[:HeaderSize+2*Samples(time.Second)]
	claim := func(n uint32) []byte {
		b := bytes.Clone(half)
		binary.LittleEndian.PutUint32(b[40:], n)
		return b
	}
	for name, c := range map[string]struct {
		file           []byte
		sound, missing time.Duration
	}{
		"whole":     {whole, 3 * time.Second, 0},
		"cut":       {half, time.Second, 2 * time.Second},
		"to a pipe": {claim(0x7FFFF000), time.Second, 0},
		"by others": {claim(0xFFFFFFFF), time.Second, 0},
	} {
		got, err := Decode(bytes.NewReader(c.file), time.Minute)
		if err != nil || got.Sound.Duration() != c.sound || got.Missing != c.missing {
			t.Errorf("%s: %v, missing %v, %v", name, got.Sound.Duration(), got.Missing, err)
		}
	}
}
