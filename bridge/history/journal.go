package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// A journal has the points of the window that is being gathered, so that they
// outlive the process: a mark, then records of a length, a checksum and entries.
// An entry is 0 and a key, which gives the key the next number from 1 on; or the
// number of a key, the time since the entry before, how many points there were,
// and their mean. A later entry of the same time takes the place of an earlier
// one. It is written once a second and never waited for: a process that is
// killed loses a second of it, a machine that loses its power what the kernel
// has not written yet.

const (
	journalMark = "TACJ1\n\x00\x00"
	journalEnd  = ".journal"
	fullRecord  = 1 << 20 // bytes; then another begins
	maxRecord   = 2 << 20
)

var errJournal = errors.New("damaged end of the journal")

// journal is one that is being written. Its owner's lock guards it.
type journal struct {
	file    *os.File
	path    string
	size    int64
	pending []byte            // entries since the last record
	numbers map[uint32]uint64 // of series, by their id
	last    int64             // time of the last entry of pending
}

// newJournal makes an empty journal.
func newJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := file.WriteString(journalMark); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &journal{file: file, path: path, size: int64(len(journalMark)), numbers: map[uint32]uint64{}}, nil
}

// journalPath is the file of the journal of a window.
func journalPath(dir string, begun int64) string {
	return filepath.Join(dir, strconv.FormatInt(begun, 10)+journalEnd)
}

// note adds what a series has, and the journal has not, to what is written next.
func (j *journal) note(s *series) {
	n, known := j.numbers[s.id]
	if !known {
		n = uint64(len(j.numbers) + 1)
		j.numbers[s.id] = n
		j.pending = append(j.pending, 0)
		for _, text := range []string{string(s.key.Device), s.key.Metric, s.key.Channel} {
			j.pending = appendText(j.pending, text)
		}
	}
	for _, p := range s.open[s.noted:] {
		j.pending = binary.AppendUvarint(j.pending, n)
		j.pending = binary.AppendVarint(j.pending, p.ts-j.last)
		j.pending = binary.AppendUvarint(j.pending, uint64(p.n))
		j.pending = binary.LittleEndian.AppendUint64(j.pending, math.Float64bits(p.total/p.n))
		j.last = p.ts
	}
	s.noted, s.waits = len(s.open), false
}

// record takes out what waits, as a record; nil: nothing does.
func (j *journal) record() []byte {
	if len(j.pending) == 0 {
		return nil
	}
	b := make([]byte, 0, len(j.pending)+8)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(j.pending)))
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(j.pending))
	b = append(b, j.pending...)
	j.pending, j.last = j.pending[:0], 0
	j.size += int64(len(b))
	return b
}

// replayJournal reads a journal and hands on every point. Its error is
// errJournal where the end is damaged; what was before it was handed on.
func replayJournal(r io.Reader, each func(k Key, p sum)) error {
	mark := make([]byte, len(journalMark))
	if _, err := io.ReadFull(r, mark); err != nil || string(mark) != journalMark {
		return errJournal
	}
	var keys []Key
	for head := make([]byte, 8); ; {
		if _, err := io.ReadFull(r, head); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return errJournal
		}
		n := binary.LittleEndian.Uint32(head)
		if n > maxRecord {
			return errJournal
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil || crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(head[4:]) {
			return errJournal
		}
		var ok bool
		if keys, ok = replayRecord(body, keys, each); !ok {
			return errJournal
		}
	}
}

func replayRecord(body []byte, keys []Key, each func(k Key, p sum)) ([]Key, bool) {
	c, last := cursor{b: body}, int64(0)
	for len(c.b) > 0 && !c.bad {
		n := c.uvarint()
		if n == 0 {
			keys = append(keys, Key{Device: area.DeviceID(c.text(maxKeyText)), Metric: c.text(maxKeyText), Channel: c.text(maxKeyText)})
			continue
		}
		last += c.varint()
		count := float64(c.uvarint())
		if c.bad || count == 0 || n > uint64(len(keys)) || len(c.b) < 8 {
			return keys, false
		}
		value := math.Float64frombits(binary.LittleEndian.Uint64(c.b))
		c.b = c.b[8:]
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return keys, false
		}
		each(keys[n-1], sum{ts: last, total: value * count, n: count})
	}
	return keys, !c.bad
}

// parseJournalName is when a journal was begun.
func parseJournalName(name string) (begun int64, ok bool) {
	text, ok := strings.CutSuffix(name, journalEnd)
	begun, err := strconv.ParseInt(text, 10, 64)
	return begun, ok && err == nil
}

// write appends a record to the file.
func (j *journal) write(record []byte) error {
	if _, err := j.file.Write(record); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}
