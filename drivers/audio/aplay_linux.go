package audio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pipeSize   = 4096                  // the least that Linux grants
	cardBuffer = 50 * time.Millisecond // asked of ALSA
	cardPeriod = 12500 * time.Microsecond
	aplayTry   = 8 * time.Second // for the program to be read from a slow disk, and to end
	aplayStart = 2 * time.Second // for it to begin once it was tried
)

// Aplay plays through the program aplay. Its methods are those of
// firmware.Player; they belong to one goroutine, but for Close and Xruns.
type Aplay struct {
	card  string
	xruns atomic.Uint64

	mu             sync.Mutex
	program        string // path, as found by Open
	rate, channels int
	run            *exec.Cmd
	pipe           *os.File
	said           tail
	since          time.Time     // of the first sample of the play
	written        time.Duration // length of what was written since then
}

// NewAplay makes a player; card is an ALSA name such as "plughw:1,0", empty for
// the default one.
func NewAplay(card string) *Aplay { return &Aplay{card: card} }

// Open says what will be written, 16 bit little-endian samples, and tries the
// card with no sound at all: it fails where aplay is not installed, there is no
// card, it is taken, or it takes more than 8 s.
func (a *Aplay) Open(rate, channels int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if rate <= 0 || channels <= 0 {
		return fmt.Errorf("sound: %d Hz and %d channels", rate, channels)
	}
	path, err := exec.LookPath("aplay")
	if err != nil {
		return fmt.Errorf("sound: %w (package alsa-utils)", err)
	}
	a.program, a.rate, a.channels = path, rate, channels
	if a.run != nil {
		return nil
	}
	return a.try()
}

// try opens the card and plays nothing.
func (a *Aplay) try() error {
	ctx, cancel := context.WithTimeout(context.Background(), aplayTry)
	defer cancel()
	if err := a.command(ctx).Run(); err != nil {
		return a.complaint(err)
	}
	return nil
}

// command is the program with its arguments; it reads nothing.
func (a *Aplay) command(ctx context.Context) *exec.Cmd {
	args := []string{"-q", "-t", "raw", "-f", "S16_LE", "-r", strconv.Itoa(a.rate), "-c", strconv.Itoa(a.channels),
		"--buffer-time=" + strconv.FormatInt(cardBuffer.Microseconds(), 10), "--period-time=" + strconv.FormatInt(cardPeriod.Microseconds(), 10)}
	if a.card != "" {
		args = append(args, "-D", a.card)
	}
	a.said = tail{xruns: &a.xruns}
	cmd := exec.CommandContext(ctx, a.program, args...)
	cmd.Stderr = &a.said
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Write hands samples to the card. It blocks while pipe and card are full, at
// most 900 ms, and while the program starts 2 s: then the card is broken, which is
// an error.
func (a *Aplay) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.run == nil {
		if err := a.start(); err != nil {
			return 0, err
		}
	}
	if err := a.pipe.SetWriteDeadline(a.patience()); err != nil {
		return 0, fmt.Errorf("sound: %w", err)
	}
	n, err := a.pipe.Write(b)
	a.written += time.Duration(n) * time.Second / time.Duration(2*a.rate*a.channels)
	if err != nil {
		return n, a.broken(err)
	}
	return n, nil
}

// patience is until when a write may block.
func (a *Aplay) patience() time.Time {
	now, begun := time.Now().Add(stuck), a.since.Add(aplayStart)
	if begun.After(now) {
		return begun
	}
	return now
}

func (a *Aplay) start() error {
	if a.rate == 0 {
		return errors.New("sound: not open")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("sound: %w", err)
	}
	defer r.Close()
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pipeSize); err != nil {
		return errors.Join(fmt.Errorf("sound: shrink the pipe: %w", err), w.Close())
	}
	if err := syscall.SetNonblock(int(w.Fd()), true); err != nil { // Fd made it blocking: deadlines need it back
		return errors.Join(fmt.Errorf("sound: %w", err), w.Close())
	}
	cmd := a.command(context.Background()) // it ends with the pipe, or is killed
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("sound: %w", err), w.Close())
	}
	a.run, a.pipe, a.since, a.written = cmd, w, time.Now(), 0
	return nil
}

// Delay is about how long it takes until what was written has been heard.
func (a *Aplay) Delay() (time.Duration, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.run == nil {
		return 0, nil
	}
	return a.delay(), nil
}

func (a *Aplay) delay() time.Duration { return max(0, a.written-time.Since(a.since)) }

// Drain lets the card play what it has, and ends the program. It blocks until
// then; where ctx ends first the rest is dropped. A program that does not end
// within 900 ms of when the sound should is killed, which is an error.
func (a *Aplay) Drain(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.run == nil {
		return nil
	}
	program := a.run.Process
	late, cancel := context.WithDeadline(ctx, a.patience().Add(a.delay()))
	defer cancel()
	kill := context.AfterFunc(late, func() { _ = program.Kill() })
	defer kill()
	err := a.end()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case late.Err() != nil:
		return a.complaint(errors.New("it does not end"))
	case err != nil:
		return a.complaint(err)
	}
	return nil
}

// Drop silences the card at once by killing the program.
func (a *Aplay) Drop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kill()
	return nil
}

// Close does what Drop does, and forgets what Open said.
func (a *Aplay) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kill()
	a.rate = 0
	return nil
}

// Tail is how long sound can go on after a Drop that came too late, or after our
// death: the pipe (at 22,050 Hz) and the card's buffer.
func (a *Aplay) Tail() time.Duration {
	return pipeSize*time.Second/(2*22050) + cardBuffer
}

func (a *Aplay) kill() {
	if a.run != nil {
		_ = a.run.Process.Kill()
		_ = a.end() // "signal: killed": that is what was asked for
	}
}

// end closes the pipe and waits for the program.
func (a *Aplay) end() error {
	closed := a.pipe.Close()
	err := a.run.Wait()
	a.run, a.pipe = nil, nil
	return errors.Join(err, closed)
}

func (a *Aplay) broken(err error) error {
	a.kill()
	return a.complaint(err)
}

func (a *Aplay) complaint(err error) error {
	return fmt.Errorf("sound: aplay: %w: %s", err, strings.TrimSpace(string(a.said.text)))
}

// Xruns counts the gaps that the program has told of.
func (a *Aplay) Xruns() uint64 { return a.xruns.Load() }

// Where is the name of the card.
func (a *Aplay) Where() string {
	if a.card == "" {
		return "default"
	}
	return a.card
}

// tail keeps the end of what a program complains, and counts the gaps in it.
type tail struct {
	text  []byte
	xruns *atomic.Uint64
}

func (t *tail) Write(p []byte) (int, error) {
	const most = 200
	t.xruns.Add(uint64(bytes.Count(p, []byte("underrun!!!")))) // a message is one write
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-most):]
	return len(p), nil
}
