package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	mrand "math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// Histories: what devices saw of an area, and whether one lock with tokens that
// grow could have shown them just that. Nobody looks into the hub: an operation
// has a beginning and an end by the devices' clock, and took effect somewhere
// between.

// move is one operation of a history.
type move struct {
	take  bool // the area was granted; else it was free again
	token area.Token
}

// mutexWithTokens is what an area has to look like: free, or held under a token;
// each token is above all before it.
var mutexWithTokens = porcupine.Model{
	Init: func() any { return lock{} },
	Step: func(state, input, _ any) (bool, any) {
		s, m := state.(lock), input.(move)
		if m.take {
			return !s.held && m.token > s.token, lock{true, m.token}
		}
		return s.held && m.token == s.token, lock{false, s.token}
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

type lock struct {
	held  bool
	token area.Token
}

// history gathers operations of all devices of one area.
type history struct {
	mu    sync.Mutex
	begin time.Time
	ops   []porcupine.Operation
	more  chan struct{}
	stats struct{ plays, crashes, cuts int }
}

func (h *history) now() int64 { return int64(time.Since(h.begin)) }

func (h *history) add(who int, m move, call, back int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: who, Input: m, Call: call, Return: back})
	if m.take {
		h.stats.plays++
	}
	select {
	case h.more <- struct{}{}:
	default:
	}
}

func (h *history) note(what *int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*what++
}

// until waits for so many plays.
func (h *history) until(t *testing.T, plays int) {
	t.Helper()
	end := time.After(2 * patience)
	for {
		h.mu.Lock()
		n := h.stats.plays
		h.mu.Unlock()
		if n >= plays {
			return
		}
		select {
		case <-h.more:
		case <-end:
			t.Fatalf("%d plays of %d", n, plays)
		}
	}
}

// player wants its area again and again, by the turn of a real device, over a
// connection of its own. From time to time it dies while it sounds, says nothing
// any more, and is started again.
type player struct {
	h    *history
	n    int
	id   area.DeviceID
	mid  string
	hub  string
	rng  *mrand.Rand
	boot uint64

	link   *uplink.Client
	turn   *turn.Turn
	in     chan turn.Event
	over   *time.Timer // of the sound
	wished int64
	token  area.Token // of what sounds; 0: nothing
	fence  int64      // from when on nothing of it sounds: a loudspeaker is given no more then, however late we are told
	ended  int64      // when the sound was over, until the hub has said that it knows
	last   area.Token
	doomed bool
}

