package shared

import (
	"bytes"
	"context"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

// maxKey leaves room for the table's name beside the key.
const maxKey = 900

// Table keeps small records by key, on all nodes. Two of the same name are the same
// table. It is safe for concurrent use.
type Table struct {
	t     *Tables
	name  string
	local *store.Table
}

// Load is [store.Table.Load]: what is on this node's disk.
func (x *Table) Load(each func(key string, value []byte) error) error { return x.local.Load(each) }

// Get answers a record as it is at this node now, with changes that are on their way
// to the disk where there is a Common, and whether there is one. It blocks for
// reading alone.
func (x *Table) Get(key string) (value []byte, ok bool, err error) {
	e, err := x.t.newest(Name{x.name, key})
	return e.Value, e.Value != nil, err
}

// Latest is Get after a look at the common copy, so that it knows of whatever was
// there before. It blocks for that; the error is one of code degraded where it cannot
// be reached.
func (x *Table) Latest(ctx context.Context, key string) (value []byte, ok bool, err error) {
	e, err := x.t.newest(Name{x.name, key})
	if err == nil && x.t.common != nil {
		e, err = x.t.latest(ctx, e)
	}
	return e.Value, e.Value != nil, err
}

// Put keeps a value as [store.Table.Put] does, with its errors: it is durable at this
// node when Put returns, and goes to the others when it can. A key has 1 to 900
// bytes.
func (x *Table) Put(ctx context.Context, key string, value []byte) error {
	return wait(ctx, func(done func(error)) { x.PutAsync(key, value, done) })
}

// Delete forgets a key, which need not be there, and blocks until that is durable at
// this node. Its errors are those of Put.
func (x *Table) Delete(ctx context.Context, key string) error {
	return wait(ctx, func(done func(error)) { x.DeleteAsync(key, done) })
}

func wait(ctx context.Context, start func(func(error))) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	out := make(chan error, 1)
	start(func(err error) { out <- err })
	select {
	case err := <-out:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PutAsync is [store.Table.PutAsync]: done is called when the value is durable at
// this node, or known not to be, and must only enqueue.
func (x *Table) PutAsync(key string, value []byte, done func(error)) {
	x.change(key, value, false, done)
}

// DeleteAsync is to Delete what PutAsync is to Put.
func (x *Table) DeleteAsync(key string, done func(error)) { x.change(key, nil, true, done) }

func (x *Table) change(key string, value []byte, gone bool, done func(error)) {
	if len(key) > maxKey {
		done(area.InvalidField("key", "has %d bytes, which is not 1 to %d", len(key), maxKey))
		return
	}
	switch {
	case x.t.common != nil:
		x.t.change(Name{x.name, key}, value, gone, done)
	case gone:
		x.local.DeleteAsync(key, done)
	default:
		x.local.PutAsync(key, value, done)
	}
}

// Watch has changed called for each record that another node has changed or deleted
// (value nil), once it is on this node's disk: not once for each change, but always
// with the newest in the end, one call at a time for all tables. It may block for its
// own lock, but must not wait for the table. An owner who holds one lock from before
// a Put until after it knows the value himself, and in changed, cannot be overtaken:
// where a Put of this node has come between, changed is called again, with that. It
// may be called with what this node's own PutIf has done, too. Without a Common it is never called.
func (x *Table) Watch(changed func(key string, value []byte)) {
	x.t.mu.Lock()
	defer x.t.mu.Unlock()
	x.t.watchers[x.name] = append(x.t.watchers[x.name], changed)
}

// PutIf changes a record, for all nodes, if it is as old says, nil for one that is
// not there; value nil deletes it. It answers whether that was done, and what it has
// found instead (nil: nothing), which this node then has too. What was done is durable
// at this node.
//
// The error is one of code degraded where the common copy cannot be reached: then
// nothing was done, or, if it went away in that moment, that is not known. Else the
// errors are those of Put.
func (x *Table) PutIf(ctx context.Context, key string, old, value []byte) (found []byte, done bool, err error) {
	if len(key) > maxKey {
		return nil, false, area.InvalidField("key", "has %d bytes, which is not 1 to %d", len(key), maxKey)
	}
	if x.t.common != nil {
		return x.t.putIf(ctx, Name{x.name, key}, old, value)
	}
	x.t.swaps.Lock() // plain changes of the same key are not seen before they are on disk
	defer x.t.swaps.Unlock()
	e, err := x.t.newest(Name{x.name, key})
	if err != nil {
		return nil, false, err
	}
	if !e.is(old) {
		return e.Value, false, nil
	}
	if value == nil {
		return nil, true, x.local.Delete(ctx, key)
	}
	return nil, true, x.local.Put(ctx, key, value)
}

// is tells whether the record has that value; nil: it is not there.
func (e Entry) is(value []byte) bool {
	return (e.Value != nil) == (value != nil) && bytes.Equal(e.Value, value)
}
