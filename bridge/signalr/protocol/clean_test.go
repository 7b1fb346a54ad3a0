package protocol

import "testing"

// TestClean compares with a look at each byte: every byte at every place, before
// every other that could be confused with it.
func TestClean(t *testing.T) {
	plainly := func(b []byte) int {
		for i, c := range b {
			if c < 0x20 || c == '"' || c == '\\' {
				return i
			}
		}
		return len(b)
	}
	neighbours := []byte{'a', 0x20, 0x21, '#', '[', ']', '"', '\\', 0, 0x1f, 0x7f, 0x80, 0xa2, 0xff}
	for _, n := range []int{1, 7, 8, 9, 32, 43} { // the last: 32, 8 and 3 at once
		for at := range n {
			for c := range 256 {
				b := make([]byte, n)
				for i := range b {
					b[i] = 'x'
				}
				b[at] = byte(c)
				for _, next := range neighbours {
					if at+1 < n {
						b[at+1] = next
					}
					if got, want := clean(b), plainly(b); got != want {
						t.Fatalf("%q: got %d, want %d", b, got, want)
					}
				}
			}
		}
	}
}

func BenchmarkClean(b *testing.B) {
	text := make([]byte, 131)
	for i := range text {
		text[i] = 'x'
	}
	text[128] = '"'
	for b.Loop() {
		clean(text)
	}
}
