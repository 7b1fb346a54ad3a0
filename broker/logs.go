package broker

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	warnEvery = 10 * time.Second // one line per kind and client, with the number of those left out
	maxNamed  = 32               // clients and sources that have lines of their own in that time, for each kind
)

// limiter lets one line of a kind through in a while for each client, or for
// each source where the client is not known. What it leaves out is told by run
// at the latest. Who comes when a kind has maxNamed of them is told by number
// alone, so that neither memory nor the log grows with strangers.
type limiter struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[string]*kind // bounded: kinds are fixed texts of the code
}

// kind is what was said with one text.
type kind struct {
	named  map[string]*line // by client or source
	others int              // lines left out of those that found no room in named
}

// line is what one client or source was the cause of.
type line struct {
	last  time.Time // when one was written
	left  int       // left out since
	attrs []any     // of the newest left out
}

// pass tells whether a line may be written now, and how many like it were left
// out before it. Attrs are pairs of a key and a value.
func (m *limiter) pass(text string, now time.Time, attrs []any) (left int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kinds == nil {
		m.kinds = map[string]*kind{}
	}
	k := m.kinds[text]
	if k == nil {
		k = &kind{named: map[string]*line{}}
		m.kinds[text] = k
	}
	who := cause(attrs)
	l := k.named[who]
	switch {
	case l == nil && len(k.named) >= maxNamed:
		k.others++
		return 0, false
	case l == nil:
		k.named[who] = &line{last: now}
		return 0, true
	case now.Sub(l.last) < warnEvery:
		l.left, l.attrs = l.left+1, attrs
		return 0, false
	}
	left, l.last, l.left, l.attrs = l.left, now, 0, nil
	return left, true
}

// run tells what was left out, until ctx ends and once more then.
func (m *limiter) run(ctx context.Context) {
	again := time.NewTicker(warnEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			m.flush(time.Now())
			return
		case now := <-again.C:
			m.flush(now)
		}
	}
}

// flush writes a line for what was left out of each client, and one for all
// those that are not named.
func (m *limiter) flush(now time.Time) {
	for _, r := range m.rest(now) {
		m.log.Warn(r.text, append(r.attrs, "n", r.n)...)
	}
}

// remainder is what flush says with one line.
type remainder struct {
	text  string
	attrs []any
	n     int
}

// rest takes what was left out, and forgets who has been quiet.
func (m *limiter) rest(now time.Time) (list []remainder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for text, k := range m.kinds {
		for who, l := range k.named {
			switch {
			case l.left > 0:
				list = append(list, remainder{text, l.attrs, l.left})
				l.last, l.left, l.attrs = now, 0, nil
			case now.Sub(l.last) >= warnEvery:
				delete(k.named, who)
			}
		}
		if k.others > 0 {
			list = append(list, remainder{"warnings about further clients left out", []any{"rule", text}, k.others})
			k.others = 0
		}
	}
	return list
}

// cause is whom a line is about: the client, or else the address without its
// port; empty where it names neither.
func cause(attrs []any) (who string) {
	for i := 0; i+1 < len(attrs); i += 2 {
		switch attrs[i] {
		case "device":
			return "device " + fmt.Sprint(attrs[i+1])
		case "conn":
			who = fmt.Sprint(attrs[i+1])
			if host, _, err := net.SplitHostPort(who); err == nil {
				who = host
			}
		}
	}
	return who
}

// warn writes one line per kind and client every ten seconds; n says how many
// it stands for. A client that has no name yet is left out of it.
func (b *Broker) warn(msg string, attrs ...any) {
	for i := 0; i+1 < len(attrs); i += 2 {
		if attrs[i] == "device" && attrs[i+1] == "" {
			attrs = slices.Delete(attrs, i, i+2)
			break
		}
	}
	if left, ok := b.lines.pass(msg, time.Now(), attrs); ok {
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
	var attrs []any
	r.Attrs(func(a slog.Attr) bool {
		if a, ok := clean(a); ok {
			attrs = append(attrs, a.Key, a.Value)
		}
		return true
	})
	if level >= slog.LevelWarn {
		left, ok := h.lines.pass(r.Message, r.Time, attrs)
		if !ok {
			return nil
		}
		attrs = append(attrs, "n", left+1)
	}
	out.Add(attrs...)
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
