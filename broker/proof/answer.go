package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	mostLines = 192 << 10 // bytes of lines in one answer
	mostHeads = 1000      // in one answer
)

// question is what a node asks another: how far its records go that have changed
// since a version, or for the lines of one behind a record.
type question struct {
	Since uint64    `json:"since,omitempty"`
	Life  string    `json:"life,omitempty"` // of the answer that told Since
	Area  area.Name `json:"area,omitempty"`
	After head      `json:"after"`
}

// reply is the answer.
type reply struct {
	Now     int64              `json:"now"` // ms, the clock of the book
	Life    string             `json:"life"`
	Version uint64             `json:"version,omitempty"`
	Heads   map[area.Name]head `json:"heads,omitempty"`
	More    bool               `json:"more,omitempty"` // heads, or lines
	Fork    bool               `json:"fork,omitempty"` // the record does not go on from After
	Lines   string             `json:"lines,omitempty"`

	stored *recalled // of whoever answers for a node that does not live; nil: it has answered itself
}

// version is how far a record goes, and when in the order of all records that was.
type version struct {
	head
	at uint64
}

// Answer answers the question of another node's book ([Book.Follow]). It blocks for
// the disk. Its error is a question that is none, or the disk's.
func (b *Book) Answer(ask []byte) ([]byte, error) {
	var q question
	if err := json.Unmarshal(ask, &q); err != nil || q.Area != "" && !area.IsID(string(q.Area)) {
		return nil, errors.New("proof: no question")
	}
	b.mu.Lock()
	begun := b.begun
	b.mu.Unlock()
	if !begun {
		return nil, errors.New("proof: the records are not open yet")
	}
	r := reply{Now: b.clock(), Life: b.life}
	var err error
	if q.Area == "" {
		b.tellHeads(q, &r)
	} else {
		err = b.tellLines(q, &r)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

func (b *Book) tellHeads(q question, r *reply) {
	if q.Life != b.life {
		q.Since = 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r.Version, r.Heads = b.newest, map[area.Name]head{}
	for a, v := range b.heads {
		switch {
		case v.at <= q.Since:
		case len(r.Heads) == mostHeads:
			r.More, r.Version = true, q.Since // some of them come again
			return
		default:
			r.Heads[a] = v.head
		}
	}
}

// tellLines reads lines of a record; none: there are no more.
func (b *Book) tellLines(q question, r *reply) error {
	b.mu.Lock()
	v, ok := b.heads[q.Area]
	b.mu.Unlock()
	if !ok {
		return nil // it cannot be read, or there is none
	}
	if q.After.N > v.N || q.After.N == v.N && q.After.Chain != v.Chain {
		r.Fork = q.After.N > 0
		return nil
	}
	lines, fork, err := linesAfter(filepath.Join(b.cfg.Dir, string(q.Area)), q.After)
	r.Lines, r.Fork, r.More = string(lines), fork, len(lines) > 0
	return err
}

// linesAfter reads whole lines behind a record, of the oldest file that has some.
// Fork: the record with that number is another one.
func linesAfter(dir string, after head) (lines []byte, fork bool, err error) {
	list, err := stretches(dir)
	if err != nil {
		return nil, false, err
	}
	return linesOf(list, after, func(s stretch) ([]byte, error) {
		content, err := os.ReadFile(s.path(dir))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, nil // the oldest was dropped just now
		case err != nil:
			return nil, fmt.Errorf("proof: %w", err)
		}
		return content, nil
	})
}

// linesOf is linesAfter of files that lie anywhere.
func linesOf(list []stretch, after head, read func(stretch) ([]byte, error)) (lines []byte, fork bool, err error) {
	from := 0
	for i, s := range list {
		if s.First <= after.N {
			from = i
		}
	}
	for _, s := range list[min(from, len(list)):] {
		content, err := read(s)
		if err != nil {
			return nil, false, err
		}
		if lines, fork = cut(content, after); len(lines) > 0 || fork {
			return lines, fork, nil
		}
	}
	return nil, false, nil
}

// cut is the lines of a file behind a record, as many as an answer has room for.
func cut(content []byte, after head) (lines []byte, fork bool) {
	for b := range bytes.Lines(content) {
		if b[len(b)-1] != '\n' {
			break // it is being written
		}
		n := numberOf(b)
		switch {
		case n == after.N && n > 0 && !bytes.Contains(b, []byte(chainKey+after.Chain)):
			return nil, true
		case n <= after.N:
		case len(lines)+len(b) > mostLines && len(lines) > 0:
			return lines, false
		default:
			lines = append(lines, b...)
		}
	}
	return lines, false
}

// numberOf is the number of a line, which stands at its beginning; 0: it has none.
func numberOf(b []byte) (n uint64) {
	rest, ok := bytes.CutPrefix(b, []byte(`{"n":`))
	if !ok {
		return 0
	}
	if i := bytes.IndexByte(rest, ','); i > 0 {
		n, _ = strconv.ParseUint(string(rest[:i]), 10, 64) // 0 where it is none
	}
	return n
}
