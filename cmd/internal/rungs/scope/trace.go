package scope

import (
	"slices"
	"time"
)

// Trace is a recording. The zero Trace is empty.
type Trace struct {
	Start   time.Duration // of the first sample
	Samples []int16
	pins    []level
	loud    int // samples up to the last that is not silence
}

// level is how the pins are from a moment on.
type level struct {
	at   time.Duration // on the clock of who recorded
	pins Pins
}

// Add appends a block. The time line is that of the samples: a sound card that
// did not lose any is a better clock than the moments at which somebody woke;
// the block that was read soonest says best when the recording began. Pins are
// looked at when a block is read, however old its samples are by then.
func (t *Trace) Add(b Block) {
	if start := b.At - t.Duration(); len(t.Samples) == 0 || start < t.Start {
		t.Start = start
	}
	for i, v := range b.Samples {
		if v > silent || v < -silent {
			t.loud = len(t.Samples) + i + 1
		}
	}
	t.Samples = append(t.Samples, b.Samples...)
	if n := len(t.pins); n == 0 || t.pins[n-1].pins != b.Pins {
		t.pins = append(t.pins, level{b.At + at(len(b.Samples)), b.Pins})
	}
}

// Silent is for how long the recording has been silent at its end.
func (t *Trace) Silent() time.Duration { return at(len(t.Samples) - t.loud) }

// Clone is a copy that does not grow.
func (t *Trace) Clone() Trace {
	c := *t
	c.Samples, c.pins = slices.Clone(t.Samples), slices.Clone(t.pins)
	return c
}

// Pins are the levels at the end of the recording.
func (t *Trace) Pins() Pins {
	if len(t.pins) == 0 {
		return 0
	}
	return t.pins[len(t.pins)-1].pins
}

// Duration is how long the recording is.
func (t *Trace) Duration() time.Duration { return at(len(t.Samples)) }

// at is how long n samples take.
func at(n int) time.Duration { return time.Duration(n) * time.Second / Rate }

// count is how many samples take d.
func count(d time.Duration) int { return int(d * Rate / time.Second) }

// Span is a part of a trace: samples From up to To.
type Span struct{ From, To int }

// Begin and End are its limits on the trace's time line, which begins with 0.
func (s Span) Begin() time.Duration { return at(s.From) }

// End is the moment after its last sample.
func (s Span) End() time.Duration { return at(s.To) }

// Duration is its length.
func (s Span) Duration() time.Duration { return at(s.To - s.From) }

// Of are the samples of a span.
func (t *Trace) Of(s Span) []int16 { return t.Samples[s.From:s.To] }

// silent is the amplitude up to which a sample is silence: less than -66 dB.
const silent = 16

// Sounds are the parts that sound. Those with less than pause of silence between
// them are one.
func (t *Trace) Sounds(pause time.Duration) []Span {
	var out []Span
	most := count(pause)
	for i, v := range t.Samples {
		if v <= silent && v >= -silent {
			continue
		}
		if n := len(out); n > 0 && i-out[n-1].To < most {
			out[n-1].To = i + 1
		} else {
			out = append(out, Span{i, i + 1})
		}
	}
	return out
}

// High are the parts in which a pin is high. A part is known to a block.
func (t *Trace) High(p Pins) []Span {
	var out []Span
	high := false
	for _, l := range t.pins {
		from := min(count(l.at-t.Start), len(t.Samples))
		switch now := l.pins&p != 0; {
		case now && !high:
			out = append(out, Span{from, len(t.Samples)})
			high = true
		case !now && high:
			out[len(out)-1].To = from
			high = false
		}
	}
	return out
}

// Covered tells whether one of the parts has all of s, but for slack at either
// end.
func (s Span) Covered(by []Span, slack time.Duration) bool {
	n := count(slack)
	return slices.ContainsFunc(by, func(o Span) bool { return o.From <= s.From+n && o.To >= s.To-n })
}
