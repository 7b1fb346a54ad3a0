package proof

import (
	"iter"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// Strand is what the record of one node of several adds to a verdict. Times in it,
// but those of Known, are by that node's clock.
type Strand struct {
	Node    string     `json:"node"` // empty: of files that no hub has, this one
	Own     bool       `json:"own"`  // written here; else it is a copy
	Records uint64     `json:"records"`
	From    *area.Time `json:"from"` // first record in the verdict; null: there is none
	To      *area.Time `json:"to"`   // last record
	Chain   string     `json:"chain"`
	Broken  string     `json:"broken,omitempty"`

	// Known is up to when the node has said that this is all that it has; null: it has
	// not since this one's start, and To is all that is known. Incomplete says that it
	// may have written more, since it did not stop in order and has not been heard of
	// for ten seconds, or has said so: Behind is how many records that are.
	Known      *area.Time `json:"known"`
	Incomplete bool       `json:"incomplete"`
	Behind     uint64     `json:"behind"`

	ClockMs      int64 `json:"clock_ms"`       // by how much its clock is ahead of this one's
	ClockErrorMs int64 `json:"clock_error_ms"` // and by how much that may be wrong
}

// source is one record that a verdict is made of.
type source struct {
	dir     string
	node    string // empty: this one
	clock   compared
	heard   int64 // up to when what is here is all, by this node's clock; 0: the last record
	behind  uint64
	refused string // why some that the nodes have in common is not among it
	aside   int64  // when the copy ends that the node does not go on from; 0: there is none
}

// strand is a source that is being read, one record at a time.
type strand struct {
	source
	Strand
	chain  sum
	err    error
	ended  bool // its last record is that of an orderly end
	next   Record
	more   bool
	order  int64 // the latest time up to next: a record that came late stays where it is
	up     bool  // its node writes, as far as the records before next tell
	pull   func() (Record, bool)
	finish func()
}

func newStrand(from source) *strand {
	s := &strand{source: from}
	s.Node, s.Own, s.ClockMs, s.ClockErrorMs, s.Behind = from.node, from.node == "", from.clock.Ahead, from.clock.Error, from.behind
	s.pull, s.finish = iter.Pull(func(yield func(Record) bool) {
		on := true
		s.chain, s.Broken, s.err = readAll(from.dir, func(r Record) {
			if on {
				on = yield(r)
			}
		})
	})
	s.advance()
	return s
}

// advance reads the next record, and puts its time into this node's clock.
func (s *strand) advance() {
	if s.next, s.more = s.pull(); !s.more {
		return
	}
	s.next.T -= s.clock.Ahead
	s.order = max(s.order, s.next.T)
}

// covers tells whether the node of the strand was there to write at a time that is
// that of a record of another one.
func (s *strand) covers(t int64) bool {
	switch {
	case !s.up:
		return false
	case s.more:
		return s.next.Is != Started // else it ended somewhere before that
	}
	return s.Own || s.heard >= t
}

// together hands the records of all sources to an audit, by the order of their times.
func together(list []source, since int64, a *Audit, each func([]Finding)) (out []*strand, err error) {
	for _, from := range list {
		out = append(out, newStrand(from))
	}
	defer func() {
		for _, s := range out {
			s.finish()
		}
	}()
	for {
		s := earliest(out)
		if s == nil {
			break
		}
		if s.next.T >= since {
			s.count()
			each(a.from(s.node, s.clock.Error, s.covered(out)).Take(s.next))
		}
		switch s.next.Is {
		case Started:
			s.up = true
		case Ended:
			s.up = false
		}
		s.ended = s.next.Is == Ended
		s.advance()
	}
	for _, s := range out {
		if s.err != nil {
			return out, s.err
		}
	}
	return out, nil
}

func earliest(list []*strand) (first *strand) {
	for _, s := range list {
		if s.more && (first == nil || s.order < first.order) {
			first = s
		}
	}
	return first
}

// covered tells whether another node was there when the next record was written.
func (s *strand) covered(all []*strand) bool {
	return slices.ContainsFunc(all, func(o *strand) bool { return o != s && o.covers(s.next.T) })
}

// count notes that the next record is in the verdict.
func (s *strand) count() {
	s.Records++
	t := at(s.next.T + s.clock.Ahead)
	if s.From == nil {
		s.From = &t
	}
	s.To = &t
}

// silence is after how long without a word a node's record counts as incomplete.
const silence = 10_000

// judge says how far the strand can be believed, at a time.
func (s *strand) judge(now, since int64) Strand {
	s.Chain = s.chain.String()
	if s.Own {
		return s.Strand
	}
	if s.heard != 0 {
		t := at(s.heard)
		s.Known = &t
	}
	s.Incomplete = s.Behind > 0 || !s.ended && now-s.heard > silence
	if s.Broken == "" && s.aside >= max(since, 1) {
		s.Broken = "the node does not go on from the copy that was here, which is kept aside; that ends at " + at(s.aside).String()
	}
	if s.Broken == "" && s.refused != "" {
		s.Broken = "what the nodes have in common of it is not taken: " + s.refused
	}
	return s.Strand
}
