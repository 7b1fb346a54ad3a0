//go:build !linux

package audio

import (
	"context"
	"errors"
	"time"
)

var errLinux = errors.New("sound: only on Linux")

// Aplay cannot be had here.
type Aplay struct{}

// NewAplay makes a player that cannot be opened: without Pdeathsig and a small
// pipe sound could outlive its right by seconds.
func NewAplay(string) *Aplay { return &Aplay{} }

// Open answers an error.
func (*Aplay) Open(int, int) error { return errLinux }

// Write answers an error.
func (*Aplay) Write([]byte) (int, error) { return 0, errLinux }

// Delay answers an error.
func (*Aplay) Delay() (time.Duration, error) { return 0, errLinux }

// Drain answers an error.
func (*Aplay) Drain(context.Context) error { return errLinux }

// Drop answers an error.
func (*Aplay) Drop() error { return errLinux }

// Close does nothing.
func (*Aplay) Close() error { return nil }

// Tail is 0.
func (*Aplay) Tail() time.Duration { return 0 }

// Xruns is 0.
func (*Aplay) Xruns() uint64 { return 0 }

// Where is empty.
func (*Aplay) Where() string { return "" }
