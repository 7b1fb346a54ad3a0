package office

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// FuzzRead reads what is no frame without harm, and what is one as it was written.
func FuzzRead(f *testing.F) {
	t := area.Trunk{Op: area.TrunkStored, Area: "north", Life: "l", Work: "w-1"}
	for _, one := range []frame{
		{Op: opOpen, Release: "v1", Setup: &Setup{Device: "gate-1", Dir: "/d"}}, {Op: opAsk, N: 3, Told: &Told{Owes: true}}, {Op: opTrunk, Trunk: t.Encode()},
		{Op: opLead, N: 1, Peers: roster.Encode(), Term: 16}, frameOf(1, ErrGone), {Op: "what"}, {Op: opTrunk},
	} {
		f.Add(one.encode())
	}
	f.Add([]byte("{\"op\":\"lead\",\"peers\":null,\"at\":\"x\"}\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = read(bytes.NewReader(b), func(i item) bool {
			again := i.frame.encode()
			if len(again) > MostFrame {
				return true // it was longer than what is written
			}
			n := 0
			if err := read(bytes.NewReader(again), func(j item) bool {
				n++
				if !bytes.Equal(j.frame.encode(), again) {
					t.Errorf("%s, read again %s", again, j.frame.encode())
				}
				return true
			}); err != nil || n != 1 {
				t.Errorf("%s: read again: %d frames, %v", again, n, err)
			}
			return true
		})
	})
}

// A frame that is longer than a frame can be ends the reading, and so does one of an
// op that nobody knows.
func TestFramesThatAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"too long": `{"op":"ask","err":"` + strings.Repeat("x", MostFrame) + `"}`, "unknown": `{"op":"dance"}`, "no JSON": "hello", "no roster": `{"op":"lead"}`,
	} {
		if err := read(strings.NewReader(text+"\n"), func(i item) bool { t.Errorf("%s: taken %+v", name, i); return true }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The queue is bounded, and keeps room for what the ends say of themselves.
func TestTheQueueIsBounded(t *testing.T) {
	q := newQueue()
	n := 0
	for q.put(frame{Op: opTrunk, Trunk: json.RawMessage(`{}`)}) {
		n++
	}
	if n != MostFrames-spare {
		t.Errorf("%d words of the trunk", n)
	}
	for range spare {
		if !q.put(frame{Op: opAsk}) {
			t.Fatal("no room for a question")
		}
	}
	if q.put(frame{Op: opAsk}) {
		t.Error("more than it has room for")
	}
	q = newQueue()
	big := frame{Op: opTrunk, Trunk: json.RawMessage(`"` + strings.Repeat("x", 256<<10) + `"`)}
	for n = 0; q.put(big); n++ {
	}
	if want := MostBytes / len(big.encode()); n != want {
		t.Errorf("%d large ones, want %d", n, want)
	}
	q.close()
	if !q.put(big) {
		t.Error("what is said to who is gone is missed")
	}
}

// still is a host that does nothing.
type still struct{}

func (still) Run(ctx context.Context) error                  { <-ctx.Done(); return nil }
func (still) Lead(ctx context.Context, _ leader.Reign) error { <-ctx.Done(); return nil }
func (still) Close() error                                   { return nil }
func (still) Told() Told                                     { return Told{} }

// The program leads while it is given leave, which counts from when it asked, and at
// most that long.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		clock := func() area.Instant { return area.Instant(time.Since(start)) }
		toProgram, device := io.Pipe()
		fromProgram, program := io.Pipe()
		dir := t.TempDir()
		over := make(chan error, 1)
		go func() {
			over <- Serve(toProgram, program, "v1", func(s Setup, l Link) (Host, error) { return still{}, nil }, clock)
		}()
		say := func(f frame) { _, _ = device.Write(f.encode()) }
		asks := make(chan uint64, 100)
		go func() {
			_ = read(fromProgram, func(i item) bool {
				switch i.Op {
				case opOpen:
					say(frame{Op: opLead, N: 1, Peers: roster.Encode(), Term: 20})
				case opAsk:
					asks <- i.N
				}
				return true
			})
		}()
		say(frame{Op: opOpen, Release: "v1", Setup: &Setup{Device: "gate-1", Dir: dir}})
		var n uint64
		for range 20 { // leave for 10 s, each a second late
			for range 2 {
				n = <-asks
			}
			time.Sleep(Ask / 2)
			say(frame{Op: opLeave, N: n - 1})
			if n > 3 {
				say(frame{Op: opLeave, N: n - 3}) // an older answer takes nothing back
			}
		}
		asked := time.Now().Add(-Ask/2 - Ask).Truncate(Ask) // the question n-1
		if err := <-over; err != ErrNoLeave {
			t.Fatalf("it ends with %v", err)
		}
		if late := time.Since(asked) - Leave; late < 0 || late > leaveLook+Ask {
			t.Errorf("its leave was over for %v", late)
		}
		device.Close()
		fromProgram.Close()
	})
}
