package proof

import (
	"errors"
	"strings"
	"testing"
)

func TestSheet(t *testing.T) {
	var out strings.Builder
	s := New(&out, []string{"pin", "tone", "late"})
	s.OK("pin", "GPIO%d", 22)
	s.Check("tone", "", errors.New("440 Hz, want 587"))
	s.Check("extra", "", nil)
	s.OK("pin", "again")
	if fails := s.Close(); fails != 3 {
		t.Errorf("%d failures, want 3", fails)
	}
	want := "HW ok pin GPIO22\nHW FAIL tone 440 Hz, want 587\nHW ok extra\nHW FAIL pin told twice: again\nHW FAIL late no line came\nRESULT fails=3\n"
	if out.String() != want {
		t.Errorf("it says\n%s\nwant\n%s", &out, want)
	}
}

func TestSheetAgain(t *testing.T) {
	var out strings.Builder
	s := New(&out, []string{"pin", "tone"})
	s.OK("pin", "one")
	s.Fail("tone", "none")
	if n := s.Fails(); n != 1 {
		t.Errorf("%d failures, want 1", n)
	}
	s.Again("the emulator: %s", "mmc")
	s.OK("pin", "two")
	if fails := s.Close(); fails != 1 { // what came before counts for nothing: the tone is missing
		t.Errorf("%d failures, want 1", fails)
	}
	want := "HW ok pin one\nHW FAIL tone none\nAGAIN the emulator: mmc\nHW ok pin two\nHW FAIL tone no line came\nRESULT fails=1\n"
	if out.String() != want {
		t.Errorf("it says\n%s\nwant\n%s", &out, want)
	}
}

func TestLinesGoOverAWire(t *testing.T) {
	for text, want := range map[string]Line{
		"HW ok pin GPIO22 is high":         {true, "pin", "GPIO22 is high"},
		"HW FAIL pin":                      {false, "pin", ""},
		"[    1.2] random: HW ok tone a\r": {true, "tone", "a"},
	} {
		if l, ok := ParseLine(text); !ok || l != want {
			t.Errorf("%q: %+v, %v", text, l, ok)
		}
	}
	for _, text := range []string{"", "HW", "HW maybe pin", "HW ok", "ok pin", "RESULT fails=0"} {
		if l, ok := ParseLine(text); ok {
			t.Errorf("%q is taken for %+v", text, l)
		}
	}
	for text, want := range map[string]int{"RESULT fails=0": 0, "RESULT fails=12\r\n": 12} {
		if n, ok := ParseResult(text); !ok || n != want {
			t.Errorf("%q: %d, %v", text, n, ok)
		}
	}
	for _, text := range []string{"", "RESULT fails=", "RESULT fails=x", "HW ok pin"} {
		if _, ok := ParseResult(text); ok {
			t.Errorf("%q is taken for a result", text)
		}
	}
}
