package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/tacet-hub/tacet/drivers/media"
)

// recording is a WAV file and its list of plays.
type recording struct {
	wav  *os.File
	list *os.File
	open int64 // Unix milliseconds of sample 0
	size int   // samples that the header tells of
}

// mark names a play.
type mark struct {
	work  string // empty: sound without an order
	token uint64
}

type openLine struct {
	Event  string `json:"event"`
	UnixMs int64  `json:"unix_ms"`
}

type playLine struct {
	Event  string  `json:"event"`
	Work   *string `json:"work"`
	Token  uint64  `json:"token"`
	UnixMs int64   `json:"unix_ms"`
	Sample int     `json:"sample"`
}

// maxSamples is what a WAV file can hold: 27 hours. Later sound is not recorded.
const maxSamples = media.MaxData / 2

func newRecording(path string, since time.Time) (*recording, error) {
	if err := keep(path); err != nil {
		return nil, fmt.Errorf("keep the last recording: %w", err)
	}
	wav, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("record sound: %w", err)
	}
	list, err := os.OpenFile(path+".jsonl", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("record plays: %w", err), wav.Close())
	}
	r := &recording{wav: wav, list: list, open: since.UnixMilli()}
	if err := errors.Join(r.cut(0), r.line(openLine{Event: "open", UnixMs: r.open})); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// keep moves a recording that has sound to FILE.1, in place of an older one, and
// its list to FILE.1.jsonl: the run that it is of may have ended by a crash. The
// list goes first, so that whoever stops in between can go on.
func keep(path string) error {
	old, err := os.Lstat(path)
	if err != nil || !old.Mode().IsRegular() || old.Size() <= media.HeaderSize {
		return nil // whoever makes the new one says what is wrong
	}
	if err := os.Rename(path+".jsonl", path+".1.jsonl"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(path, path+".1")
}

// write puts samples at a position; a hole before them reads as silence. The
// header comes last: it never tells of samples that are not there.
func (r *recording) write(b []byte, at int) error {
	end := at + len(b)/2
	if end > maxSamples {
		return nil
	}
	if _, err := r.wav.WriteAt(b, media.HeaderSize+2*int64(at)); err != nil {
		return err
	}
	return r.head(end)
}

// cut makes the file end at a position: forgets what is after it, or is silent
// up to it.
func (r *recording) cut(at int) error {
	at = min(at, maxSamples)
	grow := func() error { return r.wav.Truncate(media.HeaderSize + 2*int64(at)) }
	head := func() error { return r.head(at) }
	first, second := grow, head
	if at < r.size {
		first, second = head, grow
	}
	if err := first(); err != nil {
		return err
	}
	return second()
}

func (r *recording) head(samples int) error {
	_, err := r.wav.WriteAt(media.Header(uint32(2*samples)), 0)
	r.size = samples
	return err
}

// event writes the line of a start or an end. Its time is that of the sample, so
// that both say the same.
func (r *recording) event(name string, m mark, at int) error {
	l := playLine{Event: name, Token: m.token, Sample: at, UnixMs: r.open + media.Length(at).Milliseconds()}
	if m.work != "" {
		l.Work = &m.work
	}
	return r.line(l)
}

func (r *recording) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = r.list.Write(append(b, '\n'))
	return err
}

func (r *recording) close() error { return errors.Join(r.wav.Close(), r.list.Close()) }
