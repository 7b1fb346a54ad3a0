package sharedtest

import (
	"os"
	"path/filepath"

	"github.com/tacet-hub/tacet/broker/store"
)

// Save answers all that the node, which is stopped, has in its store.
func (n *Node) Save() (list []store.Record) {
	n.t.Helper()
	if _, err := store.ExportFile(filepath.Join(n.dir, "tacet.db"), func(r store.Record) error {
		list = append(list, r)
		return nil
	}); err != nil {
		n.t.Fatal(err)
	}
	return list
}

// Restore makes a store of records for the node, which is stopped, in place of what
// it has.
func (n *Node) Restore(list []store.Record) {
	n.t.Helper()
	path := filepath.Join(n.dir, "tacet.db")
	if err := os.Remove(path); err != nil {
		n.t.Fatal(err)
	}
	made, err := store.Make(path)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, r := range list {
		if err := made.Put(r); err != nil {
			n.t.Fatal(err)
		}
	}
	if err := made.Close(); err != nil {
		n.t.Fatal(err)
	}
}
