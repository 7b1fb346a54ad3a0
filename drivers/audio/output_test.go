package audio

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeWay is a way whose faults are told to it.
type fakeWay struct {
	open, write, drain error
	tail               time.Duration
	opened             []time.Duration // when it was tried
	began              time.Time
	written, dropped   int
	closed             bool
}

func (f *fakeWay) Open(int, int) error {
	f.opened = append(f.opened, time.Since(f.began))
	return f.open
}

func (f *fakeWay) Write(b []byte) (int, error) {
	if f.write != nil {
		return 0, f.write
	}
	f.written += len(b)
	return len(b), nil
}

func (f *fakeWay) Delay() (time.Duration, error) { return time.Millisecond, f.write }
func (f *fakeWay) Drain(context.Context) error   { return f.drain }
func (f *fakeWay) Drop() error                   { f.dropped++; return nil }
func (f *fakeWay) Close() error                  { f.closed = true; return nil }
func (f *fakeWay) Tail() time.Duration           { return f.tail }
func (f *fakeWay) Xruns() uint64                 { return 2 }
func (f *fakeWay) Where() string                 { return "somewhere" }

var errFake = errors.New("unplugged")

// output makes one of two ways, opened; used lists the ways that were told.
func output(t *testing.T) (o *Output, first, second *fakeWay, used *[]string) {
	t.Helper()
	first, second = &fakeWay{tail: time.Second, began: time.Now()}, &fakeWay{tail: time.Millisecond, began: time.Now()}
	used = new([]string)
	o = NewOutput(func(s State) { *used = append(*used, s.Using) }, Way{"first", first}, Way{"second", second})
	return o, first, second, used
}

func TestOutputFallsAndTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, first, second, used := output(t)
		first.open = errFake
		if _, err := o.Write([]byte{1}); err == nil {
			t.Error("Write before Open: no error")
		}
		if err := errors.Join(o.Open(22050, 1), o.Open(22050, 1)); err != nil {
			t.Fatal(err)
		}
		if s := o.State().String(); s != "second: somewhere (not first: unplugged)" {
			t.Errorf("state %q", s)
		}
		if n, err := o.Write([]byte{1, 2}); n != 2 || err != nil || second.written != 2 {
			t.Errorf("Write: %d, %v", n, err)
		}
		if d, err := o.Delay(); d == 0 || err != nil {
			t.Errorf("Delay: %v, %v", d, err)
		}
		// In the middle of a play nothing is begun elsewhere.
		first.open, second.write = nil, errFake
		if _, err := o.Write([]byte{3}); !errors.Is(err, errFake) || first.written != 0 || second.dropped != 1 {
			t.Errorf("the way that plays fails: %v", err)
		}
		if err := o.Drop(); err != nil {
			t.Error(err)
		}
		// The next one goes where it can.
		if _, err := o.Write([]byte{4}); err != nil || first.written != 1 {
			t.Errorf("the next play: %v", err)
		}
		if err := o.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if !slices.Equal(*used, []string{"second", "", "first"}) {
			t.Errorf("told of %q", *used)
		}
		if s := o.State(); s.Failed != 1 || s.Xruns != 4 || o.Tail() != time.Second {
			t.Errorf("%+v, tail %v", s, o.Tail())
		}
		if o.Close() != nil || !first.closed || !second.closed {
			t.Error("not all are closed")
		}
	})
}

// Where nothing works each play tries each way once, and says why.
func TestOutputWithoutAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, first, second, used := output(t)
		first.open, second.open = errFake, errors.New("busy")
		if err := o.Open(22050, 1); err != nil {
			t.Fatalf("Open: %v", err)
		}
		for range 3 {
			_, err := o.Write([]byte{1})
			if !errors.Is(err, errFake) || !strings.Contains(err.Error(), "busy") {
				t.Errorf("Write: %v", err)
			}
		}
		if len(first.opened) != 4 || len(second.opened) != 4 {
			t.Errorf("tried %d and %d times for 3 plays", len(first.opened), len(second.opened))
		}
		if !slices.Equal(*used, []string{""}) {
			t.Errorf("told of %q: once, that nothing works", *used)
		}
		if s := o.State().String(); s != "no audio (not first: unplugged; not second: busy)" {
			t.Errorf("state %q", s)
		}
	})
}

// A way that does not work is tried ever more seldom; one that works again is
// used again.
func TestOutputTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, first, second, used := output(t)
		first.open = errFake
		if err := o.Open(22050, 1); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- o.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		want := []time.Duration{0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363, 423, 483, 543}
		for i := range want {
			want[i] *= time.Second
		}
		if !slices.Equal(first.opened, want) || len(second.opened) != 1 {
			t.Errorf("tried at %v, want %v; the other %d times", first.opened, want, len(second.opened))
		}
		// Not while it plays.
		if _, err := o.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		first.open = nil
		before := len(first.opened)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(first.opened) != before || o.State().Using != "second" {
			t.Errorf("tried %d times during a play", len(first.opened)-before)
		}
		if err := o.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if o.State().Using != "first" || !slices.Equal(*used, []string{"second", "first"}) {
			t.Errorf("used %q", *used)
		}
		before = len(first.opened)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(first.opened) != before {
			t.Error("what works is tried again")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestOutputDrainFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, first, _, _ := output(t)
		if err := o.Open(22050, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		first.drain = errFake
		if err := o.Drain(t.Context()); !errors.Is(err, errFake) {
			t.Errorf("Drain: %v", err)
		}
		if s := o.State(); s.Failed != 1 || s.Using != "" {
			t.Errorf("%+v", s)
		}
		if err := o.Open(0, 1); err == nil {
			t.Error("0 Hz: no error")
		}
	})
}
