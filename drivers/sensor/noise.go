package sensor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// noise is how loud it is in the room, by a microphone. Traps:
//
//   - without a calibration it is dBFS: 0 is the loudest that the microphone can
//     tell, and every other number is below. The calibration is what full scale
//     is in dB SPL: for most USB microphones about 110;
//   - the first moments after the start are the bias settling: they are not
//     counted;
//   - many microphones have an offset, which is no sound: the mean is taken off;
//   - a microphone that is muted gives zeros, which no room does: an error;
//   - automatic gain makes every room equally loud: switch it off in the mixer;
//   - it is not weighted (A or C): hum and wind count in full.
type noise struct {
	open        func(card string, rate int) (Microphone, error)
	card        string
	calibration float64
}

// MetricNoise is the metric of a microphone's level.
const MetricNoise = "noise"

// NoiseTime is how long a measurement of the noise takes.
const NoiseTime = noiseSettle + noiseLength

const (
	noiseRate   = 16000
	noiseSettle = 250 * time.Millisecond
	noiseLength = time.Second
)

func openNoise(c Config, p Parts) (driver, error) {
	if p.Microphone == nil {
		return nil, errors.New("there is no microphone on this system")
	}
	return noise{open: p.Microphone, card: c.Card, calibration: c.Calibration}, nil
}

// sense opens the microphone for a moment: so it can be used by others, and
// unplugged.
func (n noise) sense(ctx context.Context) ([]Value, error) {
	m, err := n.open(n.card, noiseRate)
	if err != nil {
		return nil, err
	}
	samples, err := record(ctx, m, NoiseTime)
	if err = errors.Join(err, m.Close()); err != nil {
		return nil, err
	}
	db, err := level(samples[2*samplesOf(noiseSettle):])
	if err != nil {
		return nil, err
	}
	return []Value{{MetricNoise, db + n.calibration, 1}}, nil
}

func (noise) close() error { return nil }

func samplesOf(d time.Duration) int { return int(noiseRate * d / time.Second) }

func record(ctx context.Context, m Microphone, d time.Duration) ([]byte, error) {
	all := make([]byte, 2*samplesOf(d))
	for have := 0; have < len(all); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := m.Read(all[have:])
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("the microphone gives nothing")
		}
		have += n
	}
	return all, nil
}

// level is the loudness of samples in dBFS: a sine of full scale is -3 dB.
func level(samples []byte) (float64, error) {
	n := len(samples) / 2
	if n == 0 {
		return 0, errors.New("nothing was recorded")
	}
	sum, squares := 0.0, 0.0
	for i := range n {
		v := float64(int16(binary.LittleEndian.Uint16(samples[2*i:]))) / -math.MinInt16
		sum += v
		squares += v * v
	}
	mean := sum / float64(n)
	power := squares/float64(n) - mean*mean
	if power < 1e-12 {
		return 0, errors.New("the microphone gives silence: it may be muted")
	}
	return 10 * math.Log10(power), nil
}
