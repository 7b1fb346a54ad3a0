package audio

import (
	"bytes"
	"testing"
)

func TestFormatsReadBackWhatTheyWrote(t *testing.T) {
	for _, f := range formats {
		for _, v := range []int16{0, 1, -1, 300, -300, 32767, -32768} {
			b := f.put(nil, v)
			want := v
			if f == u8 {
				want = v &^ 0xFF
			}
			if got := f.get(b); len(b) != f.size() || got != want {
				t.Errorf("%s: %d became % x and %d", f, v, b, got)
			}
		}
	}
	if b := s24.put(nil, 0x1234); !bytes.Equal(b, []byte{0, 0x34, 0x12, 0}) {
		t.Errorf("S24_LE: % x", b)
	}
	if b := u8.put(nil, 0); b[0] != 0x80 {
		t.Errorf("silence of U8: %x", b)
	}
}

func TestConverter(t *testing.T) {
	stereo := layout{s16, 8000, 2}
	in := []byte{100, 0, 200, 0, 44, 1, 144, 1} // 100 200, 300 400
	cases := []struct {
		name string
		to   layout
		want []byte
	}{
		{"the same", stereo, in},
		{"mixed to one", layout{s16, 8000, 1}, []byte{150, 0, 94, 1}},
		{"the first two of four", layout{s16, 8000, 4}, []byte{100, 0, 200, 0, 0, 0, 0, 0, 44, 1, 144, 1, 0, 0, 0, 0}},
		{"24 bits", layout{s24x3, 8000, 1}, []byte{0, 150, 0, 0, 94, 1}},
	}
	for _, c := range cases {
		if got := newConverter(stereo, c.to).push(append(in, 7)); !bytes.Equal(got, c.want) {
			t.Errorf("%s: % x, want % x", c.name, got, c.want)
		}
	}
	c := newConverter(layout{s16, 22050, 1}, layout{s16, 48000, 2})
	for range 2 { // two sounds: nothing of the first is in the second
		n := 0
		for range 100 {
			n += len(c.push(make([]byte, 441)))
		}
		if n += len(c.flush()); n != 220*100*48000/22050*4 {
			t.Errorf("%d bytes", n)
		}
	}
}
