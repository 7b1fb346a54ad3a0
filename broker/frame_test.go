package broker

import (
	"bytes"
	"testing"
)

func TestMeasure(t *testing.T) {
	long := append([]byte{0x30, 0x80, 0x01}, make([]byte, 128)...)
	for name, c := range map[string]struct {
		in         []byte
		head, size int
	}{
		"empty":         {nil, 0, 0},
		"type alone":    {[]byte{0x40}, 0, 0},
		"no body":       {[]byte{0xd0, 0}, 2, 2},
		"puback":        {[]byte{0x40, 2, 0, 1, 0x40}, 2, 4},
		"two bytes":     {long, 3, 131},
		"body cut":      {long[:130], 0, 0},
		"length cut":    {long[:2], 0, 0},
		"length of all": {[]byte{0x40, 0xff, 0xff, 0xff, 0xff, 0xff}, 0, 0},
	} {
		if head, size := measure(c.in); head != c.head || size != c.size {
			t.Errorf("%s: header %d of %d, want %d of %d", name, head, size, c.head, c.size)
		}
	}
}

func TestSetLength(t *testing.T) {
	frame := func(kind byte, body int) []byte {
		f := []byte{kind}
		for v := body; ; {
			c := byte(v & 0x7f)
			if v >>= 7; v == 0 {
				f = append(f, c)
				break
			}
			f = append(f, c|0x80)
		}
		return append(f, bytes.Repeat([]byte{7}, body)...)
	}
	for _, body := range []int{1, 127, 128, 130, 16383, 16384, 16390} {
		for _, less := range []int{0, 1, 2, 5} {
			if less > body {
				continue
			}
			f := frame(0x90, body)
			head, size := measure(f)
			got := setLength(f[:size-less], head)
			if want := frame(0x90, body-less); !bytes.Equal(got, want) {
				t.Errorf("%d bytes less %d: header %x, want %x", body, less, got[:4], want[:min(4, len(want))])
			}
		}
	}
}

// FuzzFrames takes apart whatever there is: the parts lie within it.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x40, 2, 0x80, 0x01, 0x32, 0x05, 0, 1, 'a', 0, 1})
	f.Add([]byte{0x90, 4, 0, 1, 0, 0x80, 0x20, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		for at := 0; at < len(p); {
			head, size := measure(p[at:])
			if size == 0 {
				return
			}
			if head < 2 || head > 5 || size < head || at+size > len(p) {
				t.Fatalf("header %d of %d in %d bytes", head, size, len(p)-at)
			}
			one := bytes.Clone(p[at : at+size])
			if i := publishID(one, head); i > 0 && (i < head+2 || i+2 > size) {
				t.Fatalf("packet id at %d of %d", i, size)
			}
			new(link).restoreID(one, head)
			if one = setLength(one[:max(head, size-3)], head); len(one) > size || len(one) > 0 && one[0] != p[at] {
				t.Fatalf("cut to %x from %x", one, p[at:at+size])
			}
			if h, s := measure(one); s != len(one) || h == 0 {
				t.Fatalf("a cut packet measures %d of %d", s, len(one))
			}
			at += size
		}
	})
}
