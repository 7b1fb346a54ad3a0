//go:build !linux

package gpio

import "periph.io/x/conn/v3/gpio"

// Host is the lines of this machine; on this system there are none.
type Host struct{}

// NewHost fails with [ErrNoChip].
func NewHost(string) (*Host, error) { return nil, ErrNoChip }

func chipsRefused() bool { return false }

// OpenChip fails with [ErrNoChip].
func OpenChip(string) (Chip, error) { return Chip{}, ErrNoChip }

// Chips is empty.
func (*Host) Chips() []Chip { return nil }

// Line fails with [ErrNoChip].
func (*Host) Line(string) (Chip, Line, error) { return Chip{}, Line{}, ErrNoChip }

// Out fails with [ErrNoChip].
func (*Host) Out(string) (gpio.PinOut, error) { return nil, ErrNoChip }

// In fails with [ErrNoChip].
func (*Host) In(string, gpio.Pull) (gpio.PinIn, error) { return nil, ErrNoChip }

// PWM fails with [ErrNoChip].
func (*Host) PWM(string) error { return ErrNoChip }

// Keeps is not known.
func (*Host) Keeps() (keeps, known bool) { return false, false }

// Model is not known.
func (*Host) Model() string { return "" }
