//go:build !linux || !(amd64 || arm64)

package audio

import (
	"context"
	"errors"
	"time"
)

var errALSA = errors.New("alsa: only on Linux with 64 bits")

// ALSA cannot be had here.
type ALSA struct{}

// NewALSA makes a player that cannot be opened.
func NewALSA(string) *ALSA { return &ALSA{} }

// Open answers an error.
func (*ALSA) Open(int, int) error { return errALSA }

// Write answers an error.
func (*ALSA) Write([]byte) (int, error) { return 0, errALSA }

// Delay answers an error.
func (*ALSA) Delay() (time.Duration, error) { return 0, errALSA }

// Drain answers an error.
func (*ALSA) Drain(context.Context) error { return errALSA }

// Drop does nothing.
func (*ALSA) Drop() error { return nil }

// Close does nothing.
func (*ALSA) Close() error { return nil }

// Tail is 0.
func (*ALSA) Tail() time.Duration { return 0 }

// Xruns is 0.
func (*ALSA) Xruns() uint64 { return 0 }

// Where is empty.
func (*ALSA) Where() string { return "" }

// Capture cannot be had here.
type Capture struct{}

// NewCapture answers an error.
func NewCapture(string, int) (*Capture, error) { return nil, errALSA }

// Read answers an error.
func (*Capture) Read([]byte) (int, error) { return 0, errALSA }

// Xruns is 0.
func (*Capture) Xruns() uint64 { return 0 }

// Where is empty.
func (*Capture) Where() string { return "" }

// Close does nothing.
func (*Capture) Close() error { return nil }
