//go:build linux

package rungs

import (
	"fmt"
	"io"
	"path"
)

// archive writes a cpio file of the kind that Linux takes as its first root
// ("newc", Documentation/driver-api/early-userspace/buffer-format.rst): files in
// memory, directories made as they are needed, and the console, without which a
// Go program ends before its main: it wants descriptors 0 to 2 open.
type archive struct {
	to   io.Writer
	made map[string]bool // directories
	n    int             // entries, which number the inodes
	err  error           // the first; nothing is written after it
}

// The kinds of entries (st_mode).
const (
	kindDir    = 0o040000
	kindFile   = 0o100000
	kindDevice = 0o020000 // character device
)

func newArchive(to io.Writer) *archive {
	a := &archive{to: to, made: map[string]bool{"/": true, ".": true}}
	a.device("dev/console", 0o600, 5, 1)
	a.device("dev/null", 0o666, 1, 3)
	return a
}

func (a *archive) file(name string, mode int, content []byte) {
	a.parents(name)
	a.entry(name, kindFile|mode, 0, 0, content)
}

func (a *archive) device(name string, mode, major, minor int) {
	a.parents(name)
	a.entry(name, kindDevice|mode, major, minor, nil)
}

func (a *archive) dir(name string) {
	if a.made[name] {
		return
	}
	a.made[name] = true
	a.parents(name)
	a.entry(name, kindDir|0o755, 0, 0, nil)
}

func (a *archive) parents(name string) {
	if up := path.Dir(name); !a.made[up] {
		a.dir(up)
	}
}

// entry writes a header of 13 numbers of 8 hexadecimal digits, the name with a
// zero byte, and the content, each filled up to a multiple of four.
func (a *archive) entry(name string, mode, major, minor int, content []byte) {
	a.n++
	links := 1
	if mode&kindDir == kindDir {
		links = 2
	}
	fields := []int{a.n, mode, 0, 0, links, 0, len(content), 0, 0, major, minor, len(name) + 1, 0}
	header := "070701"
	for _, f := range fields {
		header += fmt.Sprintf("%08X", f)
	}
	a.padded([]byte(header + name + "\x00"))
	a.padded(content)
}

func (a *archive) padded(b []byte) {
	if a.err != nil {
		return
	}
	if _, a.err = a.to.Write(b); a.err == nil && len(b)%4 != 0 {
		_, a.err = a.to.Write(make([]byte, 4-len(b)%4))
	}
}

// close writes the entry that ends the archive.
func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, 0, 0, nil)
	return a.err
}
