//go:build linux && (amd64 || arm64)

package audio

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tacet-hub/tacet/drivers/audio/audiotest"
)

// What include/uapi/sound/asound.h says on a 64 bit machine, by a compiler of C.
func TestLayoutOfTheKernel(t *testing.T) {
	for name, c := range map[string]struct{ got, want uintptr }{
		"hw_params":            {unsafe.Sizeof(hwParams{}), 608},
		"hw_params.intervals":  {unsafe.Offsetof(hwParams{}.intervals), 260},
		"hw_params.rmask":      {unsafe.Offsetof(hwParams{}.rmask), 512},
		"hw_params.fifo_size":  {unsafe.Offsetof(hwParams{}.fifo), 536},
		"sw_params":            {unsafe.Sizeof(swParams{}), 136},
		"sw_params.avail_min":  {unsafe.Offsetof(swParams{}.availMin), 16},
		"sw_params.silence":    {unsafe.Offsetof(swParams{}.silenceSize), 56},
		"sw_params.boundary":   {unsafe.Offsetof(swParams{}.boundary), 64},
		"sw_params.proto":      {unsafe.Offsetof(swParams{}.proto), 72},
		"xferi":                {unsafe.Sizeof(transfer{}), 24},
		"HW_REFINE":            {uintptr(ioRefine), 0xc2604110},
		"HW_PARAMS":            {uintptr(ioParams), 0xc2604111},
		"SW_PARAMS":            {uintptr(ioSoft), 0xc0884113},
		"status":               {unsafe.Sizeof(status{}), 152},
		"STATUS":               {uintptr(ioStatus), 0x80984120},
		"DELAY":                {uintptr(ioDelay), 0x80084121},
		"PREPARE, START, DROP": {uintptr(ioPrepare | ioStart | ioDrop), 0x4140 | 0x4142 | 0x4143},
		"DRAIN, RESUME":        {uintptr(ioDrain | ioResume), 0x4144 | 0x4147},
		"WRITEI_FRAMES":        {uintptr(ioWriteI), 0x40184150},
		"READI_FRAMES":         {uintptr(ioReadI), 0x80184151},
	} {
		if c.got != c.want {
			t.Errorf("%s is %#x, want %#x", name, c.got, c.want)
		}
	}
}

// onFake is a player on a fake card, opened for 22,050 Hz mono.
func onFake(t *testing.T, c *fakeCard) *ALSA {
	t.Helper()
	a := &ALSA{open: c.openFile, cards: func() ([]Card, error) {
		return []Card{{Number: 0, ID: "Fake", Driver: "USB-Audio", Playback: []int{0}}}, nil
	}}
	if err := a.Open(22050, 1); err != nil {
		t.Fatal(err)
	}
	if c.open {
		t.Fatal("the card is not free after it was tried")
	}
	return a
}

func tone(hz float64, rate, n int) []byte {
	return audiotest.Tone(hz, time.Duration(n)*time.Second/time.Duration(rate), rate)
}

func TestALSAPlaysAndConverts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCard()
		a := onFake(t, c)
		for range 3 {
			began, before := time.Now(), len(c.heard)
			play(t, a, tone(587, 22050, 22050))
			if err := a.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(began); d < time.Second || d > 1030*time.Millisecond {
				t.Errorf("a second of sound took %v: it is over when the last sample was heard", d)
			}
			got := c.heard[before:]
			if len(got) != 4*48000 {
				t.Fatalf("%d bytes came to the card, want a second of 48,000 Hz stereo", len(got))
			}
			var left []int16
			for i := 0; i < len(got); i += 4 {
				l, r := int16(binary.LittleEndian.Uint16(got[i:])), int16(binary.LittleEndian.Uint16(got[i+2:]))
				if l != r {
					t.Fatalf("frame %d: %d and %d", i/4, l, r)
				}
				left = append(left, l)
			}
			if hz, height := audiotest.Pitch(left, 48000); math.Abs(hz-587) > 0.5 || height < 9900 {
				t.Errorf("%.2f Hz, amplitude %.0f", hz, height)
			}
			if c.open {
				t.Error("the card is not free after a play")
			}
		}
		if a.Xruns() != 0 || c.xruns != 0 || !strings.Contains(a.Where(), "hw:Fake,0 (S16_LE, 48000 Hz, 2 ch)") {
			t.Errorf("%d xruns, %s", a.Xruns(), a.Where())
		}
	})
}

func TestALSADropAndShortSounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCard()
		a := onFake(t, c)
		play(t, a, tone(587, 22050, 5000))
		if d, _ := a.Delay(); d <= 0 || d > 50*time.Millisecond {
			t.Errorf("delay %v", d)
		}
		if err := a.Drop(); err != nil || c.open {
			t.Errorf("Drop: %v, open %v", err, c.open)
		}
		began := time.Now()
		play(t, a, tone(587, 22050, 110)) // 5 ms: less than the card begins at
		if err := a.Drain(t.Context()); err != nil || time.Since(began) < 4*time.Millisecond {
			t.Errorf("5 ms of sound: %v after %v", err, time.Since(began))
		}
		play(t, a, tone(587, 22050, 1000))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Drain(ctx); !errors.Is(err, context.Canceled) || c.open {
			t.Errorf("Drain with an ended context: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if _, err := a.Write([]byte{0, 0}); err == nil {
			t.Error("Write after Close: no error")
		}
	})
}

// A gap that the card had is counted once, and the play goes on.
func TestALSAXrunsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCard()
		a := onFake(t, c)
		for range 5 {
			play(t, a, tone(587, 22050, 3000))
			time.Sleep(time.Second)
		}
		if err := a.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a.Xruns() != 5 || len(c.heard) < 4*5*3000*48000/22050-100 {
			t.Errorf("%d xruns after 5 gaps, %d bytes heard", a.Xruns(), len(c.heard))
		}
	})
}

func TestALSAFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCard()
		a := onFake(t, c)
		sound := tone(587, 22050, 4410)

		play(t, a, sound)
		c.sleeps, c.rouses = true, unix.ENOSYS
		play(t, a, sound)
		if err := a.Drain(t.Context()); err != nil || a.Xruns() != 1 {
			t.Errorf("after a suspension: %v, %d xruns", err, a.Xruns())
		}

		play(t, a, sound)
		c.fails = unix.ENODEV
		if _, err := a.Write(sound); !errors.Is(err, unix.ENODEV) || c.open {
			t.Errorf("unplugged: %v", err)
		}
		if err := a.Open(22050, 1); !errors.Is(err, unix.ENODEV) {
			t.Errorf("Open of a card that is gone: %v", err)
		}
		c.fails = nil
		play(t, a, sound)
		c.fails = unix.ENODEV
		if err := a.Drain(t.Context()); !errors.Is(err, unix.ENODEV) {
			t.Errorf("unplugged at the end: %v", err)
		}
		c.fails = nil

		if _, err := a.Write(sound[:2000]); err != nil {
			t.Fatal(err)
		}
		c.base = c.played()
		c.stands = true
		began := time.Now()
		_, err := a.Write(make([]byte, 44100))
		if err == nil || time.Since(began) < stuck || time.Since(began) > stuck+time.Second || a.Xruns() < 2 {
			t.Errorf("a card that stands still: %v after %v, %d xruns", err, time.Since(began), a.Xruns())
		}
		c.stands = false
		play(t, a, sound)
		if err := a.Drain(t.Context()); err != nil {
			t.Errorf("afterwards: %v", err)
		}

		c.open = true
		if _, err := a.Write(sound); !errors.Is(err, unix.EBUSY) {
			t.Errorf("taken by somebody else: %v", err)
		}
	})
}

