package gpio

import (
	"errors"
	"testing"

	"periph.io/x/conn/v3/gpio"
)

func outputOf(b *bench, name string, brightness int) *Output {
	return newOutput(name, brightness, func() (gpio.PinOut, error) { return b.Out(name) })
}

// What a line has been told is known here; it is never asked, which would make an
// input of it, and it is low before it is anything else.
func TestOutputIsNeverRead(t *testing.T) {
	b := newBench("GPIO22")
	o := outputOf(b, "GPIO22", 0)
	for _, on := range []bool{true, true, false, false, true} {
		if err := o.Set(on); err != nil || o.On() != on {
			t.Errorf("set to %v: it is %v, %v", on, o.On(), err)
		}
	}
	for range 2 {
		if err := o.Close(); err != nil || o.On() {
			t.Errorf("Close: %v, it is %v", err, o.On())
		}
	}
	if err := o.Set(true); err != nil || o.On() {
		t.Errorf("after Close: %v, it is %v", err, o.On())
	}
	equal(t, "the line", b.noted(), []string{"GPIO22 Low", "GPIO22 High", "GPIO22 Low", "GPIO22 High", "GPIO22 Low", "GPIO22 given back"})
}

// A line that could not be had, or not be driven, is given back and asked for
// anew: what the library thinks of it after an error is not to be relied upon.
func TestOutputIsTriedAgain(t *testing.T) {
	b := newBench("GPIO22")
	b.fail("GPIO22", &BusyError{Pin: "GPIO22", Consumer: "relayd"})
	o := outputOf(b, "GPIO22", 0)
	err := o.Set(true)
	if busy, ok := errors.AsType[*BusyError](err); !ok || busy.Consumer != "relayd" || o.On() || o.Err() == nil {
		t.Errorf("somebody has it: %v, it is %v, Err %v", err, o.On(), o.Err())
	}
	b.fail("GPIO22", nil)
	if err := o.Set(true); err != nil || !o.On() || o.Err() != nil {
		t.Errorf("he has gone: %v, it is %v, Err %v", err, o.On(), o.Err())
	}
	b.fail("GPIO22 out", errors.New("no such device"))
	if err := o.Set(false); err == nil || o.On() || o.Err() == nil {
		t.Errorf("the chip is gone: %v, it is %v, Err %v", err, o.On(), o.Err())
	}
	if o.Set(true) == nil {
		t.Error("it was switched without a chip")
	}
	b.fail("GPIO22 out", nil)
	if err := o.Set(true); err != nil || !o.On() {
		t.Errorf("the chip is back: %v", err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	equal(t, "the line", b.noted(), []string{"GPIO22 Low", "GPIO22 High", "GPIO22 given back", "GPIO22 given back",
		"GPIO22 Low", "GPIO22 High", "GPIO22 Low", "GPIO22 given back"})
}

func TestDimmedOutput(t *testing.T) {
	b := newBench("GPIO27", "GPIO17")
	o, full := outputOf(b, "GPIO27", 25), outputOf(b, "GPIO17", 100)
	for _, on := range []bool{true, false} {
		if err := errors.Join(o.Set(on), full.Set(on)); err != nil {
			t.Error(err)
		}
	}
	equal(t, "the lines", b.noted(), []string{"GPIO27 Low", "GPIO17 Low", "GPIO27 25% 1kHz", "GPIO17 High", "GPIO27 Low", "GPIO17 Low"})
}

// Quiet leaves to another process what is his.
func TestQuiet(t *testing.T) {
	b := newBench("GPIO22", "GPIO17")
	b.fail("GPIO17", &BusyError{Pin: "GPIO17"})
	if err := Quiet(Config{AmpEnable: "GPIO22", BusyLamp: "GPIO17"}, b); err != nil {
		t.Error(err)
	}
	equal(t, "the lines", b.noted(), []string{"GPIO22 Low", "GPIO22 Low", "GPIO22 given back"})
	if err := Quiet(Config{StatusLED: "GPIO5"}, b); err == nil || err.Error() != "status_led: there is no such pin" {
		t.Errorf("a pin that is not there: %v", err)
	}
}
