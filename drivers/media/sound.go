package media

import (
	"encoding/binary"
	"time"
)

// Rate is the number of samples a second of every [Sound].
const Rate = 22050

// Pause is the silence between chime and speech, and between two repetitions.
const Pause = 400 * time.Millisecond

// Sound is mono sound of [Rate] samples a second. The nil Sound is no sound.
type Sound []int16

// Samples is the number of samples that last d, rounded down; 0 for a negative
// d.
func Samples(d time.Duration) int {
	if d < 0 {
		return 0
	}
	return int(int64(d/time.Second)*Rate + int64(d%time.Second)*Rate/int64(time.Second))
}

// Length is how long n samples last.
func Length(n int) time.Duration {
	return time.Duration(n/Rate)*time.Second + time.Duration(n%Rate)*time.Second/Rate
}

// Silence is a sound of length d without any sound.
func Silence(d time.Duration) Sound { return make(Sound, Samples(d)) }

// Duration is how long s lasts.
func (s Sound) Duration() time.Duration { return Length(len(s)) }

// Bytes is s as little-endian bytes, as sound cards and WAV files want it.
func (s Sound) Bytes() []byte {
	b := make([]byte, 2*len(s))
	for i, v := range s {
		binary.LittleEndian.PutUint16(b[2*i:], uint16(v))
	}
	return b
}

// FromBytes reads what [Sound.Bytes] wrote; an odd last byte is dropped.
func FromBytes(b []byte) Sound {
	s := make(Sound, len(b)/2)
	for i := range s {
		s[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return s
}

// Concat is the parts one after the other.
func Concat(parts ...Sound) Sound {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := make(Sound, 0, n)
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// Announce is a chime, then the speech repeat times (at least once), with a
// [Pause] between the parts. Parts without samples take no pause.
func Announce(chime, speech Sound, repeat int) Sound {
	var out Sound
	add := func(s Sound) {
		if len(s) == 0 {
			return
		}
		if len(out) > 0 {
			out = append(out, Silence(Pause)...)
		}
		out = append(out, s...)
	}
	add(chime)
	for range max(repeat, 1) {
		add(speech)
	}
	return out
}

// AnnounceLength is how long [Announce] makes parts of these lengths.
func AnnounceLength(chime, speech time.Duration, repeat int) time.Duration {
	parts := 0
	if chime > 0 {
		parts++
	}
	n := max(repeat, 1)
	if speech > 0 {
		parts += n
	}
	return chime + time.Duration(n)*speech + time.Duration(max(parts-1, 0))*Pause
}

func clip(v int64) int16 { return int16(min(max(v, -32768), 32767)) }
