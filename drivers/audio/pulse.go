package audio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jfreymuth/pulse/proto"
)

// What is asked of the sound server. It renders ahead of its loudspeaker, and
// cannot take that back; so much is asked to be little, and the tail allows for a
// server that cannot do it.
const (
	pulseTarget  = 100 * time.Millisecond // in the server's buffer and ahead of it, at most
	pulsePrebuf  = 35 * time.Millisecond  // at which it begins: less than whoever keeps 50 ms ahead in pieces of 20 writes at once
	pulseMinimum = 10 * time.Millisecond  // asked for at once, at least
	pulseTail    = 250 * time.Millisecond
	pulseDummy   = "auto_null" // the sink of a server that has no loudspeaker
)

// Pulse plays through a PulseAudio server, or PipeWire, which speaks the same
// protocol. Its methods are those of firmware.Player; Xruns and Where may be
// called by anybody, and do not block. Each play has a connection of its own.
type Pulse struct {
	sink  string
	xruns atomic.Uint64
	found atomic.Value // string: see Where

	mu     sync.Mutex
	source layout // what is written; rate 0: not open
	play   *pulsePlay
}

// NewPulse makes a player; sink is the name of one, empty for the server's
// default. The server is the one that PULSE_SERVER names, else the one of the
// user, else that of the machine.
func NewPulse(sink string) *Pulse { return &Pulse{sink: sink} }

// Open says what will be written, 16 bit little-endian samples, and tries the
// server: it fails where there is none, or it has no loudspeaker.
func (p *Pulse) Open(rate, channels int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if rate <= 0 || channels < 1 || channels > 2 {
		return fmt.Errorf("pulse: %d Hz and %d channels", rate, channels)
	}
	p.source = layout{format: s16, rate: rate, channels: channels}
	if p.play != nil {
		return nil
	}
	l, err := dialPulse()
	if err != nil {
		return fmt.Errorf("pulse: %w", err)
	}
	defer l.close()
	var sink proto.GetSinkInfoReply
	if err := l.c.Request(&proto.GetSinkInfo{SinkIndex: proto.Undefined, SinkName: p.name()}, &sink); err != nil {
		return fmt.Errorf("pulse: %s: sink %q: %w", l.where, p.name(), err)
	}
	if sink.SinkName == pulseDummy {
		return fmt.Errorf("pulse: %s has no loudspeaker but its dummy", l.where)
	}
	p.found.Store(sink.SinkName + " of " + l.where + loudness(sink))
	return nil
}

// loudness tells where a sink is silent by itself, which nobody would look for.
func loudness(sink proto.GetSinkInfoReply) string {
	if sink.Mute {
		return ", muted there"
	}
	for _, v := range sink.ChannelVolumes {
		if v > 0 {
			return ""
		}
	}
	return ", turned down to nothing there"
}

func (p *Pulse) name() string {
	if p.sink == "" {
		return "@DEFAULT_SINK@"
	}
	return p.sink
}

// Write hands samples to the server, which is connected to with the first of a
// play. It blocks while 100 ms are waiting to be heard. A server that stands
// still for 100 ms loses what it has, which counts as an xrun, and for 900 ms is
// an error, as is one that is gone.
func (p *Pulse) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.source.rate == 0 {
		return 0, errors.New("pulse: not open")
	}
	if p.play == nil {
		play, err := startPulse(p.source, p.name(), &p.xruns)
		if err != nil {
			return 0, fmt.Errorf("pulse: %w", err)
		}
		p.play = play
	}
	if err := p.play.write(b); err != nil {
		p.stop()
		return 0, fmt.Errorf("pulse: %w", err)
	}
	return len(b), nil
}

func (p *Pulse) stop() {
	if p.play != nil {
		p.play.link.close() // the server ends what it plays for us
		p.play = nil
	}
}

// Delay is how long it takes until the server has rendered what was written; what
// it has rendered and not played yet is counted to the tail.
func (p *Pulse) Delay() (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.play == nil {
		return 0, nil
	}
	queue, _, err := p.play.delay()
	if err != nil {
		return 0, fmt.Errorf("pulse: %w", err)
	}
	return queue, nil
}

// Drain blocks until the last sample was heard. Where ctx ends first the rest is
// dropped.
func (p *Pulse) Drain(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.play == nil {
		return nil
	}
	defer p.stop()
	if err := p.play.drain(ctx); err != nil {
		return fmt.Errorf("pulse: %w", err)
	}
	return nil
}

// Drop silences the loudspeaker, but for what the server has rendered already.
func (p *Pulse) Drop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop()
	return nil
}

// Close does what Drop does, and forgets what Open said.
func (p *Pulse) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop()
	p.source.rate = 0
	return nil
}

// Tail is how long sound can go on after a Drop or our death: what a server
// renders ahead.
func (p *Pulse) Tail() time.Duration { return pulseTail }

// Xruns counts the gaps in all plays so far: the server had nothing to play, or
// stood still.
func (p *Pulse) Xruns() uint64 { return p.xruns.Load() }

