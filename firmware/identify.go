package firmware

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// Of the chirp that tells people which of the loudspeakers this is.
const (
	chirps    = 3
	chirpTime = 120 * time.Millisecond
	chirpGap  = 80 * time.Millisecond
	chirpWait = 30 * time.Second // for the area; a later one would tell nobody anything
)

// identify blinks the lamp, and has the loudspeaker chirp when the area is free:
// it takes its turn like any other sound. One chirp waits at a time, and where
// the queue is full there is none.
func (a *Agent) identify() {
	a.blinks = a.now().Add(identify)
	waits := slices.ContainsFunc(a.queue, func(i *item) bool { return i.work == "" })
	if a.cfg.Start.Safe || a.leaving || waits || a.full(area.Background) {
		return
	}
	a.queue = append(a.queue, &item{prio: area.Background, sound: chirp(a.cfg.Rate), until: a.now().Add(chirpWait)})
}

// expire gives up a chirp that has waited for too long.
func (a *Agent) expire(now area.Instant) {
	for _, i := range a.queue {
		switch {
		case now < i.due():
		case i == a.current && a.play == nil && a.turn.Phase() == turn.Waiting:
			i.until = 0
			a.step(turn.Withdraw{Result: area.Expired})
		case i != a.current:
			a.forget(i)
			return // the queue is another one
		}
	}
}

// due is when the item is given up.
func (i *item) due() area.Instant {
	if i.until == 0 {
		return area.Never
	}
	return i.until
}

// chirp is three short rising tones, mono, at a rate.
func chirp(rate int) []byte {
	var b []byte
	length, gap := samples(rate, chirpTime), samples(rate, chirpGap)
	for range chirps {
		phase := 0.0
		for n := range length {
			at := float64(n) / float64(length)
			phase += 2 * math.Pi * (1200 + 1200*at) / float64(rate)
			level := 0.5 * math.Sin(math.Pi*at) // it swells and fades: no click
			b = binary.LittleEndian.AppendUint16(b, uint16(int16(math.MaxInt16*level*math.Sin(phase))))
		}
		b = append(b, make([]byte, 2*gap)...)
	}
	return b
}

func samples(rate int, d time.Duration) int { return int(int64(rate) * int64(d) / int64(time.Second)) }
