package gpio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/gpio"
)

// The sizes are the kernel's, on every architecture.
func TestSizes(t *testing.T) {
	for name, s := range map[string][2]uintptr{
		"chip info": {unsafe.Sizeof(chipInfo{}), 68}, "line info": {unsafe.Sizeof(lineInfo{}), 256}, "line request": {unsafe.Sizeof(lineRequest{}), 592},
		"line values": {unsafe.Sizeof(lineValues{}), 16}, "line event": {unsafe.Sizeof(lineEvent{}), 48},
		"request number": {getLine, 0xc250b407},
	} {
		if s[0] != s[1] {
			t.Errorf("%s: %#x, want %#x", name, s[0], s[1])
		}
	}
}

// The library closes descriptor 0 and takes it for no descriptor.
func TestDescriptor0IsKeptOpen(t *testing.T) {
	saved, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Dup3(saved, 0, 0); _ = unix.Close(saved) }()
	keepDescriptor0() // it is open: nothing changes
	if err := unix.Close(0); err != nil {
		t.Fatal(err)
	}
	keepDescriptor0()
	if _, err := unix.FcntlInt(0, unix.F_GETFD, 0); err != nil {
		t.Errorf("descriptor 0: %v", err)
	}
}

// pipe is edges that the test makes.
func pipe(t *testing.T) (*edges, func(numbers ...uint32)) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return &edges{name: "GPIO5", f: r}, func(numbers ...uint32) {
		var all bytes.Buffer
		for _, n := range numbers {
			event := make([]byte, 48)
			binary.NativeEndian.PutUint32(event[20:], n)
			all.Write(event)
		}
		if len(numbers) == 0 {
			w.Close()
		} else if _, err := w.Write(all.Bytes()); err != nil {
			t.Error(err)
		}
	}
}

func TestLostEdgesAreCounted(t *testing.T) {
	e, send := pipe(t)
	for _, c := range []struct {
		numbers []uint32
		lost    uint64
	}{
		{[]uint32{1, 2, 3}, 0}, {[]uint32{4}, 0}, {[]uint32{29, 30}, 24}, {[]uint32{32, 34}, 2},
	} {
		send(c.numbers...)
		if !e.WaitForEdge(time.Minute) || e.Lost() != c.lost || e.Lost() != 0 {
			t.Errorf("%v: %d lost", c.numbers, c.lost)
		}
	}
	if n := missing(0xffffffff, 0); n != 0 {
		t.Errorf("when the numbers go round %d are lost", n)
	}
}

func TestWaitForEdgeEnds(t *testing.T) {
	e, send := pipe(t)
	if e.WaitForEdge(0) || e.WaitForEdge(time.Millisecond) || e.Err() != nil {
		t.Errorf("there was an edge, or %v", e.Err())
	}
	ended := make(chan bool)
	go func() { ended <- e.WaitForEdge(-1) }()
	if err := e.Halt(); err != nil {
		t.Fatal(err)
	}
	if <-ended || e.WaitForEdge(-1) || e.Err() != nil {
		t.Errorf("halted: there was an edge, or %v", e.Err())
	}
	gone, send2 := pipe(t)
	send2()
	if gone.WaitForEdge(time.Minute) || gone.Err() == nil {
		t.Error("the line is gone, and nothing was said")
	}
	send(1)
	if e.Read(); e.Err() == nil {
		t.Error("a pipe has a level")
	}
}

func TestWhatIsNoChip(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gpiochip0")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenChip(file); err == nil || !strings.Contains(err.Error(), "no GPIO chip") {
		t.Errorf("a file: %v", err)
	}
	if _, err := OpenChip(file + "0"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := openEdges(file, 0, "GPIO5", gpio.PullUp); err == nil || !strings.Contains(err.Error(), "request GPIO5 of "+file) { // which error it is differs under emulation
		t.Errorf("a line of a file: %v", err)
	}
}

func TestKeepsLevels(t *testing.T) {
	sys := t.TempDir()
	for driver, v := range map[string]string{"pinctrl_bcm2835": "Y\n", "pinctrl_rp1": "N\n"} {
		dir := filepath.Join(sys, "module", driver, "parameters")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "persist_gpio_outputs"), []byte(v), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for label, want := range map[string][2]bool{
		"pinctrl-bcm2835": {true, true}, "pinctrl-bcm2711": {true, true}, "pinctrl-rp1": {false, true}, "raspberrypi-exp-gpio": {false, false}, "gpio-sim": {false, false},
	} {
		if keeps, known := keepsLevels(label, sys); keeps != want[0] || known != want[1] {
			t.Errorf("%s: keeps %v, known %v, want %v", label, keeps, known, want)
		}
	}
	if _, known := keepsLevels("pinctrl-bcm2711", t.TempDir()); known {
		t.Error("an older kernel, which does not say, is known")
	}
}

// A machine has chips that can be asked, or says that it has none.
func TestHostOfThisMachine(t *testing.T) {
	h, err := NewHost("")
	if err != nil {
		if !errors.Is(err, ErrNoChip) {
			t.Errorf("NewHost: %v", err)
		}
		return
	}
	for _, c := range h.Chips() {
		if c.Name == "" || len(c.Lines) == 0 || c.Has() == "" {
			t.Errorf("chip %+v", c)
		}
	}
	if _, _, err := h.Line("no-such-line"); err == nil {
		t.Error("a line that there is not was found")
	}
}

// While a machine boots its chips come one after the other; what is there is
// taken in the end.
func TestMachineWaitsForItsChips(t *testing.T) {
	dir := t.TempDir()
	if usable, refused := devices(dir); usable+refused != 0 {
		t.Errorf("nothing: %d, %d", usable, refused)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "gpiochip0"), nil, 0o600), os.Symlink("gone", filepath.Join(dir, "gpiochip4"))); err != nil {
		t.Fatal(err)
	}
	if usable, refused := devices(dir); usable != 1 || refused != 1 {
		t.Errorf("one of two: %d, %d", usable, refused)
	}
	waits, opens := 2, 0
	m := &Machine{wait: func() bool { waits--; return waits >= 0 }, open: func() (*Host, error) {
		if opens++; opens < 3 {
			return nil, ErrNoChip
		}
		return &Host{}, nil
	}}
	for range 4 {
		if _, err := m.Out("GPIO1"); !errors.Is(err, ErrNoChip) {
			t.Errorf("not there yet: %v", err)
		}
	}
	for range 2 {
		if _, err := m.In("GPIO1", gpio.PullUp); err == nil || !strings.Contains(err.Error(), "there is no pin GPIO1") {
			t.Errorf("there: %v", err)
		}
	}
	if opens != 3 {
		t.Errorf("it was looked %d times", opens)
	}
	if NewMachine() == nil || chipsRefused() && os.Getuid() == 0 {
		t.Error("root may not use a chip")
	}
}
