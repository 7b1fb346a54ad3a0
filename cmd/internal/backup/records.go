package backup

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tacet-hub/tacet/broker/store"
)

// spool is the records of one moment, in a file without a name.
type spool struct {
	file  *os.File
	out   *bufio.Writer
	size  int64
	table string
	begun bool
	parts []spooled
	count map[string]int
}

// spooled is where a part lies in the spool.
type spooled struct {
	name     string
	from, to int64
}

// newSpool makes an empty one in a directory, which is gone with the process.
func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, ".backup-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &spool{file: f, out: bufio.NewWriterSize(f, 1<<20), count: map[string]int{}}, nil
}

// put adds a record: those of one table come together.
func (s *spool) put(r store.Record) error {
	if len(r.Key)+len(r.Value) > maxRecord {
		return fmt.Errorf("backup: a record of table %s has %d bytes", r.Table, len(r.Value))
	}
	switch {
	case !s.begun || r.Table != s.table:
		s.next(r.Table, 1)
	case s.size-s.parts[len(s.parts)-1].from >= partBytes:
		s.next(r.Table, s.number()+1)
	}
	var b []byte
	b = binary.AppendUvarint(b, uint64(len(r.Key)))
	b = append(b, r.Key...)
	b = binary.AppendUvarint(b, uint64(len(r.Value)))
	for _, piece := range [][]byte{b, r.Value} {
		if _, err := s.out.Write(piece); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	s.size += int64(len(b) + len(r.Value))
	s.parts[len(s.parts)-1].to = s.size
	s.count[cmp.Or(r.Table, ledgerName)]++
	return nil
}

// number is that of the part that is written.
func (s *spool) number() (n int) {
	name := s.parts[len(s.parts)-1].name
	_, _ = fmt.Sscanf(name[bytes.LastIndexByte([]byte(name), '/')+1:], "%d", &n) // next wrote it
	return n
}

func (s *spool) next(table string, n int) {
	s.begun, s.table = true, table
	name := fmt.Sprintf("%s/%04d", ledgerName, n)
	if table != "" {
		name = fmt.Sprintf("tables/%s/%04d", table, n)
	}
	s.parts = append(s.parts, spooled{name: name, from: s.size, to: s.size})
}

// read is a part, once all is put.
func (s *spool) read(p spooled) io.Reader { return io.NewSectionReader(s.file, p.from, p.to-p.from) }

// readRecords hands the records of a part to each; r has so many bytes.
func readRecords(r io.Reader, table string, each func(store.Record) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		if _, err := in.Peek(1); errors.Is(err, io.EOF) {
			return nil
		}
		key, err := readText(in)
		if err != nil {
			return err
		}
		value, err := readText(in)
		if err != nil {
			return err
		}
		if err := each(store.Record{Table: table, Key: string(key), Value: value}); err != nil {
			return err
		}
	}
}

// readText reads a length and so many bytes. Memory is taken as they come: a length
// alone costs nothing.
func readText(in *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(in)
	if err != nil || n > maxRecord {
		return nil, damaged("a record has no length that can be")
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, in, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, damaged("a record is cut short")
		}
		return nil, err
	}
	return b.Bytes(), nil
}
