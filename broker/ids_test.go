package broker

import "testing"

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
