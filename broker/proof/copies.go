package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// Copies of other nodes' records lie in DIR/NODE/AREA, in files that are those of the
// node byte by byte. Beside them are DIR/NODE/clock.json, and DIR/NODE/AREA.aside for
// a copy that the node does not go on from.
const (
	clockFile = "clock.json"
	aside     = ".aside"
	mostNodes = 64 // whose records are copied; those of more are refused
)

// compared is what is known of another node's clock. It is kept on the disk, since a
// node that is dead cannot be asked.
type compared struct {
	Ahead int64 `json:"ahead_ms"`
	Error int64 `json:"error_ms"` // by how much that may be wrong
}

// uncompared is said of a clock that was never compared: both are taken to be right to
// a second.
var uncompared = compared{Error: 1000}

// peer is what is known of another node, under the lock of its book.
type peer struct {
	clock compared
	heard int64              // when it was asked last, and everything was here
	heads map[area.Name]head // what it has said that it has

	// Of what the nodes have in common of it:
	refused map[area.Name]string // why some is not taken
	aside   map[area.Name]int64  // ends of records from which the node has not gone on
}

// copied lists what there is of other nodes' records of an area.
func copied(dir string, a area.Name) (list []source, err error) {
	if dir == "" {
		return nil, nil
	}
	nodes, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	for _, n := range nodes {
		at := filepath.Join(dir, n.Name(), string(a))
		if _, err := os.Stat(at); err != nil || !area.IsID(n.Name()) {
			continue
		}
		s := source{dir: at, node: n.Name(), clock: readClock(filepath.Join(dir, n.Name()))}
		if s.aside, err = endOf(at + aside); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func readClock(dir string) compared {
	c := uncompared
	b, err := os.ReadFile(filepath.Join(dir, clockFile))
	if err == nil && json.Unmarshal(b, &c) != nil {
		return uncompared
	}
	return c
}

// endOf is the time of the newest record of a directory; 0: there is none.
func endOf(dir string) (last int64, err error) {
	_, _, err = readAll(dir, func(r Record) { last = max(last, r.T) })
	return last, err
}

// others is copied with what is known beside the files.
func (b *Book) others(a area.Name) ([]source, error) {
	list, err := copied(b.cfg.Copies, a)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range list {
		p := b.peers[list[i].node]
		if p == nil {
			continue
		}
		list[i].clock, list[i].heard, list[i].refused, list[i].aside = p.clock, p.heard, p.refused[a], max(list[i].aside, p.aside[a])
		if f := b.got[place{list[i].node, a}]; p.heads[a].N > f.N {
			list[i].behind = p.heads[a].N - f.N
		}
	}
	for node, p := range b.peers { // of whom nothing is here yet
		if h := p.heads[a]; (h.N > 0 || p.refused[a] != "") && !slices.ContainsFunc(list, func(s source) bool { return s.node == node }) {
			list = append(list, source{dir: filepath.Join(b.cfg.Copies, node, string(a)), node: node, clock: p.clock, behind: h.N, refused: p.refused[a], aside: p.aside[a]})
		}
	}
	slices.SortFunc(list, func(x, y source) int { return strings.Compare(x.node, y.node) })
	return list, nil
}

// place is a copy.
type place struct {
	node string
	area area.Name
}

// head is how far a record goes: its newest number, and the sum of that line.
type head struct {
	N     uint64 `json:"n"`
	Chain string `json:"chain"`
}

// openCopy opens the copy of an area's record, or begins it. What of its newest file
// cannot be read is taken away: it comes again.
func (b *Book) openCopy(p place) (*files, error) {
	dir := filepath.Join(b.cfg.Copies, p.node, string(p.area))
	for {
		f, err := openFiles(dir)
		if err != nil {
			return nil, err
		}
		f.most, f.keep = b.cfg.FileBytes, b.cfg.Files
		list, err := segments(dir)
		if err != nil || f.file != nil || len(list) == 0 {
			return f, err
		}
		if err := os.Remove(list[len(list)-1]); err != nil {
			return nil, fmt.Errorf("proof: %w", err)
		}
	}
}

// paste appends lines that another node has written, and answers their records. It
// takes only what follows from what is here; a file that begins is believed to follow
// from what the node has dropped meanwhile, and the hole shows.
func (f *files) paste(lines []byte) (list []Record, err error) {
	for b := range bytes.Lines(lines) {
		if len(b) < 2 || len(b) > mostLine || b[len(b)-1] != '\n' {
			return list, errLine
		}
		before := f.chain
		if f.n == 0 {
			before = foundation(b[:len(b)-1])
		}
		r, has, want, err := parse(b[:len(b)-1], before)
		if err == nil && has != want && r.Is == Segment {
			want = has // from a file that was dropped
		}
		switch {
		case err != nil:
			return list, err
		case has != want || r.N <= f.n || r.Is != Segment && r.N != f.n+1:
			return list, fmt.Errorf("%w that follows record %d", errLine, f.n)
		}
		if err := f.pasteLine(r, b); err != nil {
			return list, err
		}
		f.n, f.chain = r.N, has
		list = append(list, r)
	}
	return list, nil
}

// pasteLine appends a line; the first of a file begins one of the same name.
func (f *files) pasteLine(r Record, b []byte) error {
	if r.Is == Segment {
		f.n = r.N - 1
		if err := f.begin(); err != nil {
			return err
		}
	}
	if f.file == nil {
		return errors.New("proof: a copy begins in the middle of a file")
	}
	n, err := f.file.Write(b)
	if err != nil {
		if n > 0 && f.file.Truncate(f.size) != nil {
			_ = f.file.Close()
			f.file = nil
		}
		return fmt.Errorf("proof: %w", err)
	}
	f.size, f.dirty = f.size+int64(n), true
	return nil
}

// arrive takes lines of another node in: see [Book.Paste].
func (b *Book) arrive(in pasted) error {
	if in.restart {
		return b.putAside(in.place)
	}
	f, err := b.copyOf(in.place)
	if err == nil {
		err = b.follow(in.area) // what is here already, before there is more
	}
	if err != nil {
		return err
	}
	list, err := f.paste(in.lines)
	b.mu.Lock()
	b.got[in.place] = head{f.n, f.chain.String()}
	clock := b.peer(in.node).clock
	b.mu.Unlock()
	b.count.copied.Add(uint64(len(list)))
	for _, r := range list {
		r.T -= clock.Ahead
		b.judge(in.area, b.audits[in.area].from(in.node, clock.Error, true).Take(r))
	}
	return err
}

// copyOf is a copy, opened once.
func (b *Book) copyOf(p place) (*files, error) {
	if f := b.copies[p]; f != nil {
		return f, nil
	}
	f, err := b.openCopy(p)
	if err != nil {
		return nil, err
	}
	b.copies[p] = f
	return f, nil
}

// putAside keeps a copy that its node does not go on from: it was changed, or the node
// has begun anew. One that was kept so before goes.
func (b *Book) putAside(p place) error {
	if f := b.copies[p]; f != nil {
		if err := f.close(); err != nil {
			return err
		}
		delete(b.copies, p)
	}
	b.count.forks.Add(1)
	b.log.Error("record of a node does not go on from its copy, which is kept aside", "area", p.area, "node", p.node)
	dir := filepath.Join(b.cfg.Copies, p.node, string(p.area))
	if err := os.RemoveAll(dir + aside); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	if err := os.Rename(dir, dir+aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("proof: %w", err)
	}
	b.mu.Lock()
	delete(b.got, p)
	b.mu.Unlock()
	return nil
}

// loadCopies finds the copies that are here, so that the nodes are asked for what is
// missing alone.
func (b *Book) loadCopies() error {
	nodes, err := os.ReadDir(b.cfg.Copies)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		areas, err := os.ReadDir(filepath.Join(b.cfg.Copies, n.Name()))
		if err != nil || !area.IsID(n.Name()) {
			continue
		}
		b.mu.Lock()
		b.peer(n.Name()).clock = readClock(filepath.Join(b.cfg.Copies, n.Name()))
		b.mu.Unlock()
		for _, e := range areas {
			if !e.IsDir() || !area.IsID(e.Name()) {
				continue
			}
			p := place{n.Name(), area.Name(e.Name())}
			f, err := b.copyOf(p)
			if err != nil {
				return err
			}
			b.mu.Lock()
			b.got[p] = head{f.n, f.chain.String()}
			b.mu.Unlock()
			if err := b.follow(p.area); err != nil {
				return err
			}
		}
	}
	return nil
}

// peer is what is known of a node. The caller holds the lock.
func (b *Book) peer(node string) *peer {
	p := b.peers[node]
	if p == nil {
		p = &peer{clock: uncompared, heads: map[area.Name]head{}, refused: map[area.Name]string{}, aside: map[area.Name]int64{}}
		b.peers[node] = p
	}
	return p
}

// closeCopies closes every copy.
func (b *Book) closeCopies() {
	for p, f := range maps.All(b.copies) {
		if err := f.close(); err != nil {
			b.log.Error("record of an area cannot be written", "area", p.area, "node", p.node, "err", err)
		}
	}
}
