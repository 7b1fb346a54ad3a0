package sensor

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// room is a microphone in a room that hums, at an amplitude and around an offset,
// after the bias has settled.
type room struct {
	amplitude, offset float64
	at                int
	err               error
	end               int // samples that there are; 0: no end
	closed            bool
}

func (r *room) Read(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n := min(len(b)/2, 333)
	for i := range n {
		v := r.offset + r.amplitude*math.Sin(2*math.Pi*440*float64(r.at)/noiseRate)
		if r.at < samplesOf(noiseSettle) {
			v = 1
		}
		binary.LittleEndian.PutUint16(b[2*i:], uint16(int16(v*math.MaxInt16)))
		if r.at++; r.at == r.end {
			r.err = io.ErrUnexpectedEOF
			return 2 * (i + 1), nil
		}
	}
	return 2 * n, nil
}

func (r *room) Close() error { r.closed = true; return nil }

func in(r *room, err error) Parts {
	return Parts{Microphone: func(string, int) (Microphone, error) {
		if err != nil {
			return nil, err
		}
		return r, nil
	}}
}

func TestNoise(t *testing.T) {
	cases := []struct {
		name string
		room room
		cal  float64
		want string
	}{
		{"full scale", room{amplitude: 1}, 0, "-3.0"},
		{"a tenth", room{amplitude: 0.1}, 0, "-23.0"},
		{"a hundredth, calibrated", room{amplitude: 0.01}, 110, "67.0"},
		{"an offset is no sound", room{amplitude: 0.1, offset: 0.5}, 0, "-23.0"},
		{"muted", room{}, 0, "may be muted"},
		{"muted, with an offset", room{offset: 0.3}, 0, "may be muted"},
		{"unplugged", room{amplitude: 1, end: 9000}, 0, "unexpected EOF"},
	}
	for _, c := range cases {
		v, err := senseOf(Config{Driver: "noise", Calibration: c.cal}, in(&c.room, nil))
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && v[0].String() != c.want {
			t.Errorf("%s: %v, %v, want %q", c.name, v, err, c.want)
		}
		if !c.room.closed {
			t.Errorf("%s: the microphone is still open", c.name)
		}
	}
	if _, err := senseOf(Config{Driver: "noise"}, in(nil, errors.New("card is taken"))); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("a card that is taken: %v", err)
	}
	if _, err := senseOf(Config{Driver: "noise"}, Parts{}); err == nil || !strings.Contains(err.Error(), "no microphone") {
		t.Errorf("no microphone: %v", err)
	}
	if _, err := level(nil); err == nil {
		t.Error("nothing has a level")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := record(ctx, &room{amplitude: 1}, noiseLength); !errors.Is(err, context.Canceled) {
		t.Errorf("the end: %v", err)
	}
	if _, err := record(t.Context(), silent{}, noiseLength); err == nil {
		t.Error("a microphone that gives nothing was waited for")
	}
}

// silent is a microphone that gives nothing, and no error.
type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }
func (silent) Close() error             { return nil }
