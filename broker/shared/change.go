package shared

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

// change is one of this node's own.
func (t *Tables) change(n Name, value []byte, gone bool, done func(error)) {
	if t.idle(n, value, gone) {
		done(nil)
		return
	}
	t.mu.Lock()
	e := t.stamped(n, value, gone)
	err := t.write(e, func(err error) { t.landed(e, here, err); done(err) })
	t.mu.Unlock()
	if err != nil {
		done(err)
	}
}

// idle tells whether a record is durable as it is to become: then nothing is newer
// for it. It blocks for reading.
func (t *Tables) idle(n Name, value []byte, gone bool) bool {
	t.mu.Lock()
	r := t.tables[n.Table][n.Key]
	t.mu.Unlock()
	switch {
	case r.flying:
		return false
	case gone:
		return r.Time == 0 || r.Gone
	case r.Time == 0 || r.Gone || r.Sum != sumOf(value):
		return false
	}
	e, err := t.newest(n)
	return err == nil && e.Stamp == r.Stamp && bytes.Equal(e.Value, value)
}

// stamped is a new change. The caller holds the lock.
func (t *Tables) stamped(n Name, value []byte, gone bool) Entry {
	e := Entry{Name: n, Stamp: Stamp{Time: t.clock.next(), Node: t.cfg.Node, Gone: gone}}
	if !gone {
		e.Value = append([]byte{}, value...)
		e.Sum = sumOf(value)
	}
	return e
}

// write hands a record to the disk together with its stamp. Done is called on the
// store's goroutine, unless an error is answered. The caller holds the lock, so that
// changes are written in the order of their stamps.
func (t *Tables) write(e Entry, done func(error)) error {
	if err := t.store.PutTogether([]store.Record{
		{Table: e.Table, Key: e.Key, Value: e.Value, Gone: e.Gone},
		{Table: stampTable, Key: stampKey(e.Name), Value: []byte(e.Stamp.String())},
	}, done); err != nil {
		return err
	}
	t.note(e.Name, record{Stamp: e.Stamp, value: e.Value, flying: true})
	return nil
}

// erase removes a record with its stamp, as if it had never been. The caller holds
// the lock.
func (t *Tables) erase(n Name, done func(error)) error {
	if err := t.store.PutTogether([]store.Record{{Table: n.Table, Key: n.Key, Gone: true}, {Table: stampTable, Key: stampKey(n), Gone: true}}, done); err != nil {
		return err
	}
	delete(t.tables[n.Table], n.Key)
	delete(t.owed, n)
	return nil
}

func (t *Tables) note(n Name, r record) {
	rows := t.tables[n.Table]
	if rows == nil {
		rows = map[string]record{}
		t.tables[n.Table] = rows
	}
	rows[n.Key] = r
}

// origin says who knows of a change already.
type origin int

const (
	here       origin = iota // this node: the common copy is owed it
	there                    // the common copy: the watchers have to be told
	everywhere               // both
)

// landed is what the disk says of a change. It is called on the store's goroutine.
func (t *Tables) landed(e Entry, by origin, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.arrived(e, err); {
	case err != nil:
	case by == here:
		t.owed[e.Name] = struct{}{}
		signal(t.pushes)
	case by == there:
		t.announce(e.Name)
	}
}

// arrived notes that a change is no longer on its way to the disk. The caller holds
// the lock.
func (t *Tables) arrived(e Entry, err error) {
	if r := t.tables[e.Table][e.Key]; r.Stamp == e.Stamp {
		t.note(e.Name, record{Stamp: e.Stamp})
	}
	if err != nil {
		t.doubt[e.Name] = struct{}{}
		signal(t.doubts)
	}
}

// announce has the watchers told of a record. The caller holds the lock.
func (t *Tables) announce(n Name) {
	if _, waits := t.waiting[n]; waits || len(t.watchers[n.Table]) == 0 {
		return
	}
	t.waiting[n] = struct{}{}
	t.news = append(t.news, n)
	signal(t.tells)
}