// life is one start of the player; it answers when it dies, or ctx ends.
func (p *player) life(ctx context.Context) error {
	p.boot++
	link, err := uplink.New(uplink.Config{Hubs: []string{p.hub}, ClientID: string(p.id)}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	p.link, p.in, p.token, p.ended, p.last, p.doomed = link, make(chan turn.Event, 256), 0, 0, 0, false
	p.turn = turn.New(turn.Config{Area: "north", Device: p.id, MID: p.mid, Boot: p.boot, Lease: time.Second, Nonce: rand.Text})
	put := func(ev turn.Event) {
		select {
		case p.in <- ev:
		default: // it is said again
		}
	}
	if _, err := link.Subscribe(area.GrantTopic(p.id), func(m area.Message) {
		if a, err := area.ParseAnswer(m.Payload); err == nil {
			put(turn.Heard{Answer: a})
		}
	}); err != nil {
		return err
	}
	link.Watch(func(up bool, _ uint64, _ string) {
		if up {
			put(turn.Up{})
		} else {
			put(turn.Down{})
		}
	})
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	tasks.Go(func() { _ = link.Run(ctx) })
	p.loop(ctx)
	return nil
}

func (p *player) loop(ctx context.Context) {
	tick := time.NewTimer(time.Hour)
	defer tick.Stop()
	p.over = time.NewTimer(time.Hour)
	defer p.over.Stop()
	for {
		if next := p.turn.Next(); next != area.Never {
			tick.Reset(max(0, time.Duration(int64(next)-p.h.now())))
		}
		select {
		case <-ctx.Done():
			p.die()
			return
		case ev := <-p.in:
			p.step(ctx, ev)
		case <-tick.C:
			p.step(ctx, turn.Tick{})
		case <-p.over.C:
			if p.doomed {
				p.die()
				return
			}
			p.silent(ctx, area.Played)
		}
		if p.turn.Greeted() && p.turn.Phase() == turn.Idle && ctx.Err() == nil {
			p.wished = p.h.now()
			p.step(ctx, turn.Wish{Prio: area.Normal, Dur: 50 * time.Millisecond})
		}
	}
}

// die notes that what sounds is silent now, and that nobody has told the hub: when
// it takes the area as free nobody knows.
func (p *player) die() {
	if p.token != 0 {
		p.h.add(p.n, move{false, p.token}, p.quiet(), math.MaxInt64)
		p.token = 0
	} else if p.ended != 0 { // the hub may have heard of it, or not
		p.h.add(p.n, move{false, p.last}, p.ended, math.MaxInt64)
		p.ended = 0
	}
}

// quiet is when what sounded until now was over.
func (p *player) quiet() int64 { return min(p.h.now(), p.fence) }

func (p *player) silent(ctx context.Context, r area.Result) {
	if p.token == 0 {
		return
	}
	p.ended, p.last, p.token = p.quiet(), p.token, 0
	p.step(ctx, turn.Over{Result: r})
}

func (p *player) step(ctx context.Context, ev turn.Event) {
	actions := slices.Clone(p.turn.Step(ev, area.Instant(p.h.now())))
	if d := p.turn.Deadline(); d != 0 {
		p.fence = int64(d)
	}
	for _, a := range actions {
		switch a := a.(type) {
		case turn.Send:
			_ = p.link.Publish(ctx, area.Message{Topic: area.ClaimTopic("north", p.id), Payload: a.Claim.Encode(), QoS: 1}) // said again
		case turn.Start:
			p.token = a.Token
			p.h.add(p.n, move{true, a.Token}, p.wished, p.h.now())
			p.doomed = p.rng.IntN(12) == 0
			p.over.Reset(time.Duration(5+p.rng.IntN(40)) * time.Millisecond)
			if p.rng.IntN(20) == 0 {
				p.over.Reset(1500 * time.Millisecond) // longer than a lease
			}
			if p.doomed {
				p.h.note(&p.h.stats.crashes)
			}
		case turn.Stop:
			p.h.note(&p.h.stats.cuts)
			p.over.Stop()
			p.doomed = false
			p.silent(ctx, a.Result)
		case turn.Free:
			if p.ended != 0 {
				p.h.add(p.n, move{false, p.last}, p.ended, p.h.now())
				p.ended = 0
			}
		case turn.Deaf:
			p.link.Drop()
		}
	}
}

// TestHistory: what six devices see of an area, while they die in the middle of a
// sound and the hub is killed twice, is what one lock could have shown them.
func TestHistory(t *testing.T) {
	t.Parallel()
	const devices, plays = 6, 60
	site := "areas: [{id: north, lease: 1s}]\n"
	data, way := t.TempDir(), newDoor(t)
	s := startSite(t, data, site)
	way.lead(t, s.ready.MQTT)
	h := &history{begin: time.Now(), more: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var tasks sync.WaitGroup
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for i := range devices {
		p := &player{h: h, n: i, id: area.DeviceID(fmt.Sprint("d-", i)), mid: fmt.Sprint("mid-", i), hub: "mqtt://" + way.addr(), rng: mrand.New(mrand.NewPCG(seed, uint64(i)))}
		tasks.Go(func() {
			for ctx.Err() == nil {
				if err := p.life(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for kill := range 3 {
		h.until(t, plays*(kill+1))
		if kill < 2 {
			s.signal(syscall.SIGKILL)
			s.wait()
			way.lead(t, "")
			s = startSite(t, data, site)
			way.lead(t, s.ready.MQTT)
		}
	}
	stop()
	tasks.Wait()
	t.Logf("%d plays, %d deaths in a sound, %d sounds cut", h.stats.plays, h.stats.crashes, h.stats.cuts)
	if h.stats.crashes == 0 {
		t.Error("no device died")
	}
	if r := porcupine.CheckOperationsTimeout(mutexWithTokens, h.ops, patience); r != porcupine.Ok {
		t.Errorf("no lock shows such a history (%s): %s", r, worst(h.ops))
	}
	h.ops = append(h.ops, h.ops[0])
	if porcupine.CheckOperations(mutexWithTokens, h.ops) {
		t.Error("a history in which a token was granted twice passes")
	}
}

// worst is two operations that cannot both have been: sounds that overlap.
func worst(ops []porcupine.Operation) string {
	if found := overlaps(ops); len(found) > 0 {
		return found[0]
	}
	return "tokens or ends do not fit"
}
