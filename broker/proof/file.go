package proof

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	segmentSize  = 256 << 10 // of a Config that says nothing else
	segmentsKept = 256       // same
	suffix       = ".jsonl"
	mostLine     = 64 << 10
	longLine     = 2 << 10 // a longer one is none of ours; by so much a file is longer than it should be
)

// files is the record of one area on disk: one writer appends, anybody reads.
type files struct {
	dir   string
	most  int64 // bytes after which a file ends
	keep  int   // files that are kept
	file  *os.File
	size  int64
	n     uint64 // of the newest record
	chain sum    // of the newest line
	dirty bool   // written, and not yet safe from a power cut
}

// openFiles goes on where the record ends. A last line that was cut short by a
// crash is taken away. What cannot be read otherwise stays as it is for whoever
// checks, and a new file is begun.
func openFiles(dir string) (*files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	list, err := segments(dir)
	if err != nil {
		return nil, err
	}
	f := &files{dir: dir, most: segmentSize, keep: segmentsKept}
	if len(list) == 0 {
		return f, nil
	}
	newest := list[len(list)-1]
	end, whole, err := f.readOn(newest)
	if err != nil {
		return nil, err
	}
	if !whole {
		f.n++ // a hole that shows
		return f, nil
	}
	if err := os.Truncate(newest, end); err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	file, err := os.OpenFile(newest, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	f.file, f.size = file, end
	return f, nil
}

// readOn finds the end of the newest file: where its last whole line ends, and
// whether what follows is at most the beginning of one.
func (f *files) readOn(path string) (end int64, whole bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, false, fmt.Errorf("proof: %w", err)
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, mostLine)
	for {
		b, err := in.ReadSlice('\n')
		if err != nil {
			return end, errors.Is(err, io.EOF), nil
		}
		r, has, _, err := parse(b[:len(b)-1], sum{})
		if err != nil {
			return end, false, nil
		}
		f.n, f.chain, end = r.N, has, end+int64(len(b))
	}
}

// segments are the files of a record, oldest first.
func segments(dir string) ([]string, error) {
	list, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	slices.Sort(list) // the names are numbers of one length
	return list, nil
}

// append writes one record.
func (f *files) append(r Record) error {
	if f.file == nil || f.size >= f.most {
		if err := f.next(r.T); err != nil {
			return err
		}
	}
	return f.write(r)
}

func (f *files) write(r Record) error {
	r.N = f.n + 1
	b, s := line(r, f.chain)
	n, err := f.file.Write(b)
	if err != nil {
		if n > 0 { // a part of it: take that away, or begin a new file
			if f.file.Truncate(f.size) != nil {
				_ = f.file.Close()
				f.file = nil
			}
		}
		return fmt.Errorf("proof: %w", err)
	}
	f.n, f.chain, f.size, f.dirty = r.N, s, f.size+int64(n), true
	return nil
}

// next begins a new file.
func (f *files) next(now int64) error {
	if err := f.begin(); err != nil {
		return err
	}
	return f.write(Record{T: now, Is: Segment, Prev: f.chain.String()})
}

// begin makes the next file, which is empty, and drops the oldest of too many.
func (f *files) begin() error {
	if err := f.close(); err != nil {
		return err
	}
	path := stretch{First: f.n + 1}.path(f.dir)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	f.file, f.size = file, 0
	list, err := stretches(f.dir)
	if err != nil {
		return err
	}
	for _, s := range list[:len(list)-within(list, f.keep, int64(f.keep)*(f.most+longLine))] {
		if err := os.Remove(s.path(f.dir)); err != nil {
			return fmt.Errorf("proof: %w", err)
		}
	}
	return nil
}

// stretch is a file of a record: the number of its first line, and how long it is.
type stretch struct {
	First uint64 `json:"first"`
	Bytes int64  `json:"bytes"`
}

func (s stretch) path(dir string) string {
	return filepath.Join(dir, fmt.Sprintf("%016d%s", s.First, suffix))
}

// stretches are the files of a record, oldest first.
func stretches(dir string) (list []stretch, err error) {
	paths, err := segments(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		first, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), suffix), 10, 64)
		if err != nil {
			continue // nobody's here
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the oldest was dropped just now
		}
		if err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
		list = append(list, stretch{first, info.Size()})
	}
	return list, nil
}

// within is how many files at the end of a list are within bounds, the last one in any
// case.
func within(list []stretch, most int, bytes int64) (n int) {
	for _, s := range slices.Backward(list) {
		if bytes -= s.Bytes; n > 0 && (n == most || bytes < 0) {
			break
		}
		n++
	}
	return n
}

// sync makes what was written safe from a power cut.
func (f *files) sync() error {
	if !f.dirty || f.file == nil {
		return nil
	}
	f.dirty = false
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	return nil
}

func (f *files) close() error {
	if f.file == nil {
		return nil
	}
	err := errors.Join(f.sync(), f.file.Close())
	f.file = nil
	return err
}

// reader goes through a record from the oldest line that is kept.
type reader struct {
	take   func(Record)
	chain  sum
	n      uint64
	broken string // the first place at which the chain is not whole
}

// readAll hands every record of a directory to take, oldest first, and tells where
// the chain is not whole; empty: it is. A last line without its end is being
// written, or was cut short.
func readAll(dir string, take func(Record)) (chain sum, broken string, err error) {
	list, err := segments(dir)
	if err != nil {
		return chain, "", err
	}
	rd := &reader{take: take}
	for i, path := range list {
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // the oldest was dropped just now
		}
		if err != nil {
			return rd.chain, rd.broken, fmt.Errorf("proof: %w", err)
		}
		rd.file(filepath.Base(path), content, i == len(list)-1)
	}
	return rd.chain, rd.broken, nil
}

func (rd *reader) file(name string, content []byte, newest bool) {
	for i, b := range bytes.SplitAfter(content, []byte("\n")) {
		whole := bytes.HasSuffix(b, []byte("\n"))
		switch {
		case len(b) == 0 || !whole && newest:
		case !whole:
			rd.wrong(name, i, "it is cut short")
		default:
			rd.line(name, i, b[:len(b)-1])
		}
	}
}

func (rd *reader) line(name string, i int, b []byte) {
	if rd.n == 0 {
		rd.chain = foundation(b)
	}
	r, has, want, err := parse(b, rd.chain)
	switch {
	case err != nil:
		rd.wrong(name, i, err.Error())
		return
	case has != want || i == 0 && (r.Is != Segment || r.Prev != rd.chain.String()):
		rd.wrong(name, i, "it does not follow from what is before it")
	case rd.n != 0 && r.N != rd.n+1:
		rd.wrong(name, i, fmt.Sprintf("record %d comes after %d", r.N, rd.n))
	}
	rd.chain, rd.n = has, r.N
	rd.take(r)
}

func (rd *reader) wrong(name string, i int, what string) {
	if rd.broken == "" {
		rd.broken = fmt.Sprintf("%s, line %d: %s", name, i+1, what)
	}
}

// foundation is the sum on which the oldest file that is kept builds.
func foundation(b []byte) (s sum) {
	r, _, _, err := parse(b, s)
	if err == nil && len(r.Prev) == 2*len(s) {
		_, _ = hex.Decode(s[:], []byte(r.Prev)) // what is no number leaves a sum that does not fit
	}
	return s
}
