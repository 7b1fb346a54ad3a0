package firmware

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// journalLen is how many played works are remembered (COORDINATION.md §3.5).
const journalLen = 256

// journal is a file of work ids, one a line, oldest first. It grows by
// appending and is written anew when it has twice what is needed.
type journal struct {
	path  string
	file  *os.File
	works []area.WorkID // oldest first, at most journalLen
	lines int           // in the file
	torn  bool          // a write has failed: what the file ends with is not known
}

// openJournal reads the journal. A last line that is not whole, as a loss of
// power leaves it, is not counted.
func openJournal(path string) (*journal, error) {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	j := &journal{path: path}
	for line := range strings.Lines(string(b)) {
		if w, whole := strings.CutSuffix(line, "\n"); whole && area.IsID(w) {
			j.remember(area.WorkID(w))
		}
	}
	return j, j.rewrite()
}

// newest is the last n works, or as many as there are.
func (j *journal) newest(n int) []area.WorkID {
	return slices.Clone(j.works[max(0, len(j.works)-n):])
}

func (j *journal) has(w area.WorkID) bool { return slices.Contains(j.works, w) }

// add appends a work; it is on the disk when add returns. After an error the work
// is remembered all the same, and written with the next one: half a line may be in
// the file, and of a page whose writing has failed nothing may be.
func (j *journal) add(w area.WorkID) error {
	if j.has(w) && !j.torn {
		return nil
	}
	if !j.has(w) {
		j.remember(w)
	}
	if j.torn || j.lines >= 2*journalLen {
		return j.rewrite()
	}
	j.lines++
	_, err := j.file.WriteString(string(w) + "\n")
	if err == nil {
		err = j.file.Sync()
	}
	j.torn = err != nil
	return err
}

func (j *journal) remember(w area.WorkID) {
	j.works = append(j.works, w)
	if n := len(j.works) - journalLen; n > 0 {
		j.works = slices.Delete(j.works, 0, n)
	}
}

// rewrite makes the file have what is remembered, and no more.
func (j *journal) rewrite() error {
	var b strings.Builder
	for _, w := range j.works {
		b.WriteString(string(w) + "\n")
	}
	j.torn = true
	if err := errors.Join(j.close(), replace(j.path, b.String())); err != nil {
		return err
	}
	f, err := os.OpenFile(j.path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	j.file, j.lines, j.torn = f, len(j.works), false
	return nil
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	f := j.file
	j.file = nil
	return f.Close()
}
