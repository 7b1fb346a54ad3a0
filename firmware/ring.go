package firmware

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
)

const (
	ringLines = 500
	ringBytes = 64 << 10
	ringLine  = 1 << 10 // a longer line is cut
)

// Ring keeps the last lines of a log: 500 of them, 64 KiB, a line 1 KiB. When it
// is full the oldest are forgotten, and counted ([Ring.Dropped]). It is safe for
// concurrent use.
type Ring struct {
	mu        sync.Mutex
	lines     []string
	bytes     int
	dropped   uint64
	lastError string
	secrets   []string
	file      *os.File // where a later start finds them; nil: nowhere
	filled    int64    // bytes in file
	failed    bool     // writing to file
}

// NewRing makes an empty ring.
func NewRing() *Ring { return &Ring{} }

// Keep has the lines also written to a file, which is emptied first, so that the
// next start can read them whatever becomes of this process. It belongs on a file
// system in memory: every line is written at once. The file has 128 KiB at most.
func (r *Ring) Keep(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.file = f
	for _, l := range r.lines {
		r.keep(l)
	}
	return nil
}

// Hide has a text replaced by *** in every later line, as it is and as it is
// quoted; what is empty is not hidden.
func (r *Ring) Hide(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if quoted := strings.Trim(strconv.Quote(secret), `"`); secret != "" {
		r.secrets = append(r.secrets, secret, quoted)
	}
}

// Handler is h, and the ring beside it for everything from info on.
func (r *Ring) Handler(h slog.Handler) slog.Handler {
	return slog.NewMultiHandler(h, slog.NewTextHandler(r, nil))
}

// Write takes one line, as slog's handlers write them. It never fails.
func (r *Ring) Write(p []byte) (int, error) {
	line := strings.TrimSuffix(string(p), "\n")
	r.mu.Lock()
	defer r.mu.Unlock()
	line = r.hidden(line)
	line = strings.ToValidUTF8(line[:min(len(line), ringLine)], "")
	if _, what, is := strings.Cut(line, " level=ERROR "); is {
		r.lastError = what
	}
	r.lines = append(r.lines, line)
	r.bytes += len(line)
	for len(r.lines) > ringLines || r.bytes > ringBytes {
		r.bytes -= len(r.lines[0])
		r.lines = r.lines[1:]
		r.dropped++
	}
	r.keep(line)
	return len(p), nil
}

func (r *Ring) hidden(line string) string {
	for _, s := range r.secrets {
		line = strings.ReplaceAll(line, s, "***")
	}
	return line
}

// clean is lines of another source, such as a crash, as they may be shown.
func (r *Ring) clean(lines []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = r.hidden(l)
	}
	return out
}

// keep appends a line to the file, and begins it anew when it has twice what is
// read of it. A disk that takes no line is not asked again.
func (r *Ring) keep(line string) {
	if r.file == nil || r.failed {
		return
	}
	if r.filled > 2*ringBytes-ringLine {
		line = strings.Join(r.lines, "\n")
		r.filled = 0
		r.failed = r.file.Truncate(0) != nil
	}
	n, err := r.file.WriteAt([]byte(line+"\n"), r.filled)
	r.filled += int64(n)
	r.failed = r.failed || err != nil
}

// Last answers the last n lines, oldest first, and how many were forgotten
// before them since the start.
func (r *Ring) Last(n int) (lines []string, dropped uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := max(0, len(r.lines)-max(n, 0))
	return append(lines, r.lines[from:]...), r.dropped + uint64(from)
}

// LastError is the newest line of level error, without time and level; empty:
// there was none.
func (r *Ring) LastError() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lastError
}

// Close gives the file back.
func (r *Ring) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	return f.Close()
}

// head is the first n bytes of a file, up to the end of a line; nil where there is
// none.
func head(path string, n int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, n))
	if err != nil {
		return nil
	}
	if end := bytes.LastIndexByte(b, '\n'); int64(len(b)) == n && end >= 0 {
		b = b[:end+1]
	}
	return b
}

// tail is the last n bytes of a file, from the beginning of a line; nil where
// there is none.
func tail(path string, n int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil
	}
	from := max(0, info.Size()-n)
	b, err := io.ReadAll(io.NewSectionReader(f, from, n))
	if err != nil {
		return nil
	}
	if from > 0 {
		_, b, _ = bytes.Cut(b, []byte("\n"))
	}
	return b
}