// Where names the sink and the server.
func (p *Pulse) Where() string {
	text, _ := p.found.Load().(string)
	return text
}

// pulsePlay is one play.
type pulsePlay struct {
	link   *pulseLink
	source layout
	stream uint32
	sent   int64 // bytes
	xruns  *atomic.Uint64
}

func startPulse(from layout, sink string, xruns *atomic.Uint64) (*pulsePlay, error) {
	l, err := dialPulse()
	if err != nil {
		return nil, err
	}
	bytes := func(d time.Duration) uint32 { return uint32(frames(d, from.rate) * from.frame()) }
	channels := proto.ChannelMap{proto.ChannelMono}
	if from.channels == 2 {
		channels = proto.ChannelMap{proto.ChannelLeft, proto.ChannelRight}
	}
	volumes := make(proto.ChannelVolumes, len(channels))
	for i := range volumes {
		volumes[i] = 0x10000 // as it comes
	}
	var made proto.CreatePlaybackStreamReply
	err = l.c.Request(&proto.CreatePlaybackStream{
		SampleSpec: proto.SampleSpec{Format: proto.FormatInt16LE, Channels: byte(from.channels), Rate: uint32(from.rate)},
		ChannelMap: channels, ChannelVolumes: volumes, SinkIndex: proto.Undefined, SinkName: sink,
		BufferMaxLength: 2 * bytes(pulseTarget), BufferTargetLength: bytes(pulseTarget),
		BufferPrebufferLength: bytes(pulsePrebuf), BufferMinimumRequest: bytes(pulseMinimum),
		AdjustLatency: true,
		// Not what somebody has once set for sounds of this kind: the hub says how loud.
		VolumeSet: true, MutedSet: true,
		// Servers of desktops are set up to silence music under a call.
		Properties: proto.PropList{"media.name": proto.PropListString("announcement"), "media.role": proto.PropListString("phone")},
	}, &made)
	if err != nil {
		l.close()
		return nil, fmt.Errorf("%s: stream to %q: %w", l.where, sink, err)
	}
	l.credit.Add(int64(made.Missing))
	return &pulsePlay{link: l, source: from, stream: made.StreamIndex, xruns: xruns}, nil
}

// write sends bytes as the server asks for them.
func (p *pulsePlay) write(b []byte) error {
	moved := time.Now()
	quiet := moved // since when the server asks for nothing, or was made to forget
	for len(b) > 0 {
		if err := p.link.err(); err != nil {
			return err
		}
		p.xruns.Add(p.link.gaps(p.sent))
		if n := int(min(p.link.credit.Load(), int64(len(b)))) / p.source.frame() * p.source.frame(); n > 0 {
			if err := p.link.c.Send(p.stream, b[:n]); err != nil {
				return err
			}
			p.link.credit.Add(-int64(n))
			p.sent += int64(n)
			b, moved = b[n:], time.Now()
			quiet = moved
			continue
		}
		p.link.wait(nap)
		switch now := time.Now(); {
		case now.Sub(moved) > stuck:
			return fmt.Errorf("%s takes nothing in %v", p.link.where, stuck)
		case now.Sub(quiet) > stall:
			quiet = now
			p.xruns.Add(1)
			if err := p.link.c.Request(&proto.FlushPlaybackStream{StreamIndex: p.stream}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// delay is what the server has not rendered yet, and what it has rendered ahead.
func (p *pulsePlay) delay() (queue, ahead time.Duration, err error) {
	if err := p.link.err(); err != nil {
		return 0, 0, err
	}
	var r proto.GetPlaybackLatencyReply
	if err := p.link.c.Request(&proto.GetPlaybackLatency{StreamIndex: p.stream}, &r); err != nil {
		return 0, 0, err
	}
	n := max(r.WriteIndex-r.ReadIndex, 0) / int64(p.source.frame())
	return time.Duration(n) * time.Second / time.Duration(p.source.rate), time.Duration(r.Latency) * time.Microsecond, nil
}

// drain waits until everything was heard: until the server has rendered it, and
// then for what it had ahead by that time. It is not asked to say when it is done,
// because it says so when it has rendered.
func (p *pulsePlay) drain(ctx context.Context) error {
	if err := p.link.c.Request(&proto.TriggerPlaybackStream{StreamIndex: p.stream}, nil); err != nil {
		return err // a sound that is too short to begin by itself begins now
	}
	for last, moved := int64(-1), time.Now(); ; {
		queue, ahead, err := p.delay()
		if err != nil {
			return err
		}
		p.xruns.Add(p.link.gaps(p.sent)) // what it has said before it answered
		if int64(queue) != last {
			last, moved = int64(queue), time.Now()
		} else if time.Since(moved) > stuck {
			return fmt.Errorf("%s has rendered nothing in %v", p.link.where, stuck)
		}
		left := min(queue, nap)
		if queue == 0 {
			left = ahead
		}
		if err := pause(ctx, left); err != nil || queue == 0 {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// program is what the server calls us.
func program() string { return fmt.Sprintf("tacet-device %d", os.Getpid()) }
