package broker

import (
	"bytes"
	"testing"
)

func TestPacketIDsShiftAndBack(t *testing.T) {
	seen := make([]bool, 1<<16)
	for i := range 1 << 16 {
		id := shiftID(uint16(i))
		if seen[id] || unshiftID(id) != uint16(i) || (id == 0) != (i == 0) {
			t.Fatalf("%d is shifted to %d, and that back to %d", i, id, unshiftID(id))
		}
		seen[id] = true
	}
	if shiftID(1) != 32769 {
		t.Errorf("1 is shifted to %d, want 32769", shiftID(1))
	}
}

func TestRestoreIDs(t *testing.T) {
	long := append([]byte{0x30, 0x80, 0x01}, make([]byte, 128)...)
	for name, c := range map[string]struct{ in, want []byte }{
		"empty":        {nil, nil},
		"puback":       {[]byte{0x40, 2, 0x80, 0x01}, []byte{0x40, 2, 0, 1}},
		"several":      {[]byte{0xd0, 0, 0x90, 3, 0x80, 0x02, 1, 0x70, 2, 0x80, 0x03}, []byte{0xd0, 0, 0x90, 3, 0, 2, 1, 0x70, 2, 0, 3}},
		"pubrel stays": {[]byte{0x62, 2, 0x80, 0x01}, []byte{0x62, 2, 0x80, 0x01}},
		"after long":   {append(bytes.Clone(long), 0x50, 2, 0x80, 0x01), append(bytes.Clone(long), 0x50, 2, 0, 1)},
		"cut":          {[]byte{0x40, 2, 0x80}, []byte{0x40, 2, 0x80}},
		"bad length":   {[]byte{0x40, 0xff, 0xff, 0xff, 0xff, 0xff}, []byte{0x40, 0xff, 0xff, 0xff, 0xff, 0xff}},
	} {
		if restoreIDs(c.in); !bytes.Equal(c.in, c.want) {
			t.Errorf("%s: %x, want %x", name, c.in, c.want)
		}
	}
}

func FuzzRestoreIDs(f *testing.F) {
	f.Add([]byte{0x40, 2, 0x80, 0x01, 0x30, 0x80})
	f.Fuzz(func(_ *testing.T, p []byte) { restoreIDs(p) })
}