// apply takes over entries of others that are newer than what is here, and blocks
// until that is on disk.
func (t *Tables) apply(ctx context.Context, list []Entry) error {
	results := make(chan error, len(list))
	n, err := t.take(list, results)
	for ; n > 0; n-- {
		select {
		case one := <-results:
			err = errors.Join(err, one)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		t.count.refused.Add(1)
	}
	return err
}

func (t *Tables) take(list []Entry, results chan<- error) (n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range list {
		t.clock.saw(e.Stamp)
		if t.expired(e.Stamp) || e.Compare(t.tables[e.Table][e.Key].Stamp) <= 0 {
			continue
		}
		if err = t.write(e, func(err error) { t.landed(e, there, err); results <- err }); err != nil {
			return n, err
		}
		t.count.applied.Add(1)
		if _, owed := t.owed[e.Name]; owed {
			delete(t.owed, e.Name)
			t.count.conflicts.Add(1)
		}
		n++
	}
	return n, nil
}

// newest is a record as it is now. It blocks for reading.
func (t *Tables) newest(n Name) (Entry, error) {
	t.mu.Lock()
	r := t.tables[n.Table][n.Key]
	t.mu.Unlock()
	if r.flying {
		return Entry{Name: n, Stamp: r.Stamp, Value: r.value}, nil
	}
	list, err := t.read([]Name{n})
	if err != nil {
		return Entry{Name: n}, err
	}
	return list[0], nil
}

// read answers records as they are on disk, with their stamps, in the order of the
// names.
func (t *Tables) read(names []Name) ([]Entry, error) {
	list := make([]store.Record, 0, 2*len(names))
	for _, n := range names {
		list = append(list, store.Record{Table: n.Table, Key: n.Key}, store.Record{Table: stampTable, Key: stampKey(n)})
	}
	if err := t.store.Read(list); err != nil {
		return nil, err
	}
	out := make([]Entry, len(names))
	for i, n := range names {
		value, stamp := list[2*i], list[2*i+1]
		s, err := ParseStamp(string(stamp.Value))
		if err != nil {
			s = Stamp{} // as if there were none
		}
		s.Gone = value.Gone && s.Time != 0
		out[i] = Entry{Name: n, Stamp: s, Value: value.Value}
	}
	return out, nil
}

// putIf compares with what this node knows, which is mostly the newest, and where
// that is not what was asked for with what the common copy has.
func (t *Tables) putIf(ctx context.Context, n Name, old, value []byte) (found []byte, done bool, err error) {
	is, err := t.newest(n)
	if err == nil && !is.is(old) {
		is, err = t.latest(ctx, is)
	}
	if err != nil {
		return nil, false, err
	}
	for is.is(old) {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		t.mu.Lock()
		t.clock.saw(is.Stamp)
		e := t.stamped(n, value, value == nil)
		t.mu.Unlock()
		found, done, err := t.common.Swap(ctx, is.Stamp, e)
		switch {
		case err != nil:
			return nil, false, unreachable(err)
		case done:
			return nil, true, t.settle(ctx, e)
		}
		if is, err = t.caughtUp(ctx, is, found); err != nil {
			return nil, false, err
		}
	}
	return is.Value, false, nil
}

func unreachable(err error) error {
	return area.Errorf(area.CodeDegraded, "what the nodes have in common cannot be reached: %s", err)
}

// latest is the newer of what this node and the common copy have of a record.
func (t *Tables) latest(ctx context.Context, own Entry) (Entry, error) {
	list, err := t.common.Read(ctx, []Name{own.Name})
	if err != nil {
		return own, unreachable(err)
	}
	if len(list) == 0 || list[0].Compare(own.Stamp) <= 0 {
		return own, nil
	}
	return list[0], t.apply(ctx, list)
}

// caughtUp makes the common copy and this node know the newer of what each has.
func (t *Tables) caughtUp(ctx context.Context, own, found Entry) (Entry, error) {
	found.Name = own.Name
	if found.Compare(own.Stamp) >= 0 {
		return found, t.apply(ctx, []Entry{found})
	}
	newer, err := t.common.Merge(ctx, []Entry{own})
	if err != nil {
		return own, unreachable(err)
	}
	if len(newer) > 0 {
		return newer[0], t.apply(ctx, newer)
	}
	return own, nil
}

// settle makes durable here what is done at the common copy.
func (t *Tables) settle(ctx context.Context, e Entry) error {
	out := make(chan error, 1)
	t.mu.Lock()
	var err error
	if is := t.tables[e.Table][e.Key]; e.Compare(is.Stamp) > 0 || e.Stamp == is.Stamp && is.flying { // it may have come from there already
		err = t.write(e, func(err error) { t.landed(e, everywhere, err); out <- err })
	} else {
		out <- nil
	}
	t.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-out:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stampKey is where the stamp of a record is kept.
func stampKey(n Name) string { return n.Table + "\x00" + n.Key }

func nameOf(stampKey string) (n Name, ok bool) {
	n.Table, n.Key, ok = strings.Cut(stampKey, "\x00")
	return n, ok && n.Table != ""
}

// resolve looks at what the disk holds of the records that it has refused, and has
// that be brought to the common copy.
func (t *Tables) resolve() error {
	t.mu.Lock()
	defer t.mu.Unlock() // reading is short, and nothing may land meanwhile
	list, err := t.read(slices.Collect(maps.Keys(t.doubt)))
	if err != nil {
		return err
	}
	clear(t.doubt)
	for _, e := range list {
		switch r := t.tables[e.Table][e.Key]; {
		case r.flying: // a later one, which will say how it went
		case e.Stamp.Time == 0:
			delete(t.tables[e.Table], e.Key)
		default:
			t.note(e.Name, record{Stamp: e.Stamp})
			t.owed[e.Name] = struct{}{}
			signal(t.pushes)
		}
	}
	return nil
}
