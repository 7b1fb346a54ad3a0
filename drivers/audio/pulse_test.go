package audio

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jfreymuth/pulse/proto"

	"github.com/tacet-hub/tacet/drivers/audio/audiotest"
)

func openPulse(t testing.TB, sink string) *Pulse {
	t.Helper()
	p := NewPulse(sink)
	if err := p.Open(22050, 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// heard is what came out of a loudspeaker for a tone.
type heard struct {
	hz, height   float64
	gaps, pieces int
	length, took time.Duration
	xruns        uint64 // that were told
}

// hear plays a tone and measures it.
func hear(t *testing.T, s *audiotest.Server, p *Pulse, hz float64, d time.Duration) (h heard) {
	t.Helper()
	r := s.Record(t, "speaker")
	before, began := p.Xruns(), time.Now()
	play(t, p, audiotest.Tone(hz, d, 22050))
	if err := p.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.took, h.xruns = time.Since(began), p.Xruns()-before
	got := r.Until(300 * time.Millisecond)
	spans := audiotest.Spans(got, audiotest.Rate)
	sound := got[spans[0].Start:spans[len(spans)-1].End]
	h.hz, h.height = audiotest.Pitch(sound, audiotest.Rate)
	h.gaps, h.pieces = audiotest.Gaps(sound, audiotest.Rate), len(spans)
	h.length = time.Duration(len(sound)) * time.Second / audiotest.Rate
	return h
}

// A tone comes out of the loudspeaker as it went in, without a gap that was not
// told, and the play is over when it has been heard. On a machine so busy that
// there is a gap it is played again.
func TestRung2PulseTone(t *testing.T) {
	const hz, d, tries = 587.25, 1500 * time.Millisecond, 10
	s := audiotest.Pulse(t)
	p := openPulse(t, "")
	for range tries {
		h := hear(t, s, p, hz, d)
		t.Logf("%.2f Hz of %.2f, amplitude %.0f of 10000, %d gaps, %d xruns told, %v of %v, order over after %v", h.hz, hz, h.height, h.gaps, h.xruns, h.length, d, h.took)
		if uint64(h.gaps) > h.xruns {
			t.Errorf("%d gaps, and %d xruns were told", h.gaps, h.xruns)
		}
		if h.took < d {
			t.Errorf("%v of sound were over after %v", d, h.took)
		}
		if h.xruns > 0 {
			continue
		}
		if math.Abs(h.hz-hz) > 0.2 || h.height < 9900 || h.pieces > 1 || h.length < d-10*time.Millisecond || h.length > d+10*time.Millisecond {
			t.Errorf("not what was played, in %d pieces", h.pieces)
		}
		break
	}
	if !strings.Contains(p.Where(), "speaker") {
		t.Errorf("it plays on %s", p.Where())
	}
}

func TestPulseDropsAndComesBack(t *testing.T) {
	s := audiotest.Pulse(t)
	p := openPulse(t, "other")
	r := s.Record(t, "other")
	play(t, p, audiotest.Tone(587, time.Second, 22050))
	if d, err := p.Delay(); err != nil || d > 100*time.Millisecond {
		t.Errorf("delay %v, %v", d, err)
	}
	if err := p.Drop(); err != nil {
		t.Error(err)
	}
	r.Until(100 * time.Millisecond)
	play(t, p, audiotest.Tone(880, 10*time.Millisecond, 22050)) // less than the server begins at
	if err := p.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	play(t, p, audiotest.Tone(880, 100*time.Millisecond, 22050))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Drain(ctx); err == nil {
		t.Error("Drain with an ended context: no error")
	}

	play(t, p, audiotest.Tone(587, 100*time.Millisecond, 22050))
	s.Kill()
	var err error
	for range 50 { // the end of the connection is noticed a moment later
		if _, err = p.Write(make([]byte, 882)); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("the server is gone, and nothing is wrong")
	}
	if err := p.Open(22050, 1); err == nil {
		t.Error("Open without a server: no error")
	}
	s.Start(t)
	play(t, p, audiotest.Tone(587, 100*time.Millisecond, 22050))
	if err := p.Drain(t.Context()); err != nil {
		t.Errorf("a new server: %v", err)
	}
	if _, err := NewPulse("").Write([]byte{0, 0}); err == nil {
		t.Error("Write before Open: no error")
	}
	if err := NewPulse("nosuch").Open(22050, 1); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("a sink that is not there: %v", err)
	}
}

func TestPulseServers(t *testing.T) {
	t.Setenv("PULSE_SERVER", "{host}unix:/a/native tcp:10.0.0.1:4713")
	if got := strings.Join(pulseServers(), " "); got != "/a/native tcp:10.0.0.1:4713" {
		t.Errorf("servers %s", got)
	}
	t.Setenv("PULSE_SERVER", "")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/4242")
	if got := pulseServers(); got[0] != "/run/user/4242/pulse/native" || got[1] != "/run/pulse/native" {
		t.Errorf("servers %v", got)
	}
	t.Setenv("PULSE_SERVER", filepath.Join(t.TempDir(), "none"))
	if err := NewPulse("").Open(22050, 1); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("no server: %v", err)
	}
}

// A loudspeaker that is muted in the server is told of.
func TestPulseTellsOfAMutedSink(t *testing.T) {
	audiotest.Pulse(t)
	p := openPulse(t, "")
	l, err := dialPulse()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if strings.Contains(p.Where(), "there") {
		t.Errorf("it plays on %s", p.Where())
	}
	for want, r := range map[string]proto.RequestArgs{
		"muted there": &proto.SetSinkMute{SinkIndex: proto.Undefined, SinkName: "speaker", Mute: true},
		"turned down": &proto.SetSinkVolume{SinkIndex: proto.Undefined, SinkName: "other", ChannelVolumes: proto.ChannelVolumes{0, 0}},
	} {
		if err := l.c.Request(r, nil); err != nil {
			t.Fatal(err)
		}
		sink := map[bool]string{true: "speaker", false: "other"}[want == "muted there"]
		p := openPulse(t, sink)
		if !strings.Contains(p.Where(), want) {
			t.Errorf("it plays on %s, want %q", p.Where(), want)
		}
	}
}
