package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// bbolt believes what it reads: a flipped bit may send it in circles, hide
// records from a search, or have it write over pages that are in use. So before
// it gets a file we go through it ourselves, page by page, by the format that
// its package internal/common defines; and where something is wrong we take out
// of the file what is not.

const (
	pageHead    = 16 // id 8, flags 2, count 2, overflow 4
	elementSize = 16
	metaSize    = 64 // magic 4, version 4, page size 4, flags 4, root bucket 16, freelist 8, end 8, transaction 8, checksum 8
	bucketHead  = 16 // root page 8, sequence 8

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketLeaf   = 0x01 // of an element: its value is a bucket

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	noFreelist  = 1<<64 - 1
	mostLevels  = 64
)

var native = binary.NativeEndian

// tree reads a file of bbolt.
type tree struct {
	file io.ReaderAt
	size int64 // of the file
	page int64 // bytes of a page
	root bucket
	free uint64 // page of the list of free pages
	end  uint64 // page behind the last one

	seen  map[uint64]bool // pages that belong to something
	fault error           // the first thing that was wrong
	worn  bool            // one of the two roots is not well
}

// bucket is where the records of a bucket are.
type bucket struct {
	page   uint64 // 0: inline
	inline []byte
}

// readTree finds the root of a file: the newer of the two that are well.
func readTree(file io.ReaderAt, size int64) (*tree, error) {
	t := &tree{file: file, size: size, seen: map[uint64]bool{}}
	newest, well := uint64(0), 0
	for _, at := range t.roots() {
		m := make([]byte, metaSize)
		if _, err := file.ReadAt(m, at+pageHead); err != nil || !wellMeta(m) {
			continue
		}
		well++
		if n := native.Uint64(m[48:]); well == 1 || n > newest {
			newest = n
			t.page, t.root = int64(native.Uint32(m[8:])), bucket{page: native.Uint64(m[16:])}
			t.free, t.end = native.Uint64(m[32:]), native.Uint64(m[40:])
		}
	}
	t.worn = well < 2
	if well == 0 || t.page < 512 || t.page > 1<<16 || t.end > uint64(size/t.page) {
		return nil, fmt.Errorf("%w: it has no root", errDamaged)
	}
	return t, nil
}

// roots are where the two may be: the second one's place is in the first.
func (t *tree) roots() []int64 {
	sizes := []int64{4096, 1 << 14, 1 << 16, 1 << 13}
	m := make([]byte, metaSize)
	if _, err := t.file.ReadAt(m, pageHead); err == nil && wellMeta(m) {
		return []int64{0, int64(native.Uint32(m[8:]))}
	}
	for _, size := range sizes {
		if _, err := t.file.ReadAt(m, size+pageHead); err == nil && wellMeta(m) {
			return []int64{size}
		}
	}
	return nil
}

func wellMeta(m []byte) bool {
	sum := fnv.New64a()
	_, _ = sum.Write(m[:metaSize-8])
	return native.Uint32(m) == boltMagic && native.Uint32(m[4:]) == boltVersion && native.Uint64(m[metaSize-8:]) == sum.Sum64()
}

// wrong notes that something is, and that the walk goes on without it.
func (t *tree) wrong(format string, args ...any) {
	if t.fault == nil {
		t.fault = fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
	}
}

// get reads a page and those that follow it as one; nil where it is not well.
func (t *tree) get(id uint64, kinds uint16) []byte {
	if id < 2 || id >= t.end || t.seen[id] {
		t.wrong("page %d is none, or belongs to two", id)
		return nil
	}
	head := make([]byte, pageHead)
	if _, err := t.file.ReadAt(head, int64(id)*t.page); err != nil {
		t.wrong("page %d cannot be read: %s", id, err)
		return nil
	}
	flags, more := native.Uint16(head[8:]), uint64(native.Uint32(head[12:]))
	if native.Uint64(head) != id || flags&^kinds != 0 || flags&kinds == 0 || flags&(flags-1) != 0 || id+more >= t.end {
		t.wrong("page %d has a bad head", id)
		return nil
	}
	p := make([]byte, int64(more+1)*t.page)
	if _, err := t.file.ReadAt(p, int64(id)*t.page); err != nil {
		t.wrong("page %d cannot be read: %s", id, err)
		return nil
	}
	for i := id; i <= id+more; i++ {
		if t.seen[i] {
			t.wrong("page %d belongs to two", i)
		}
		t.seen[i] = true
	}
	return p
}

