package deviced

import (
	"context"
	"log/slog"
)

// signed adds to each line of a device's log which device it is: as its device, or,
// where a line is about another device, as that of whoever leads, as the node that
// says it.
type signed struct {
	slog.Handler
	device string
}

// Handle is slog.Handler.
func (s signed) Handle(ctx context.Context, r slog.Record) error {
	var mine, other, node bool
	r.Attrs(func(a slog.Attr) bool {
		mine = mine || a.Key == "device" && a.Value.String() == s.device
		other = other || a.Key == "device" && a.Value.String() != s.device
		node = node || a.Key == "node"
		return true
	})
	switch {
	case mine, other && node:
	case other:
		r = r.Clone()
		r.AddAttrs(slog.String("node", s.device))
	default:
		r = r.Clone()
		r.AddAttrs(slog.String("device", s.device))
	}
	return s.Handler.Handle(ctx, r)
}

// WithAttrs is slog.Handler.
func (s signed) WithAttrs(list []slog.Attr) slog.Handler {
	return signed{s.Handler.WithAttrs(list), s.device}
}

// WithGroup is slog.Handler.
func (s signed) WithGroup(name string) slog.Handler {
	return signed{s.Handler.WithGroup(name), s.device}
}
