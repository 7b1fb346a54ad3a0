package initrd

import (
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
)

// File is one entry of the archive. Its owner is root.
type File struct {
	Name string // below the root, such as "etc/hosts"; its folders are entries too
	Mode uint32 // as of stat(2): the kind of file and its permissions
	Data []byte
	Dev  [2]uint32 // major and minor, of a device node
}

// Kinds of file, to be combined with permissions.
const (
	Folder    uint32 = 0o040000
	Regular   uint32 = 0o100000
	Character uint32 = 0o020000
)

// Write packs the files in the order of their names. It fails for a name that is
// absolute or twice there, and as w does.
func Write(w io.Writer, files []File) error {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	a := archive{w: z}
	last := ""
	for _, f := range files {
		if f.Name == last || strings.HasPrefix(f.Name, "/") {
			return fmt.Errorf("initrd: %q is absolute, empty or twice there", f.Name)
		}
		last = f.Name
		a.add(f)
	}
	a.add(File{Name: "TRAILER!!!"})
	if a.err != nil {
		return a.err
	}
	return z.Close()
}

// archive is a cpio archive that is being written.
type archive struct {
	w     io.Writer
	n     int // bytes so far
	inode int
	err   error
}

func (a *archive) add(f File) {
	links := 1
	if f.Mode&0o170000 == Folder {
		links = 2
	}
	if f.Mode != 0 {
		a.inode++
	}
	a.put([]byte("070701"))
	for _, v := range []int{a.inode, int(f.Mode), 0, 0, links, 0, len(f.Data), 0, 0, int(f.Dev[0]), int(f.Dev[1]), len(f.Name) + 1, 0} {
		a.put(fmt.Appendf(nil, "%08x", v))
	}
	a.put([]byte(f.Name + "\x00"))
	a.pad()
	a.put(f.Data)
	a.pad()
}

func (a *archive) put(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
		a.n += len(b)
	}
}

func (a *archive) pad() { a.put(make([]byte, -a.n&3)) }
