package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// The exit codes.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitUnreachable = 3
	ExitRefused     = 4
)

// Error is why a command failed. Its text is "code: detail".
type Error struct {
	Exit   int
	Code   string
	Detail string
}

// Error is "code: detail".
func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// Usagef is an error of how the command was called.
func Usagef(format string, args ...any) error {
	return &Error{Exit: ExitUsage, Code: "usage", Detail: fmt.Sprintf(format, args...)}
}

// exitOf is the exit code of an error.
func exitOf(err error) int {
	if err == nil {
		return ExitOK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Exit
	}
	if _, ok := errors.AsType[settings.Faults](err); ok {
		return ExitUsage
	}
	return ExitFailed
}

// report writes an error: "tacet: CODE: detail", a line for each fault of a
// configuration.
func report(w io.Writer, name string, err error) {
	if faults, ok := errors.AsType[settings.Faults](err); ok {
		for _, f := range faults {
			fmt.Fprintf(w, "%s: config: %s\n", name, printable(f.String()))
		}
		return
	}
	text := err.Error()
	if _, ok := errors.AsType[*Error](err); !ok {
		text = "failed: " + text
	}
	fmt.Fprintf(w, "%s: %s\n", name, printable(text))
}

// printable takes out what could steer a terminal: names and texts come from
// anybody.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
