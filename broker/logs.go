package broker

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const warnEvery = 10 * time.Second // one line per kind, with the number of those left out

// limiter lets one line of a kind through in a while.
type limiter struct {
	mu    sync.Mutex
	kinds map[string]*kind // bounded: kinds are fixed texts of the code
}

type kind struct {
	last time.Time
	left int // lines left out since
}

// pass tells whether a line may be written now, and how many of its kind were
// left out before it.
func (m *limiter) pass(text string, now time.Time) (left int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kinds == nil {
		m.kinds = map[string]*kind{}
	}
	k := m.kinds[text]
	if k == nil {
		k = &kind{}
		m.kinds[text] = k
	} else if now.Sub(k.last) < warnEvery {
		k.left++
		return 0, false
	}
	left, k.last, k.left = k.left, now, 0
	return left, true
}

// warn writes one line per kind every ten seconds; n says how many it stands
// for.
func (b *Broker) warn(msg string, attrs ...any) {
	if left, ok := b.lines.pass(msg, time.Now()); ok {
		b.log.Warn(msg, append(attrs, "n", left+1)...)
	}
}

// libraryLog is where the library's lines go. It drops the packets that the
// library attaches to them, payloads and passwords included (row 31), gives the
// other attributes our keys, and thins out repeated warnings.
type libraryLog struct {
	slog.Handler
	lines *limiter
	full  func(client string) // told of what the library says in no other way: a client's queue is full
}

// queueFull is the library's line for a message over MaximumInflight.
const queueFull = "client store quota reached"

// libraryNoise are warnings and notices of the library that tell an operator
// nothing: connections end in every way there is.
var libraryNoise = map[string]bool{
	"error processing packet": true,
	"client keepalive is below minimum recommended value and may exhibit connection instability": true,
}

// Enabled leaves out the library's Info, which only tells of its own start. Its
// warnings are always looked at.
func (h libraryLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level == slog.LevelWarn || level != slog.LevelInfo && h.Handler.Enabled(ctx, level)
}

// Handle passes a line on, cleaned.
func (h libraryLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == queueFull {
		h.full(attr(r, "client"))
	}
	level := r.Level
	if libraryNoise[r.Message] {
		level = slog.LevelDebug
	}
	if !h.Handler.Enabled(ctx, level) {
		return nil
	}
	out := slog.NewRecord(r.Time, level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a, ok := clean(a); ok {
			out.AddAttrs(a)
		}
		return true
	})
	if level >= slog.LevelWarn {
		left, ok := h.lines.pass(r.Message, r.Time)
		if !ok {
			return nil
		}
		out.AddAttrs(slog.Int("n", left+1))
	}
	return h.Handler.Handle(ctx, out)
}

// attr is the text of an attribute.
func attr(r slog.Record, key string) (text string) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			text = a.Value.String()
		}
		return true
	})
	return text
}

// clean gives an attribute our key; one that may hold a packet is dropped.
func clean(a slog.Attr) (slog.Attr, bool) {
	switch a.Key {
	case "error":
		a.Key = "err"
	case "client":
		a.Key = "device"
	case "remote":
		a.Key = "conn"
	default:
		return a, false
	}
	return a, true
}

// WithAttrs drops what the library adds to all its lines.
func (h libraryLog) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup keeps the lines flat.
func (h libraryLog) WithGroup(string) slog.Handler { return h }
