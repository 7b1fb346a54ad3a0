package proof

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Common is what the nodes of a hub have of their records beside their own disks: a
// Redis-compatible server (package bridge/redis). It does not know what a record is; of
// each node it has files, and texts that say which. What nobody has written for a long
// time may go, all of a node's at once. Its methods block for the server, and are safe
// for concurrent use; their errors are that it cannot be reached.
type Common interface {
	// Nodes are those of whom there is something.
	Nodes(ctx context.Context) ([]string, error)
	// Texts are what is said of a node, by name; none: there is nothing.
	Texts(ctx context.Context, node string) (map[string]string, error)
	// File is what is in a file of a node; empty: it is not there.
	File(ctx context.Context, node, file string) ([]byte, error)
	// Write does all that w says in one step. Done is false, and nothing was done, where
	// the text w.Name is not w.Was.
	Write(ctx context.Context, node string, w Write) (done bool, err error)
	// Keep sets one text, whatever it was, answers what that was, and has all that is
	// there of the node stay, with the files that are named.
	Keep(ctx context.Context, node, name, text string, files []string) (was string, err error)
	// Clock is a clock that is one for all nodes. Nothing else is believed of it.
	Clock(ctx context.Context) (time.Time, error)
}

// Write is a change of what a [Common] has of a node.
type Write struct {
	Name, Was string            // the text that must be so; empty: there is none
	Texts     map[string]string // that are so then
	File      string            // to which Lines are appended
	Begin     bool              // and which begins with them, whatever is there
	Lines     []byte
	Drop      []string // files
}

// ErrLost is the error of [Common.Write] where the file to append to, which does not
// begin, was not there any more: all else has been done.
var ErrLost = errors.New("proof: a file of the common record is gone")

// Names of texts. Those of areas end with their names.
const (
	wordText   = "word"   // a word
	indexText  = "area/"  // an index
	asideText  = "aside/" // that of a record from which the node has not gone on
	commonSize = 2 << 20  // bytes of a Config that says nothing else
)

// index is what there is of the record of one area of a node.
type index struct {
	head
	To    int64     `json:"to"`   // time of the newest record
	Life  string    `json:"life"` // in the names of the files: another one has others
	Files []stretch `json:"files"`
}

func (x index) text() string {
	b, err := json.Marshal(x)
	if err != nil {
		panic("proof: " + err.Error()) // numbers and texts always have JSON
	}
	return string(b)
}

func parseIndex(text string) (x index, err error) {
	if text == "" {
		return x, nil
	}
	if err := json.Unmarshal([]byte(text), &x); err != nil || len(x.Files) == 0 || x.N == 0 {
		return index{}, fmt.Errorf("%w: what is said of it is no index", errLine)
	}
	return x, nil
}

// file is the name of a file of the index.
func (x index) file(a area.Name, s stretch) string {
	return fmt.Sprintf("%s/%s/%d", a, x.Life, s.First)
}

func (x index) files(a area.Name) (names []string) {
	for _, s := range x.Files {
		names = append(names, x.file(a, s))
	}
	return names
}

// anew is the index of a record that is yet to be written.
func anew() index { return index{Life: rand.Text()[:8]} }

// with is the index after lines were appended, which are of one file, and of which bytes
// are kept, or of the newest file those that there are.
func (x index) with(lines []byte, most int64) (next index, file stretch, dropped []stretch, err error) {
	first, _, _, err := parse(lines[:max(0, bytes.IndexByte(lines, '\n'))], sum{})
	if err != nil {
		return x, file, nil, err
	}
	body := bytes.TrimSuffix(lines, []byte("\n"))
	last, chain, _, err := parse(body[bytes.LastIndexByte(body, '\n')+1:], sum{})
	if err != nil {
		return x, file, nil, err
	}
	next = x
	next.Files = append([]stretch{}, x.Files...)
	switch {
	case first.Is == Segment:
		next.Files = append(next.Files, stretch{First: first.N})
	case len(next.Files) == 0:
		return x, file, nil, fmt.Errorf("%w: it begins in the middle of a file", errLine)
	}
	newest := &next.Files[len(next.Files)-1]
	file = *newest
	newest.Bytes += int64(len(lines))
	next.head, next.To = head{last.N, chain.String()}, max(x.To, last.T)
	keep := within(next.Files, len(next.Files), most)
	dropped, next.Files = next.Files[:len(next.Files)-keep], next.Files[len(next.Files)-keep:]
	return next, file, dropped, nil
}

// word is what a node says of itself beside its records.
type word struct {
	Now   int64 `json:"now"`      // ms, its clock: what it had recorded until then is here
	Ahead int64 `json:"ahead_ms"` // by how much that is ahead of the common clock
	Error int64 `json:"error_ms"` // and by how much that may be wrong
}

// against compares a clock with the common one.
func against(ctx context.Context, c Common, clock func() int64) (compared, error) {
	begun := clock()
	theirs, err := c.Clock(ctx)
	if err != nil {
		return compared{}, err
	}
	ended := clock()
	return compared{Ahead: (begun+ended)/2 - theirs.UnixMilli(), Error: (ended-begun+1)/2 + 1}, nil
}

// areaOf is the area of which a text speaks that is called so.
func areaOf(name, kind string) (area.Name, bool) {
	a, ok := strings.CutPrefix(name, kind)
	return area.Name(a), ok && area.IsID(a)
}
