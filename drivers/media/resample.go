package media

import "math"

const (
	lobes    = 16   // zero crossings of the filter on each side
	passband = 0.92 // of the lower of the two Nyquist frequencies
	mostBank = 2048 // phases kept; a ratio that needs more takes the one before
)

// Resampler turns sound of one rate into sound of another, piece by piece, by a
// windowed sinc: what the new rate cannot carry is filtered out, where simpler
// ways let it come back as a tone that was never there. Its memory does not grow
// with what it is given. It is not safe for concurrent use.
type Resampler struct {
	up, down int         // the ratio of the rates, reduced: up new samples for down old ones
	half     int         // samples that the filter reaches to each side
	cutoff   float64     // of the old sampling rate, times two
	bank     [][]float32 // filters by phase, made when they are first needed

	held  []float32 // old samples that are still needed
	first int64     // position of held[0]
	next  int64     // position of the next new sample
}

// NewResampler makes one for samples taken from times a second, which shall
// become to times a second. Both must be over 0.
func NewResampler(from, to int) *Resampler {
	d := gcd(from, to)
	r := &Resampler{up: to / d, down: from / d}
	narrow := math.Min(1, float64(to)/float64(from))
	r.cutoff = passband * narrow
	r.half = int(math.Ceil(lobes / narrow))
	r.bank = make([][]float32, min(r.up, mostBank))
	r.reset()
	return r
}

func (r *Resampler) reset() {
	r.held = append(r.held[:0], make([]float32, r.half)...) // silence before the first sample
	r.first, r.next = -int64(r.half), 0
}

// Push takes samples and appends to out those of the new rate that can be made
// of what has come so far: the last few wait for what follows.
func (r *Resampler) Push(out, in []int16) []int16 {
	for _, v := range in {
		r.held = append(r.held, float32(v))
	}
	return r.make(out, math.MaxInt64)
}

// Flush appends what is still owed, as if silence followed, and starts anew. In
// all there are as many new samples as fit into the length of the old ones.
func (r *Resampler) Flush(out []int16) []int16 {
	total := (r.first + int64(len(r.held))) * int64(r.up) / int64(r.down)
	r.held = append(r.held, make([]float32, r.half+1)...)
	out = r.make(out, total)
	r.reset()
	return out
}

// make appends new samples up to a position, as far as the old ones reach.
func (r *Resampler) make(out []int16, end int64) []int16 {
	have := r.first + int64(len(r.held))
	for r.next < end {
		at := r.next * int64(r.down)
		left := at/int64(r.up) - int64(r.half) + 1
		if left+int64(2*r.half) > have {
			break
		}
		filter := r.filter(int(at % int64(r.up)))
		var sum float32
		for i, v := range r.held[left-r.first:][:len(filter)] {
			sum += v * filter[i]
		}
		out = append(out, clip(int64(math.Round(float64(sum)))))
		r.next++
	}
	r.forget()
	return out
}

// forget drops the old samples that no new one needs any more.
func (r *Resampler) forget() {
	left := r.next*int64(r.down)/int64(r.up) - int64(r.half) + 1
	if n := min(left-r.first, int64(len(r.held))); n > 0 {
		r.held = r.held[:copy(r.held, r.held[n:])]
		r.first += n
	}
}

// filter is the weights for a new sample that lies phase/up after an old one.
func (r *Resampler) filter(phase int) []float32 {
	i := phase * len(r.bank) / r.up
	if r.bank[i] == nil {
		r.bank[i] = r.weights(float64(i) / float64(len(r.bank)))
	}
	return r.bank[i]
}

// weights is a sinc under a Blackman window, of sum 1.
func (r *Resampler) weights(after float64) []float32 {
	w := make([]float64, 2*r.half)
	sum := 0.0
	for i := range w {
		x := float64(i-r.half+1) - after
		turn := math.Pi * x / float64(r.half)
		w[i] = sinc(r.cutoff*x) * (0.42 + 0.5*math.Cos(turn) + 0.08*math.Cos(2*turn))
		sum += w[i]
	}
	out := make([]float32, len(w))
	for i, v := range w {
		out[i] = float32(v / sum)
	}
	return out
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Resample turns samples taken from times a second into a [Sound]. A rate of 0
// or less gives no sound.
func Resample(in []int16, from int) Sound {
	if from <= 0 || len(in) == 0 {
		return nil
	}
	if from == Rate {
		return append(Sound(nil), in...)
	}
	r := NewResampler(from, Rate)
	return r.Flush(r.Push(nil, in))
}
