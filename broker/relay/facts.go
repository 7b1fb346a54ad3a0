package relay

import (
	"encoding/binary"
	"maps"
	"slices"
)

// facts are what a node tells of itself: values by key. It is a pure state machine.
// Keys begin with what they are about.
type facts struct {
	version uint64 // grows with each change that others are told
	all     map[string]string
	dirty   map[string]struct{} // since the version
}

// What keys begin with.
const (
	aboutFilter = 'f' // filter: somebody subscribes to it; no value
	aboutShare  = 's' // shared subscription, as it was asked for: how many members are connected
	aboutClient = 'c' // client id: who has its session, see session.encode
	aboutSide   = 'x' // publisher of the hub that this node has too: see Config.Sides; sideLinked while its other side is there
	aboutNote   = 'n' // topic of notes that this node wants; no value
)

// sideLinked is the value of a side that is linked, see [Relay.LinkSide].
const sideLinked = "1"

func key(about byte, name string) string { return string(about) + name }

func newFacts() facts {
	return facts{version: 1, all: map[string]string{}, dirty: map[string]struct{}{}}
}

// set tells a fact.
func (f *facts) set(key, value string) {
	if old, ok := f.all[key]; ok && old == value {
		return
	}
	f.all[key] = value
	f.dirty[key] = struct{}{}
}

// unset takes one back.
func (f *facts) unset(key string) {
	if _, ok := f.all[key]; ok {
		delete(f.all, key)
		f.dirty[key] = struct{}{}
	}
}

// changes takes what has changed, and counts it as a version; nothing: nil.
func (f *facts) changes() []fact {
	if len(f.dirty) == 0 {
		return nil
	}
	list := make([]fact, 0, len(f.dirty))
	for _, k := range slices.Sorted(maps.Keys(f.dirty)) {
		v, ok := f.all[k]
		list = append(list, fact{k, v, !ok})
	}
	clear(f.dirty)
	f.version++
	return list
}

// next is the version in which all that is set now is told.
func (f *facts) next() uint64 {
	if len(f.dirty) > 0 {
		return f.version + 1
	}
	return f.version
}

// list is all of them, as of the version: what is dirty is not another change to
// those who get it, since setting twice is setting once.
func (f *facts) list() []fact {
	list := make([]fact, 0, len(f.all))
	for _, k := range slices.Sorted(maps.Keys(f.all)) {
		list = append(list, fact{k, f.all[k], false})
	}
	return list
}

// fact is one that is told, or taken back.
type fact struct {
	key, value string
	gone       bool
}

func (x fact) size() int { return len(x.key) + len(x.value) + 8 }

// telling is a node's word on its facts: all of them, or what has changed.
type telling struct {
	from, to    uint64 // versions; from is 0 where it is all of them
	first, last bool   // of those that belong together
	list        []fact
}

// tellingBytes is how long a telling becomes.
const tellingBytes = 256 << 10

// tellings cuts a list to pieces.
func tellings(from, to uint64, list []fact) (out []telling) {
	begin, size := 0, 0
	for i := range list {
		if size > 0 && size+list[i].size() > tellingBytes {
			out = append(out, telling{from: from, to: to, list: list[begin:i]})
			begin, size = i, 0
		}
		size += list[i].size()
	}
	out = append(out, telling{from: from, to: to, list: list[begin:]})
	out[0].first, out[len(out)-1].last = true, true
	return out
}

func (t telling) append(b []byte) []byte {
	flags := byte(0)
	if t.first {
		flags |= 1
	}
	if t.last {
		flags |= 2
	}
	b = binary.AppendUvarint(append(b, flags), t.from)
	b = binary.AppendUvarint(b, t.to)
	b = binary.AppendUvarint(b, uint64(len(t.list)))
	for _, x := range t.list {
		op := byte(0)
		if x.gone {
			op = 1
		}
		b = appendText(append(b, op), x.key)
		b = appendText(b, x.value)
	}
	return b
}

func parseTelling(b []byte) (t telling, ok bool) {
	r := reader{b: b}
	flags := r.byte()
	t.first, t.last = flags&1 != 0, flags&2 != 0
	t.from, t.to = r.number(), r.number()
	for n := r.number(); n > 0 && !r.bad; n-- {
		gone := r.byte() == 1
		t.list = append(t.list, fact{key: r.text(), value: r.text(), gone: gone})
		r.bad = r.bad || t.list[len(t.list)-1].key == ""
	}
	return t, !r.bad && len(r.b) == 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// reader takes a word apart; after the first fault everything is empty.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if r.bad || len(r.b) == 0 {
		r.bad = true
		return 0
	}
	x := r.b[0]
	r.b = r.b[1:]
	return x
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	n := r.number()
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}
