//go:build !linux

package deviced

import (
	"context"
	"errors"
)

// Reboot starts the machine again; this one cannot be.
func Reboot(context.Context) error { return errors.New("only Linux is started again") }
