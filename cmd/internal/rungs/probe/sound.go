//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
	"github.com/tacet-hub/tacet/cmd/internal/rungs/scope"
	"github.com/tacet-hub/tacet/drivers/audio"
)

const (
	playRate = 22_050 // what the agent makes
	playTone = 587.33
	chunk    = 20 * time.Millisecond // the agent writes so much at once
	loopback = "hw:Loopback,0"
)

// trySound plays on the kernel's loopback by the device's own driver and judges
// what comes out at its other end.
func trySound(s *proof.Sheet) {
	detail, err := onePlay(s)
	s.Check("sound.play", detail, err)
	detail, err = runDry()
	s.Check("sound.xrun", detail, err)
	detail, err = cutOff()
	s.Check("sound.drop", detail, err)
	detail, err = taken()
	s.Check("sound.busy", detail, err)
	detail, err = manyPlays(1000)
	s.Check("sound.thousand", detail, err)
}

// tone is samples as the agent gives them to a player.
func tone(hz float64, d time.Duration) []byte {
	n := int(d * playRate / time.Second)
	fade := min(playRate/200, n/2) // 5 ms
	out := make([]byte, 0, 2*n)
	for i := range n {
		gain := min(1, float64(min(i, n-1-i))/float64(fade))
		out = binary.LittleEndian.AppendUint16(out, uint16(int16(math.Round(gain*9000*math.Sin(2*math.Pi*hz*float64(i)/playRate)))))
	}
	return out
}

// listening records until it is told to stop.
type listening struct {
	stop  chan struct{}
	ended chan error
	trace scope.Trace
}

func listenIn() (*listening, error) {
	r, err := recordLoopback()
	if err != nil {
		return nil, err
	}
	l := &listening{stop: make(chan struct{}), ended: make(chan error, 1)}
	began := make(chan struct{})
	go func() { // end waits for it
		defer r.close()
		for first := true; ; first = false {
			b, err := r.read()
			if err != nil {
				l.ended <- err
				return
			}
			l.trace.Add(b)
			if first {
				close(began)
			}
			select {
			case <-l.stop:
				l.ended <- nil
				return
			default:
			}
		}
	}()
	select {
	case <-began:
		return l, nil
	case err := <-l.ended:
		return nil, err
	}
}

// end records for a little longer and answers the recording.
func (l *listening) end() (*scope.Trace, error) {
	time.Sleep(200 * time.Millisecond) // what still sounds is a part of it
	close(l.stop)
	return &l.trace, <-l.ended
}

// player opens the driver as the agent does.
func player() (*audio.ALSA, error) {
	p := audio.NewALSA(loopback)
	return p, p.Open(playRate, 1)
}

// write gives a sound to a player as the agent does, and never has more than
// 50 ms ahead.
func write(p *audio.ALSA, sound []byte) error {
	size := int(chunk*playRate/time.Second) * 2
	for len(sound) > 0 {
		n := min(size, len(sound))
		if _, err := p.Write(sound[:n]); err != nil {
			return err
		}
		sound = sound[n:]
		for {
			ahead, err := p.Delay()
			if err != nil {
				return err
			}
			if ahead <= 50*time.Millisecond-chunk {
				break
			}
			time.Sleep(ahead - (50*time.Millisecond - chunk))
		}
	}
	return nil
}

// onePlay plays a tone: its frequency, its length, that no sample is missing,
// and when it was over are told by lines of their own.
func onePlay(s *proof.Sheet) (string, error) {
	const length = 1500 * time.Millisecond
	l, err := listenIn()
	if err != nil {
		return "", err
	}
	p, err := player()
	if err != nil {
		return "", err
	}
	defer p.Close()
	if err := write(p, tone(playTone, length)); err != nil {
		return "", err
	}
	ahead, err := p.Delay()
	if err != nil {
		return "", err
	}
	promised := now() + ahead
	if err := p.Drain(context.Background()); err != nil {
		return "", err
	}
	drained := now()
	where := p.Where()
	tr, err := l.end()
	if err != nil {
		return "", err
	}
	sounds := tr.Sounds(20 * time.Millisecond)
	if len(sounds) != 1 {
		return "", fmt.Errorf("%d sounds came, want 1: %v", len(sounds), sounds)
	}
	samples := tr.Of(sounds[0])
	hz, amplitude := scope.Tone(samples)
	s.Check("sound.frequency", fmt.Sprintf("%.3f Hz of %.2f, amplitude %.0f of 9000", hz, playTone, amplitude), within("frequency", hz, playTone, 0.05))
	breaks := scope.Breaks(samples, hz)
	s.Check("sound.gaps", fmt.Sprintf("%d in %d samples", breaks, len(samples)), within("gaps", float64(breaks), 0, 0))
	d := sounds[0].Duration()
	s.Check("sound.length", fmt.Sprintf("%v of %v", d, length), within("length in ms", ms(d), ms(length), 2))
	last := tr.Start + sounds[0].End()
	// The clock of the samples is known to a tick of the kernel and a block.
	s.Check("sound.delay", fmt.Sprintf("Delay foretold the last sample %.1f ms off", ms(promised-last)), within("Delay in ms", ms(promised-last), 0, 30))
	s.Check("sound.drain", fmt.Sprintf("Drain returned %.1f ms after the last sample", ms(drained-last)), within("Drain in ms after the end", ms(drained-last), 20, 35))
	if n := p.Xruns(); n != 0 {
		return "", fmt.Errorf("%d xruns", n)
	}
	return where, nil
}

