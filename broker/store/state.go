package store

import (
	"fmt"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	maxStateKey = 32000   // bytes of a key of the state; bbolt takes a little more
	maxTouched  = 1 << 16 // records of the state that may wait before Trouble says so
)

// State is durable state that lives in its owner's memory: the owner says which
// records have changed, and is asked what they are when they are written. So
// what is on disk is what was in memory at one moment, and a record that
// changes many times meanwhile is written once.
//
// Positions say how far the disk has come. A position is the number of a group,
// from 1; everything that was touched in a group is durable once its position,
// or a later one, is told. It is safe for concurrent use.
type State struct{ s *Store }

// owner is who the state belongs to.
type owner struct {
	read    func(table, key string) (record []byte, keep bool)
	durable func(pos uint64)
	lost    func(from, to uint64)
}

// State is the store's state. It has one owner: see Attach.
func (s *Store) State() *State { return &State{s} }

// Attach names the owner. Read answers what a record is now; keep false: there
// is none. Durable is told each position that is safe on disk, and with it
// everything before; lost a range of positions that will never be. All three
// are called on the committer's goroutine, where they must not block and not
// call the store. Attach is called once, before the first change.
func (st *State) Attach(read func(table, key string) (record []byte, keep bool), durable func(pos uint64), lost func(from, to uint64)) {
	st.s.committer.state.Store(&owner{read: read, durable: durable, lost: lost})
}

// Load is [Table.Load].
func (st *State) Load(table string, each func(key string, record []byte) error) error {
	return st.s.Table(table).Load(each)
}

// Join answers the position of the group that gathers now, which is not
// written before Leave was called with it, as often as Join. Between the two
// the caller must not wait for the disk, nor for anybody else who may. Size is
// about how many bytes the caller is going to touch; the error is what Trouble
// says, or one of code disk_full where so much more has no room. Leave has to
// be called all the same.
func (st *State) Join(size int) (pos uint64, trouble error) {
	trouble = st.Trouble()
	c := st.s.committer
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next.inside++
	c.next.size++
	c.next.awaited = true
	if err := c.fits(size); trouble == nil {
		trouble = err
	}
	return c.next.pos, trouble
}

// Leave ends what Join began.
func (st *State) Leave(pos uint64) {
	c := st.s.committer
	c.mu.Lock()
	g := c.at(pos)
	g.inside--
	if g.inside == 0 && g == c.closing {
		c.empty.Signal()
	}
	c.mu.Unlock()
	c.signal()
}

// Touch says that a record has changed, and answers the position with which it
// will be durable. That is pos, if the caller has joined and not left it; with
// pos 0 it is the group that gathers now. Key has 1 to 32,000 bytes; a longer
// one is never written, and counted as refused. There is no bound here: see
// Trouble.
func (st *State) Touch(pos uint64, table, key string) uint64 {
	c := st.s.committer
	if key == "" || len(key) > maxStateKey {
		c.count.refused.Add(1)
		return pos
	}
	c.mu.Lock()
	g := c.next
	if pos != 0 {
		g = c.at(pos)
	}
	g.touched[place{table, key}] = struct{}{}
	g.awaited = true
	c.mu.Unlock()
	c.count.commits.Add(1)
	if pos == 0 {
		c.signal() // else Leave does
	}
	return g.pos
}

// TouchLater says that a record has changed and nobody waits for it: it goes
// with the next group, or alone after two seconds. Key is as for Touch.
func (st *State) TouchLater(table, key string) {
	c := st.s.committer
	if key == "" || len(key) > maxStateKey {
		c.count.refused.Add(1)
		return
	}
	c.mu.Lock()
	first := len(c.later) == 0
	c.later[place{table, key}] = struct{}{}
	c.mu.Unlock()
	c.count.commits.Add(1)
	if first {
		c.signal()
	}
}

// Trouble says why nothing further should be promised: an error of code
// disk_full, which passes, as does one of code degraded, when 65,536 changed
// records wait; or what has ended all writing for good. Nil: all is well.
//
// What was touched stays so while the disk is full, and its position is told
// once there is space.
func (st *State) Trouble() error {
	if err := st.s.Trouble(); err != nil {
		return err
	}
	c := st.s.committer
	c.mu.Lock()
	n := len(c.next.touched) + len(c.later)
	c.mu.Unlock()
	if n > maxTouched {
		return area.Errorf(area.CodeDegraded, "%d changed records wait for the disk", n)
	}
	return nil
}

// at is the group of a position that somebody has joined: the one that gathers
// or the one that is being closed.
func (c *committer) at(pos uint64) *group {
	switch {
	case pos == c.next.pos:
		return c.next
	case c.closing != nil && pos == c.closing.pos:
		return c.closing
	}
	panic(fmt.Sprintf("store: position %d was not joined", pos))
}
