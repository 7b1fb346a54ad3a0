package store

import (
	"maps"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	maxRecord = 1 << 20 // bytes of one record of the ledger or of a table
	maxQueued = 1 << 16 // callers that may wait for the disk
)

// place is where a record is kept: the ledger has a table to itself.
type place struct {
	table string // empty: the ledger
	key   string
}

func (p place) String() string {
	if p.table == "" {
		return "area " + p.key
	}
	return p.table + " " + p.key
}

// change is what a record becomes.
type change struct {
	record  []byte
	deleted bool
}

// places is a set of them.
type places map[place]struct{}

// group is what goes to disk in one transaction.
type group struct {
	pos     uint64           // groups are numbered from 1
	changes map[place]change // the newest of each place
	done    []func(error)    // who handed them in, in that order; bounded by maxQueued
	touched places           // records of a State, which are read when the group is written
	awaited bool             // somebody waits for its position
	inside  int              // who has joined and not left: it is not written before
	weight  int64            // about how many bytes those who joined will add to the file
	size    int              // how many wait for it
}

func newGroup(pos uint64) *group {
	return &group{pos: pos, changes: map[place]change{}, touched: places{}}
}

// add queues a change, or says why not. The record is the group's from now on.
func (g *group) add(p place, ch change, done func(error)) (coalesced bool, err error) {
	if len(g.done) >= maxQueued {
		return false, area.Errorf(area.CodeDegraded, "%d changes wait for the disk", len(g.done))
	}
	coalesced = g.put(p, ch)
	g.told(done)
	return coalesced, nil
}

func (g *group) put(p place, ch change) (coalesced bool) {
	_, coalesced = g.changes[p]
	g.changes[p] = ch
	return coalesced
}

func (g *group) told(done func(error)) {
	g.done = append(g.done, done)
	g.size++
}

// resolve asks for the records of a State.
func (g *group) resolve(read func(table, key string) ([]byte, bool)) {
	for p := range g.touched {
		record, keep := read(p.table, p.key)
		g.changes[p] = change{record: record, deleted: !keep}
	}
}

// idle tells whether nobody waits for the group.
func (g *group) idle() bool { return len(g.done) == 0 && len(g.touched) == 0 && !g.awaited }

func (p places) addAll(from places) { maps.Copy(p, from) }
