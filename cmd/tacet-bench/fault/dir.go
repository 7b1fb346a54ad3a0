package fault

import (
	"os"
	"path/filepath"
)

// dir is a directory of a program's own, with one in it for the server's data.
// What the server's configuration is lies between the two.
type dir struct{ top, data string }

func newDir(in string) (dir, error) {
	top, err := os.MkdirTemp(in, "tacet-fault-")
	if err != nil {
		return dir{}, err
	}
	d := dir{top, filepath.Join(top, "data")}
	return d, os.Mkdir(d.data, 0o700)
}

func (d dir) remove() { _ = os.RemoveAll(d.top) }