// runDry stops writing in the middle: the card has nothing to play, which is
// counted, and the rest sounds.
func runDry() (string, error) {
	l, err := listenIn()
	if err != nil {
		return "", err
	}
	p, err := player()
	if err != nil {
		return "", err
	}
	defer p.Close()
	if err := write(p, tone(playTone, 300*time.Millisecond)); err != nil {
		return "", err
	}
	time.Sleep(400 * time.Millisecond) // a machine that is too busy to write
	if err := write(p, tone(playTone, 300*time.Millisecond)); err != nil {
		return "", err
	}
	if err := p.Drain(context.Background()); err != nil {
		return "", err
	}
	tr, err := l.end()
	if err != nil {
		return "", err
	}
	n := len(tr.Sounds(20 * time.Millisecond))
	// On a busy machine there may be more of both.
	if xruns := int(p.Xruns()); xruns < 1 || n < 2 || n > xruns+1 {
		return "", fmt.Errorf("%d xruns were counted and %d sounds came, want 1 and 2", xruns, n)
	}
	return fmt.Sprintf("a pause of 400 ms in writing: xruns counted %d, parts that sounded %d", p.Xruns(), n), nil
}

// cutOff drops a sound in the middle: nothing sounds after that.
func cutOff() (string, error) {
	l, err := listenIn()
	if err != nil {
		return "", err
	}
	p, err := player()
	if err != nil {
		return "", err
	}
	defer p.Close()
	if err := write(p, tone(playTone, 500*time.Millisecond)); err != nil {
		return "", err
	}
	if err := p.Drop(); err != nil {
		return "", err
	}
	dropped := now()
	tr, err := l.end()
	if err != nil {
		return "", err
	}
	sounds := tr.Sounds(20 * time.Millisecond)
	if len(sounds) != 1 {
		return "", fmt.Errorf("%d sounds came", len(sounds))
	}
	after := tr.Start + sounds[0].End() - dropped
	return fmt.Sprintf("silent %.1f ms after Drop; Tail promises %v", ms(after), p.Tail()), within("sound in ms after Drop", ms(after), 0, ms(p.Tail()))
}

// taken opens a card that somebody has, and one that is not there.
func taken() (string, error) {
	p, err := player()
	if err != nil {
		return "", err
	}
	defer p.Close()
	if err := write(p, tone(playTone, 50*time.Millisecond)); err != nil {
		return "", err
	}
	second, err := player()
	if err == nil {
		return "", errors.Join(errors.New("a card that plays was given to a second player"), second.Close())
	}
	if none := audio.NewALSA("hw:Nowhere").Open(playRate, 1); none == nil {
		return "", errors.New("a card that is not there was opened")
	} else {
		err = fmt.Errorf("%w; %w", err, none)
	}
	return tidy(err.Error()), p.Drain(context.Background())
}

// manyPlays plays short sounds, each by itself: all sound, what went wrong is
// counted, and no descriptor stays open.
func manyPlays(n int) (string, error) {
	before, err := openFiles()
	if err != nil {
		return "", err
	}
	l, err := listenIn()
	if err != nil {
		return "", err
	}
	p, err := player()
	if err != nil {
		return "", err
	}
	began := now()
	const length = 9 * time.Millisecond // the loopback moves on every 4 ms: 3 ms of silence are between two plays
	sound := tone(1000, length)
	for i := range n {
		if err := write(p, sound); err != nil {
			return "", fmt.Errorf("play %d: %w", i, err)
		}
		if err := p.Drain(context.Background()); err != nil {
			return "", fmt.Errorf("play %d: %w", i, err)
		}
	}
	took := now() - began
	xruns := p.Xruns()
	if err := p.Close(); err != nil {
		return "", err
	}
	tr, err := l.end()
	if err != nil {
		return "", err
	}
	after, err := openFiles()
	if err != nil {
		return "", err
	}
	sounds := tr.Sounds(1500 * time.Microsecond)
	whole := 0
	for _, s := range sounds {
		if math.Abs(ms(s.Duration()-length)) < 0.2 {
			whole++
		}
	}
	if after > before {
		return "", fmt.Errorf("%d descriptors were open before, %d after", before, after)
	}
	if broken := n - whole; broken != int(xruns) {
		return "", fmt.Errorf("%d plays: %d sounds came, %d whole; %d xruns were counted", n, len(sounds), whole, xruns)
	}
	return fmt.Sprintf("%d plays in %.1f s: %d whole, %d xruns, %d descriptors before and after", n, took.Seconds(), whole, xruns, after), nil
}

func openFiles() (int, error) {
	files, err := os.ReadDir("/proc/self/fd")
	return len(files), err
}

// within is the error of a figure that is not what it should be.
func within(what string, got, want, slack float64) error {
	if math.Abs(got-want) > slack {
		return fmt.Errorf("%s: %.2f, want %.2f ± %.2f", what, got, want, slack)
	}
	return nil
}
