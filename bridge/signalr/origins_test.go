package signalr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// heardHere is a history that tells what was handed over, in its order.
type heardHere struct {
	mu   sync.Mutex
	list []string
}

func (h *heardHere) Wants(string, string) bool { return true }

func (h *heardHere) Keep(_ string, p Past) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, p.Event)
}

func (h *heardHere) Since(string, Position, Position) ([]Past, bool) { return nil, false }

func (h *heardHere) take() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer func() { h.list = nil }()
	return strings.Join(h.list, " ")
}

// quiet is a cluster of one.
type quiet struct{ letters chan Letter }

func (quiet) Self() string                { return "b" }
func (q quiet) Send(string, Letter) error { return nil }
func (quiet) Want(string, bool)           {}
func (quiet) Ask(context.Context, []string, []byte, func(string, []byte, error) bool) {
}

func (q quiet) Publish(_ string, l Letter) error {
	q.letters <- l
	return nil
}

func (quiet) Await(context.Context, string) {}

// paper is a log that does as it is told.
type paper struct {
	mu     sync.Mutex
	at     Position
	list   []Record
	hangs  bool // Append calls nobody, and nothing else answers
	full   bool // Append refuses
	placed []func(Position, error)
}

var errPaper = errors.New("no paper")

func (*paper) Numbers(string) bool { return true }

func (p *paper) Append(_ string, _ []byte, placed func(Position, error)) {
	if p.full {
		placed(Position{}, errPaper)
		return
	}
	p.placed = append(p.placed, placed)
}

func (p *paper) Open(ctx context.Context, groups, _ []string) ([]Position, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hangs {
		return nil, errPaper
	}
	return slices.Repeat([]Position{p.at}, len(groups)), nil
}

func (p *paper) Since(_ context.Context, _ string, from Position) (list []Record, gap bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.list {
		if r.At.Epoch == from.Epoch && r.At.Offset > from.Offset {
			list = append(list, r)
		}
	}
	return list, false, nil
}

func (p *paper) write(at Position, records ...Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.list = at, append(p.list, records...)
}

// bench is a server with one group, "g", whose log and letters are the test's.
type bench struct {
	*Server
	paper *paper
	heard *heardHere
	quiet quiet
}

func newBench(t *testing.T) bench {
	t.Helper()
	d := bench{paper: &paper{at: Position{Epoch: "1"}}, heard: &heardHere{}, quiet: quiet{make(chan Letter, 1000)}}
	var err error
	if d.Server, err = New(Config{Cluster: d.quiet, Log: d.paper, History: d.heard}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	d.rooms.hold("g")
	ctx, end := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	tasks.Go(func() { d.scribe.write(ctx, d.Server) })
	tasks.Go(func() { d.scribe.push(ctx, d.Server) })
	t.Cleanup(func() { end(); tasks.Wait() })
	synctest.Wait()
	return d
}

// theirs is the n-th event of another server, "x", as a record.
func theirs(id, prev uint64) []byte {
	e := newEvent(fmt.Sprint("x", id), nil)
	wire, _ := e.wire()
	return (&arrival{head: recordHead{From: "x", ID: id, Prev: prev}}).record(wire)
}

func numbered(epoch string, offset, id, prev uint64) Record {
	return Record{At: Position{epoch, offset}, Body: theirs(id, prev)}
}

func (d bench) letter(r Record) {
	head, _ := json.Marshal(r.At)
	d.arrivedRecord(Letter{Kind: toNumbered, Target: "g", Body: append(append(head, '\n'), r.Body...)})
	synctest.Wait()
}

func (d bench) loose(id, prev uint64) {
	d.arrivedRecord(Letter{Kind: toLoose, Target: "g", Body: theirs(id, prev)})
	synctest.Wait()
}

func (d bench) tail(from string, id uint64) {
	body, _ := json.Marshal(recordHead{From: from, ID: id, Prev: id})
	d.arrivedRecord(Letter{Kind: toTail, Target: "g", Body: body})
	synctest.Wait()
}

// patient waits for what does not come, and that so many are given up.
func (d bench) patient(t *testing.T, want uint64) {
	t.Helper()
	time.Sleep(holeWait + logHold)
	synctest.Wait()
	if n := d.Stats().Passed; n != want {
		t.Errorf("%d passed, want %d", n, want)
	}
}

func (d bench) hears(t *testing.T, want string) {
	t.Helper()
	if got := d.heard.take(); got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// TestOrderOfAnOrigin: of what another node sends to a group nothing overtakes what it
// sent before, by whichever of the two ways each came, and nothing comes twice.
func TestOrderOfAnOrigin(t *testing.T) {
	for name, test := range map[string]func(*testing.T, bench){
		"a number before what had none": func(t *testing.T, d bench) {
			d.letter(numbered("1", 1, 1, 0))
			d.paper.write(Position{"2", 1}, numbered("2", 1, 3, 2)) // the log is back, its letters not
			d.scribe.need("g")
			synctest.Wait()
			d.hears(t, "x1")
			d.loose(2, 1)
			d.hears(t, "x2 x3")
		},
		"without number before what is read": func(t *testing.T, d bench) {
			d.letter(numbered("1", 1, 1, 0))
			d.paper.hangs = true
			d.loose(4, 3)
			d.hears(t, "x1")
			d.paper.write(Position{"1", 3}, numbered("1", 2, 2, 1), numbered("1", 3, 3, 2))
			d.paper.hangs = false
			d.scribe.need("g")
			synctest.Wait()
			d.hears(t, "x2 x3 x4")
		},
		"a letter of an epoch that is over": func(t *testing.T, d bench) {
			d.letter(numbered("1", 1, 1, 0))
			d.letter(numbered("2", 1, 3, 2))
			d.letter(numbered("1", 2, 2, 1))
			d.hears(t, "x1 x2 x3")
		},
		"both ways": func(t *testing.T, d bench) {
			d.letter(numbered("1", 1, 1, 0))
			d.loose(2, 1)
			d.letter(numbered("1", 2, 2, 1))
			d.letter(numbered("2", 1, 3, 2))
			d.loose(3, 2)
			d.hears(t, "x1 x2 x3")
		},
		"what does not come is waited for no longer than it may": func(t *testing.T, d bench) {
			d.letter(numbered("1", 1, 1, 0))
			d.loose(3, 2)
			time.Sleep(holeWait - logHold)
			synctest.Wait()
			d.hears(t, "x1")
			time.Sleep(2 * logHold)
			synctest.Wait()
			d.hears(t, "x3")
			d.loose(2, 1)
			d.hears(t, "")
			if n := d.Stats().Passed; n != 1 {
				t.Errorf("%d passed", n)
			}
		},
		"nothing comes after what did not": func(t *testing.T, d bench) {
			d.letter(numbered("1", 1, 1, 0))
			d.tail("x", 1)
			d.tail("y", 7) // of which nothing was heard, but the group is as young
			d.patient(t, 0)
			d.tail("x", 3)
			d.patient(t, 1)
			d.loose(3, 2)
			d.hears(t, "x1")
			time.Sleep(logFresh)
			d.tail("z", 7)
			d.patient(t, 2)
		},
		"the log was set back": func(t *testing.T, d bench) {
			d.letter(numbered("1", 1, 1, 0))
			d.letter(numbered("1", 2, 2, 1))
			d.letter(numbered("1", 2, 2, 1)) // twice
			d.letter(numbered("1", 2, 3, 2)) // its place was another's
			d.hears(t, "x1 x2 x3")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, newBench(t)) })
		})
	}
}

