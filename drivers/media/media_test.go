package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"time"
)

func TestChimesAreAsLongAsTheySay(t *testing.T) {
	for _, name := range append(Chimes(), "") {
		s, err := Chime(name)
		if err != nil {
			t.Fatalf("Chime(%q): %v", name, err)
		}
		want, err := ChimeLength(name)
		if err != nil || s.Duration() != want {
			t.Errorf("Chime(%q) lasts %v, ChimeLength says %v (%v)", name, s.Duration(), want, err)
		}
		if silent := len(s) == 0; silent != (name == NoChime || name == "") {
			t.Errorf("Chime(%q) has %d samples", name, len(s))
		}
	}
	if _, err := Chime("klaxon"); err == nil {
		t.Error(`Chime("klaxon"): no error`)
	}
	if _, err := ChimeLength("klaxon"); err == nil {
		t.Error(`ChimeLength("klaxon"): no error`)
	}
}

func TestAnnounceIsAsLongAsItSays(t *testing.T) {
	chime, speech := Tone(440, 300*time.Millisecond), Tone(220, time.Second)
	cases := []struct {
		name          string
		chime, speech Sound
		repeat        int
		want          time.Duration
	}{
		{"speech alone", nil, speech, 1, time.Second},
		{"repeat 0 is once", nil, speech, 0, time.Second},
		{"chime and speech", chime, speech, 1, 1300*time.Millisecond + Pause},
		{"chime sounds once", chime, speech, 3, 3300*time.Millisecond + 3*Pause},
		{"chime alone", chime, nil, 2, 300 * time.Millisecond},
		{"nothing", nil, nil, 1, 0},
	}
	for _, c := range cases {
		got := Announce(c.chime, c.speech, c.repeat).Duration()
		told := AnnounceLength(c.chime.Duration(), c.speech.Duration(), c.repeat)
		if got != c.want || told != c.want {
			t.Errorf("%s: lasts %v, told %v, want %v", c.name, got, told, c.want)
		}
	}
}

func TestVolumeAndMix(t *testing.T) {
	s := Sound{100, -100, 30000, -30000}
	if got := s.Volume(50); got[0] != 50 || got[3] != -15000 {
		t.Errorf("Volume(50) = %v", got)
	}
	if got := s.Volume(-1); got[2] != 0 {
		t.Errorf("Volume(-1) = %v", got)
	}
	if got := Mix(Sound{1}, s); got[0] != 101 || len(got) != 4 {
		t.Errorf("Mix = %v", got)
	}
}

func TestResampleKeepsPitchAndLength(t *testing.T) {
	for _, from := range []int{8000, 16000, 22050, 44100, 48000} {
		in := make([]int16, from) // one second of 500 Hz
		for i := range in {
			in[i] = int16(10000 * math.Sin(2*math.Pi*500*float64(i)/float64(from)))
		}
		out := Resample(in, from)
		crossings := 0
		for i := 1; i < len(out); i++ {
			if out[i-1] < 0 && out[i] >= 0 {
				crossings++
			}
		}
		if len(out) != Rate || crossings < 498 || crossings > 501 {
			t.Errorf("from %d Hz: %d samples, %d periods, want %d and 500", from, len(out), crossings, Rate)
		}
	}
	if Resample([]int16{1}, 0) != nil {
		t.Error("a rate of 0 gave sound")
	}
}

func TestWAVReadsBackWhatItWrote(t *testing.T) {
	s := Tone(440, 100*time.Millisecond)
	got, err := DecodeWAV(EncodeWAV(s))
	if err != nil || !bytes.Equal(got.Bytes(), s.Bytes()) {
		t.Fatalf("DecodeWAV: %d samples, %v; want %d", len(got), err, len(s))
	}
	if back := FromBytes(s.Bytes()); !bytes.Equal(back.Bytes(), s.Bytes()) {
		t.Error("FromBytes does not read back Bytes")
	}
}

func TestWAVForms(t *testing.T) {
	wav := func(kind, channels, rate, bits int, data []byte) []byte {
		h := Header(uint32(len(data)))
		le := binary.LittleEndian
		le.PutUint16(h[20:], uint16(kind))
		le.PutUint16(h[22:], uint16(channels))
		le.PutUint32(h[24:], uint32(rate))
		le.PutUint16(h[34:], uint16(bits))
		return append(h, data...)
	}
	pipe := EncodeWAV(Sound{1, 2, 3})
	binary.LittleEndian.PutUint32(pipe[40:], 0xFFFFFFFF)
	odd := append([]byte("RIFF\x00\x00\x00\x00WAVELIST\x03\x00\x00\x00abc\x00"), EncodeWAV(Sound{7})[12:]...)
	cases := []struct {
		name string
		in   []byte
		want Sound // nil: refused
	}{
		{"8 bit is unsigned", wav(1, 1, Rate, 8, []byte{128, 255, 0}), Sound{0, 127 << 8, -128 << 8}},
		{"24 bit", wav(1, 1, Rate, 24, []byte{9, 0x34, 0x12}), Sound{0x1234}},
		{"32 bit", wav(1, 1, Rate, 32, []byte{9, 9, 0x34, 0x12}), Sound{0x1234}},
		{"stereo is mixed", wav(1, 2, Rate, 16, Sound{100, 300}.Bytes()), Sound{200}},
		{"length of a pipe", pipe, Sound{1, 2, 3}},
		{"other chunks are skipped", odd, Sound{7}},
		{"float", wav(3, 1, Rate, 32, []byte{0, 0, 0, 0x3F, 0, 0, 0x80, 0xBF, 0, 0, 0xC0, 0x7F}), Sound{1 << 14, -1 << 15, 0}},
		{"float of 16 bits", wav(3, 1, Rate, 16, []byte{0, 0}), nil},
		{"no channels", wav(1, 0, Rate, 16, []byte{0, 0}), nil},
		{"rate 0", wav(1, 1, 0, 16, []byte{0, 0}), nil},
		{"no data", Header(0)[:36], nil},
		{"empty", nil, nil},
		{"something else", []byte("ID3 this is an mp3 file"), nil},
	}
	for _, c := range cases {
		got, err := DecodeWAV(c.in)
		if c.want == nil {
			if !errors.Is(err, ErrNotWAV) {
				t.Errorf("%s: %v, %v, want ErrNotWAV", c.name, got, err)
			}
			continue
		}
		if err != nil || !bytes.Equal(got.Bytes(), c.want.Bytes()) {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestLengthsAreInverse(t *testing.T) {
	for _, n := range []int{0, 1, Rate - 1, Rate, 100*Rate + 7} {
		if got := Samples(Length(n) + 1); got != n {
			t.Errorf("Samples(Length(%d)+1ns) = %d", n, got)
		}
	}
	if Samples(-time.Second) != 0 {
		t.Error("a negative length has samples")
	}
}

func FuzzDecodeWAV(f *testing.F) {
	f.Add(EncodeWAV(Sound{1, 2, 3}))
	f.Add([]byte("RIFF\x00\x00\x00\x00WAVE"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeWAV(b)
		if err != nil && !errors.Is(err, ErrNotWAV) {
			t.Fatalf("an error that is not ErrNotWAV: %v", err)
		}
		if len(s) > 23*len(b) { // 1 kHz to 22,050 Hz
			t.Fatalf("%d bytes made %d samples", len(b), len(s))
		}
	})
}
