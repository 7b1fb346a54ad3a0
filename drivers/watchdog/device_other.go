//go:build !linux

package watchdog

import "errors"

func (d *Device) settle() error { return errors.New("only Linux has one") }
