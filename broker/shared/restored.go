package shared

import (
	"context"

	"github.com/tacet-hub/tacet/broker/store"
)

// restoredKey is a record of the table of stamps: there, the store was restored, and
// what it has is to win over what the nodes have in common.
const restoredKey = "\x00restored"

// Restored is what a store has in it that was made of a backup, if its records are to
// win over newer ones of other nodes: at its next start with a Common each counts as
// changed then. What others have made since, and the backup does not know, stays. A
// start without a Common forgets it.
func Restored() store.Record { return store.Record{Table: stampTable, Key: restoredKey} }

// renew gives every record of a table a stamp of now.
func (t *Tables) renew(table string) (list []store.Record, err error) {
	err = t.store.Table(table).Load(func(key string, value []byte) error {
		n := Name{table, key}
		s := Stamp{Time: t.clock.next(), Node: t.cfg.Node, Sum: sumOf(value)}
		t.note(n, record{Stamp: s})
		list = append(list, store.Record{Table: stampTable, Key: stampKey(n), Value: []byte(s.String())})
		return nil
	})
	return list, err
}

// forgetRestored takes the mark away.
func (t *Tables) forgetRestored() error {
	return t.store.Table(stampTable).Delete(context.Background(), restoredKey)
}