func TestNegotiate(t *testing.T) {
	cases := []struct {
		name   string
		change func(*fakeCard)
		want   string // layout, or part of the error
		buffer int
	}{
		{"as it comes", func(c *fakeCard) { c.rate, c.channels = [2]int{8000, 192000}, [2]int{1, 8} }, "S16_LE, 22050 Hz, 1 ch", 2205},
		{"48 kHz stereo", func(*fakeCard) {}, "S16_LE, 48000 Hz, 2 ch", 4800},
		{"44.1 kHz", func(c *fakeCard) { c.rate = [2]int{44100, 44100} }, "S16_LE, 44100 Hz, 2 ch", 4410},
		{"an odd rate", func(c *fakeCard) { c.rate = [2]int{46875, 46875} }, "S16_LE, 46875 Hz, 2 ch", 4687},
		{"eight channels of 32 bits", func(c *fakeCard) { c.formats, c.channels = []int{10}, [2]int{8, 8} }, "S32_LE, 48000 Hz, 8 ch", 4800},
		{"24 bits in 3 bytes", func(c *fakeCard) { c.formats = []int{32} }, "S24_3LE, 48000 Hz, 2 ch", 4800},
		{"a small buffer", func(c *fakeCard) { c.buffer = [2]int{128, 1024} }, "S16_LE, 48000 Hz, 2 ch", 1024},
		{"a large one", func(c *fakeCard) { c.buffer = [2]int{48000, 96000} }, "S16_LE, 48000 Hz, 2 ch", 48000},
		{"HDMI", func(c *fakeCard) { c.formats = []int{alsaIEC958} }, "output aplay", 0},
		{"floating point", func(c *fakeCard) { c.formats = []int{14} }, "none of the formats", 0},
	}
	for _, c := range cases {
		card := newFakeCard()
		c.change(card)
		s, err := negotiate(card, 22050, 1)
		switch {
		case err != nil && (c.buffer > 0 || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", c.name, err)
		case err == nil && (s.layout.String() != c.want || s.buffer != c.buffer):
			t.Errorf("%s: %v, %d frames, want %s, %d", c.name, s.layout, s.buffer, c.want, c.buffer)
		}
	}
}

// A card whose buffer is longer than wanted is not filled.
func TestALSANeverFarAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCard()
		c.buffer = [2]int{48000, 96000}
		a := onFake(t, c)
		if _, err := a.Write(tone(587, 22050, 22050)); err != nil {
			t.Fatal(err)
		}
		if d, err := a.Delay(); err != nil || d > a.Tail() {
			t.Errorf("delay %v, %v, tail %v", d, err, a.Tail())
		}
		a.Close()
	})
}

func TestNoCards(t *testing.T) {
	if _, err := Cards(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a kernel without sound: %v", err)
	}
}

// A card that takes samples by steps has the last of them when the step is over,
// not when they would have been heard.
func TestALSADrainWaitsForTheCard(t *testing.T) {
	for _, tick := range []time.Duration{0, time.Millisecond, 4 * time.Millisecond, 10 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c := newFakeCard()
			c.tick = tick
			a := onFake(t, c)
			for n := 100; n < 2000; n += 77 {
				play(t, a, tone(587, 22050, n))
				if err := a.Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if c.cut > 0 {
				t.Errorf("steps of %v: %d frames were cut off", tick, c.cut)
			}
		})
	}
}

// A card that stands still while it ends is an error, not a wait for ever.
func TestALSADrainOfACardThatStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCard()
		a := onFake(t, c)
		play(t, a, tone(587, 22050, 500))
		c.mu.Lock()
		c.stands = true
		c.mu.Unlock()
		if err := a.Drain(context.Background()); err == nil || c.open {
			t.Errorf("Drain: %v, open %v", err, c.open)
		}
	})
}

// Where no card is named the likeliest that can be opened is taken, and the others
// are told when none can.
func TestALSATakesTheNextCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hat, jack := newFakeCard(), newFakeCard()
		byPath := map[string]*fakeCard{"/dev/snd/pcmC3D0p": hat, "/dev/snd/pcmC1D0p": jack}
		a := &ALSA{cards: func() ([]Card, error) { return Cards(pi) }, open: func(path string, capture bool) (kernel, error) {
			if c := byPath[path]; c != nil {
				return c.openFile(path, capture)
			}
			return nil, unix.ENOENT
		}}
		for _, c := range []struct {
			name string
			fail *fakeCard
			want string
		}{{"USB is not there", nil, "hw:sndrpihifiberry,0"}, {"the HAT neither", hat, "hw:Headphones,0"}} {
			if c.fail != nil {
				c.fail.fails = unix.ENODEV
			}
			if err := a.Open(22050, 1); err != nil || !strings.HasPrefix(a.Where(), c.want) {
				t.Errorf("%s: %v, %s, want %s", c.name, err, a.Where(), c.want)
			}
		}
		jack.open = true
		err := a.Open(22050, 1)
		if err == nil || strings.Count(err.Error(), "alsa: hw:") != 4 || !errors.Is(err, unix.EBUSY) {
			t.Errorf("none can be opened: %v", err)
		}
	})
}