// TestOwnMembersDoNotWait: a log that stands still holds our own members up for logHold
// once, and then not at all; their order is that of sending.
func TestOwnMembersDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBench(t)
		d.Group("g").Send("a1")
		d.paper.full = true
		d.Group("g").Send("a2") // refused, and does not overtake
		d.paper.full = false
		d.Group("g").Send("a3")
		d.hears(t, "")
		d.paper.placed[0](Position{"1", 1}, nil)
		d.hears(t, "a1 a2")
		d.scribe.away.Store(false)
		d.paper.mu.Lock()
		d.paper.hangs = true
		d.paper.mu.Unlock()
		time.Sleep(logHold + logHold/10 + time.Millisecond)
		synctest.Wait()
		d.hears(t, "a3")
		for i := range 100 {
			d.Group("g").Send(fmt.Sprint("b", i))
			d.hears(t, fmt.Sprint("b", i))
		}
		d.paper.placed[1](Position{"1", 2}, nil) // it did stand in the log
		d.hears(t, "")
		for range 3 {
			<-d.quiet.letters
		}
		if n := len(d.quiet.letters); n != 100 {
			t.Errorf("%d letters", n)
		}
	})
}

// TestServerWithoutALog: a server that has no log beside others that have one hands on
// what they number, and what they could not number.
func TestServerWithoutALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := bench{heard: &heardHere{}, quiet: quiet{make(chan Letter, 10)}}
		var err error
		if d.Server, err = New(Config{Cluster: d.quiet, History: d.heard}, slog.New(slog.NewTextHandler(t.Output(), nil))); err != nil {
			t.Fatal(err)
		}
		d.rooms.mu.Lock()
		d.rooms.wake("g")
		d.rooms.mu.Unlock()
		d.letter(numbered("1", 1, 1, 0))
		d.loose(2, 1)
		d.tail("x", 2)
		d.letter(numbered("2", 1, 3, 2))
		d.hears(t, "x1 x2 x3")
		if s := d.Stats(); s.Unheard != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestOwnEventOnItsWay: where a group stands was read when the log had taken an event of
// ours, and before it has answered that: the log was not set back.
func TestOwnEventOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBench(t)
		d.Group("h").Send("a1")
		d.paper.write(Position{"1", 1})
		g := d.rooms.hold("h")
		synctest.Wait()
		d.paper.placed[0](Position{"1", 1}, nil)
		synctest.Wait()
		if d.scribe.away.Load() || d.count.loose.Load() != 0 || g.pos != (Position{"1", 1}) {
			t.Errorf("the group is at %+v, the log away: %v; %+v", g.pos, d.scribe.away.Load(), d.Stats())
		}
		d.Group("h").Send("a2") // and now it is
		d.paper.placed[1](Position{"1", 1}, nil)
		synctest.Wait()
		if !d.scribe.away.Load() && d.count.loose.Load() == 0 {
			t.Error("a place that is given out twice is not noticed")
		}
	})
}
