package office

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"
)

// relay logs what the program has written: its log lines with their level and keys,
// everything else, such as what the runtime says when it dies, as errors.
func relay(r io.Reader, log *slog.Logger) {
	lines := bufio.NewReaderSize(r, logLine)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			relayLine(line, log)
		}
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a line that is too long
			_, err = lines.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}

func relayLine(line []byte, log *slog.Logger) {
	r, ok := record(line)
	if !ok {
		if text := strings.TrimSpace(string(line)); text != "" {
			log.Error("the leader's program says", "err", text)
		}
		return
	}
	h := log.Handler()
	if ctx := context.Background(); h.Enabled(ctx, r.Level) {
		_ = h.Handle(ctx, r) // a log that cannot be written has nobody to be told
	}
}

// record reads a line of slog's JSON.
func record(line []byte) (slog.Record, bool) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return slog.Record{}, false
	}
	r := slog.Record{Time: time.Now(), Level: slog.LevelInfo}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return r, false
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return r, false
		}
		name, _ := key.(string)
		text, _ := v.(string)
		switch name {
		case slog.TimeKey:
			if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
				r.Time = at
			}
		case slog.LevelKey:
			if r.Level.UnmarshalText([]byte(text)) != nil {
				r.Level = slog.LevelInfo
			}
		case slog.MessageKey:
			r.Message = text
		default:
			r.AddAttrs(slog.Attr{Key: name, Value: slog.AnyValue(v)})
		}
	}
	return r, r.Message != ""
}
