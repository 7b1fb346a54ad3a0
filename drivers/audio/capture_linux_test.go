//go:build linux && (amd64 || arm64)

package audio

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tacet-hub/tacet/drivers/audio/audiotest"
)

// fakeMic is a microphone behind the kernel's interface, before which a tone
// sounds. It keeps as much as its buffer holds; what is not read in time is lost.
type fakeMic struct {
	*fakeCard
	hz float64

	at   int // frames recorded and read
	over int // how often it was not read in time
}

func (m *fakeMic) ioctl(request uint32, arg unsafe.Pointer) error {
	switch request {
	case ioStart:
		m.began, m.at, m.state = time.Now(), 0, "running"
		return nil
	case ioReadI:
		return m.read((*transfer)(arg))
	}
	return m.fakeCard.ioctl(request, arg)
}

func (m *fakeMic) read(x *transfer) error {
	if m.fails != nil {
		return m.fails
	}
	have := frames(time.Since(m.began), m.set.rate) - m.at
	switch {
	case m.state == "xrun" || have > m.set.buffer:
		m.state = "xrun"
		m.over++
		return unix.EPIPE
	case have == 0 || m.stands:
		return unix.EAGAIN
	}
	n := min(have, int(x.frames))
	out := unsafe.Slice((*byte)(x.buf), n*m.frame)[:0]
	for range n {
		v := int16(10000 * math.Sin(2*math.Pi*m.hz*float64(m.at)/float64(m.set.rate)))
		for range m.set.channels {
			out = m.set.format.put(out, v)
		}
		m.at++
	}
	x.result = int64(n)
	return nil
}

func TestCapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &fakeMic{fakeCard: newFakeCard(), hz: 587}
		m.formats = []int{10}
		open := func(path string, capture bool) (kernel, error) {
			if _, err := m.openFile(path, capture); err != nil || !capture {
				return nil, err
			}
			return m, nil
		}
		c, err := openCapture(open, address{capture: true, name: "hw:Mic,0"}, 16000)
		if err != nil {
			t.Fatal(err)
		}
		var got []int16
		b := make([]byte, 300)
		for len(got) < 16000 {
			n, err := c.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < n; i += 2 {
				got = append(got, s16.get(b[i:]))
			}
		}
		if hz, height := audiotest.Pitch(got, 16000); math.Abs(hz-587) > 0.2 || height < 9900 {
			t.Errorf("%.2f Hz, amplitude %.0f", hz, height)
		}
		if c.Xruns() != 0 || c.Where() != "hw:Mic,0 (S32_LE, 48000 Hz, 2 ch)" {
			t.Errorf("%d xruns, %s", c.Xruns(), c.Where())
		}
		time.Sleep(time.Second) // nobody reads
		for range 100 {         // what was read before comes first
			if _, err := c.Read(b); err != nil {
				t.Fatal(err)
			}
		}
		if c.Xruns() != 1 || m.over != 1 {
			t.Errorf("%d xruns were told of %d", c.Xruns(), m.over)
		}
		m.stands = true
		began := time.Now()
		for err == nil {
			_, err = c.Read(b)
		}
		if d := time.Since(began); d < stuck || d > 2*stuck {
			t.Errorf("a microphone that gives nothing: %v after %v", err, d)
		}
		m.fails = unix.ENODEV
		if _, err := c.Read(b); !errors.Is(err, unix.ENODEV) {
			t.Errorf("unplugged: %v", err)
		}
		if c.Close() != nil || m.open {
			t.Error("it is not given back")
		}
		if _, err := openCapture(open, address{capture: true}, 16000); !errors.Is(err, unix.ENODEV) || m.open {
			t.Errorf("a microphone that is gone: %v", err)
		}
	})
}