// each calls f with what is in a bucket, in order; sub tells that the value is
// a bucket.
func (t *tree) each(b bucket, f func(key, value []byte, sub bool)) {
	if b.page == 0 {
		t.node(b.inline, span{}, 0, f)
		return
	}
	if p := t.get(b.page, branchPage|leafPage); p != nil {
		t.node(p, span{}, 0, f)
	}
}

// span is what keys may be in a part of a tree; nil: no bound.
type span struct{ from, to []byte }

func (s span) has(key []byte) bool {
	return bytes.Compare(key, s.from) >= 0 && (s.to == nil || bytes.Compare(key, s.to) < 0)
}

func (t *tree) node(p []byte, in span, level int, f func(key, value []byte, sub bool)) {
	if len(p) < pageHead || level > mostLevels {
		t.wrong("a tree is too deep, or cut short")
		return
	}
	n, leaf := int(native.Uint16(p[10:])), native.Uint16(p[8:]) == leafPage
	if pageHead+n*elementSize > len(p) || n == 0 && level > 0 {
		t.wrong("a page has %d elements", n)
		return
	}
	var last []byte
	for i := range n {
		key, value, flags := element(p, i, n, leaf)
		if key == nil || i > 0 && bytes.Compare(last, key) >= 0 || !in.has(key) {
			t.wrong("an element of a page is not in its place")
			continue
		}
		last = key
		if leaf {
			f(key, value, flags&bucketLeaf != 0)
			continue
		}
		t.child(p, i, n, key, in, level, f)
	}
}

// child goes on with what a branch points to. The key of an element is the first
// of its child: by it bbolt finds the element again when the child has moved, and
// where it differs the branch would keep a pointer to a page that is given away.
func (t *tree) child(p []byte, i, n int, key []byte, in span, level int, f func(key, value []byte, sub bool)) {
	in.from = key
	if i+1 < n {
		if next, _, _ := element(p, i+1, n, false); next != nil {
			in.to = next
		}
	}
	id := native.Uint64(p[pageHead+i*elementSize+8:])
	child := t.get(id, branchPage|leafPage)
	if child == nil {
		return
	}
	if !bytes.Equal(firstKey(child), key) {
		t.wrong("page %d does not begin with the key of its branch", id)
	}
	t.node(child, in, level+1, f)
}

// firstKey is that of a page; nil: it has none that is well.
func firstKey(p []byte) []byte {
	n := int(native.Uint16(p[10:]))
	if n == 0 || pageHead+n*elementSize > len(p) {
		return nil
	}
	key, _, _ := element(p, 0, n, native.Uint16(p[8:]) == leafPage)
	return key
}

// element is the i-th of n of a page; a nil key: it is not well.
func element(p []byte, i, n int, leaf bool) (key, value []byte, flags uint32) {
	at := pageHead + i*elementSize
	e := p[at:]
	pos, ksize, vsize := uint64(native.Uint32(e)), uint64(native.Uint32(e[4:])), uint64(0)
	if leaf {
		flags = native.Uint32(e)
		pos, ksize, vsize = uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
	}
	from := uint64(at) + pos
	if from < uint64(pageHead+n*elementSize) || from+ksize+vsize > uint64(len(p)) || ksize == 0 || flags&^bucketLeaf != 0 {
		return nil, nil, 0
	}
	return p[from : from+ksize], p[from+ksize : from+ksize+vsize], flags
}

// sub is the bucket that a value is.
func (t *tree) sub(value []byte) (bucket, bool) {
	if len(value) < bucketHead {
		t.wrong("a bucket is cut short")
		return bucket{}, false
	}
	return bucket{page: native.Uint64(value), inline: value[bucketHead:]}, true
}

// freelist checks that what is said to be free is. It comes after all else.
func (t *tree) freelist() {
	if t.free == noFreelist {
		return // bbolt finds out by itself
	}
	p := t.get(t.free, freelistPage)
	if p == nil {
		return
	}
	n, ids := uint64(native.Uint16(p[10:])), p[pageHead:]
	if n == 0xFFFF {
		n, ids = native.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids)/8) {
		t.wrong("the list of free pages is cut short")
		return
	}
	for ; n > 0; n, ids = n-1, ids[8:] {
		id := native.Uint64(ids)
		if id < 2 || id >= t.end || t.seen[id] {
			t.wrong("page %d is said to be free", id)
			return
		}
		t.seen[id] = true
	}
}
