package office

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
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

// record reads a line of slog's JSON; its keys come in their order by name.
func record(line []byte) (slog.Record, bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(line, &fields) != nil {
		return slog.Record{}, false
	}
	text := func(key string) (s string) {
		_ = json.Unmarshal(fields[key], &s) // else it is empty
		return s
	}
	r := slog.Record{Time: time.Now(), Message: text(slog.MessageKey)}
	if at, err := time.Parse(time.RFC3339Nano, text(slog.TimeKey)); err == nil {
		r.Time = at
	}
	_ = r.Level.UnmarshalText([]byte(text(slog.LevelKey))) // else it is info
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if key != slog.TimeKey && key != slog.LevelKey && key != slog.MessageKey {
			r.AddAttrs(slog.Attr{Key: key, Value: valueOf(fields[key])})
		}
	}
	return r, r.Message != ""
}

// valueOf is a value of JSON; what is neither a text nor a whole number is as it is
// written.
func valueOf(b json.RawMessage) slog.Value {
	var text string
	if json.Unmarshal(b, &text) == nil {
		return slog.StringValue(text)
	}
	if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		return slog.Int64Value(n)
	}
	return slog.StringValue(string(b))
}
