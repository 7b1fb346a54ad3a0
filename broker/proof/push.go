package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tacet-hub/tacet/broker/area"
)

// errMoved is that somebody else has changed what is in common.
var errMoved = errors.New("proof: the common record was changed meanwhile")

// push brings what is missing of one record that is here up to end, or somewhat further.
// texts are those of its node there, and are kept up to date.
func (m *mirror) push(ctx context.Context, p place, end head, texts map[string]string) error {
	over := false
	for {
		w, next, err := m.step(p, end, texts, over)
		if errors.Is(err, errLine) {
			m.damaged(p, err)
			return nil
		}
		if err != nil || w.Name == "" {
			return err
		}
		done, err := m.c.Write(ctx, p.node, w)
		if over = errors.Is(err, ErrLost); over {
			done, err = true, nil
		}
		if err != nil {
			return err
		}
		if !done {
			return fmt.Errorf("%w: area %s of node %s", errMoved, p.area, p.node)
		}
		m.written(p, w, texts)
		if next.N >= end.N && !over {
			return nil
		}
	}
}

// written notes what is there now.
func (m *mirror) written(p place, w Write, texts map[string]string) {
	for name, text := range w.Texts {
		texts[name] = text
	}
	m.b.count.mirrored.Add(uint64(bytes.Count(w.Lines, []byte("\n"))))
	if w.Texts[asideText+string(p.area)] != "" {
		m.b.count.mirrorForks.Add(1)
		m.b.log.Error("what the nodes have in common of a record does not go on here, and is kept aside", "area", p.area, "node", p.node)
	}
}

// damaged tells, once, that a record here cannot be read.
func (m *mirror) damaged(p place, err error) {
	if m.told[p] == err.Error() {
		return
	}
	m.told[p] = err.Error()
	m.b.log.Error("record is not among what the nodes have in common", "area", p.area, "node", p.node, "err", err)
}

// passage is a record on its way.
type passage struct {
	dir  string
	list []stretch // the newest files of it, those that are to be there
	x    index     // how far it goes there
}

// step is what is to be written next, and how far the record goes there then; without a
// name: nothing. over begins with the oldest file again. A record there from which this
// one does not go on is put aside where it is this node's, and left alone where it is
// another's.
func (m *mirror) step(p place, end head, texts map[string]string, over bool) (w Write, next head, err error) {
	own := p.node == m.b.cfg.Node
	s := passage{dir: m.dir(p)}
	if s.list, err = stretches(s.dir); err != nil {
		return w, next, err
	}
	s.list = s.list[len(s.list)-within(s.list, len(s.list), m.b.cfg.CommonBytes):]
	if len(s.list) == 0 {
		return w, next, nil
	}
	name := indexText + string(p.area)
	w = Write{Name: name, Was: texts[name], Texts: map[string]string{}}
	if s.x, err = parseIndex(w.Was); err != nil || over || s.x.N+1 < s.list[0].First { // else there was a hole
		w.Drop, s.x = s.x.files(p.area), index{}
	}
	lines, fork, err := s.lines(end)
	if fork && own {
		m.aside(p, &w, s.x, texts)
		s.x = index{}
		lines, fork, err = s.lines(end)
	}
	if err != nil || fork || len(lines) == 0 {
		return Write{}, next, err
	}
	return m.with(w, s.x, p.area, lines)
}

// with is a write of lines.
func (m *mirror) with(w Write, x index, a area.Name, lines []byte) (Write, head, error) {
	x, file, dropped, err := x.with(lines, m.b.cfg.CommonBytes)
	if err != nil {
		return Write{}, head{}, err
	}
	w.File, w.Begin, w.Lines, w.Texts[w.Name] = x.file(a, file), file.Bytes == 0, lines, x.text()
	w.Drop = append(w.Drop, index{Life: x.Life, Files: dropped}.files(a)...)
	return w, x.head, nil
}

// lines are those that are missing there. Fork: what is there is not the beginning of the
// record that ends here.
func (s *passage) lines(end head) (lines []byte, fork bool, err error) {
	switch {
	case s.x.N == end.N:
		return nil, s.x.head != end, nil
	case s.x.N > end.N: // it was written a moment ago, or never
		last, err := s.last()
		return nil, last < s.x.N, err
	}
	after := s.x.head
	if s.x.N == 0 {
		s.x = anew()
		after = head{N: s.list[0].First - 1}
	}
	return linesOf(s.list, after, s.read)
}

func (s *passage) read(f stretch) ([]byte, error) {
	content, err := os.ReadFile(f.path(s.dir))
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	return content, nil
}

// last is the number of the newest line on the disk.
func (s *passage) last() (uint64, error) {
	content, err := s.read(s.list[len(s.list)-1])
	if err != nil {
		return 0, err
	}
	whole := bytes.TrimSuffix(content[:bytes.LastIndexByte(content, '\n')+1], []byte("\n"))
	return numberOf(whole[bytes.LastIndexByte(whole, '\n')+1:]), nil
}

// aside keeps a record there from which this one does not go on beside it; one that was
// kept so before goes.
func (m *mirror) aside(p place, w *Write, x index, texts map[string]string) {
	name := asideText + string(p.area)
	if old, err := parseIndex(texts[name]); err == nil {
		w.Drop = append(w.Drop, old.files(p.area)...)
	}
	w.Texts[name] = x.text()
}

// dir is where a record lies here.
func (m *mirror) dir(p place) string {
	if p.node == m.b.cfg.Node {
		return filepath.Join(m.b.cfg.Dir, string(p.area))
	}
	return filepath.Join(m.b.cfg.Copies, p.node, string(p.area))
}
