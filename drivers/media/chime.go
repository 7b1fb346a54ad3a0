package media

import (
	"fmt"
	"math"
	"time"
)

// NoChime is the name of the chime that makes no sound.
const NoChime = "none"

// note is one struck tone of a chime.
type note struct {
	hz    float64
	at    time.Duration // from the start of the chime
	rings time.Duration // until it has died away
}

type chime struct {
	name  string
	notes []note
}

// The intervals are those that public address systems have made familiar: a
// falling third (two-tone), a rising and a falling major triad, a low gong.
var chimes = [...]chime{
	{NoChime, nil},
	{"two-tone", []note{{659.26, 0, 700 * time.Millisecond}, {523.25, 400 * time.Millisecond, 900 * time.Millisecond}}},
	{"three-tone", []note{{523.25, 0, 600 * time.Millisecond}, {659.26, 350 * time.Millisecond, 600 * time.Millisecond}, {783.99, 700 * time.Millisecond, 1000 * time.Millisecond}}},
	{"four-tone", []note{{783.99, 0, 500 * time.Millisecond}, {659.26, 300 * time.Millisecond, 500 * time.Millisecond}, {523.25, 600 * time.Millisecond, 500 * time.Millisecond}, {392, 900 * time.Millisecond, 1000 * time.Millisecond}}},
	{"gong", []note{{196, 0, 1800 * time.Millisecond}}},
	{"beep", []note{{880, 0, 200 * time.Millisecond}}},
	{"alarm", []note{{880, 0, 250 * time.Millisecond}, {660, 250 * time.Millisecond, 250 * time.Millisecond}, {880, 500 * time.Millisecond, 250 * time.Millisecond}, {660, 750 * time.Millisecond, 250 * time.Millisecond}}},
}

// Chimes is the names of all chimes; the first is [NoChime].
func Chimes() []string {
	names := make([]string, len(chimes))
	for i, c := range chimes {
		names[i] = c.name
	}
	return names
}

// Chime makes the chime of that name; the empty name is [NoChime]. Any other
// name that [Chimes] does not have is an error.
func Chime(name string) (Sound, error) {
	c, err := findChime(name)
	if err != nil {
		return nil, err
	}
	var out Sound
	for _, n := range c.notes {
		out = Mix(out, Concat(Silence(n.at), strike(n.hz, n.rings)))
	}
	return out, nil
}

// ChimeLength is how long the chime of that name lasts. Its error is that of
// [Chime].
func ChimeLength(name string) (time.Duration, error) {
	c, err := findChime(name)
	longest := 0
	for _, n := range c.notes {
		longest = max(longest, Samples(n.at)+Samples(n.rings))
	}
	return Length(longest), err
}

func findChime(name string) (chime, error) {
	if name == "" {
		name = NoChime
	}
	for _, c := range chimes {
		if c.name == name {
			return c, nil
		}
	}
	return chime{}, fmt.Errorf("chime %q is none of %v", name, Chimes())
}

// strike is a tone that begins at once and dies away over d, with two overtones
// so that it sounds like a bell and not like a telephone.
func strike(hz float64, d time.Duration) Sound {
	const peak = 0.35 * 32767
	out := Silence(d)
	for i := range out {
		t := float64(i) / Rate
		left := 1 - float64(i)/float64(len(out))
		attack := math.Min(1, t/0.005)
		w := 2 * math.Pi * hz * t
		v := math.Sin(w) + 0.3*math.Sin(2*w)*left + 0.1*math.Sin(3*w)*left*left
		out[i] = clip(int64(peak * attack * left * left * v / 1.2))
	}
	return out
}

// Tone is a plain sine of hz that lasts d, faded in and out over 5 ms so that it
// does not click.
func Tone(hz float64, d time.Duration) Sound {
	const peak = 0.3 * 32767
	out := Silence(d)
	fade := float64(Samples(5 * time.Millisecond))
	for i := range out {
		edge := math.Min(float64(i), float64(len(out)-1-i))
		out[i] = clip(int64(peak * math.Min(1, edge/fade) * math.Sin(2*math.Pi*hz*float64(i)/Rate)))
	}
	return out
}
