package shared

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
)

// Stamp says when and where a record got its value, or was deleted. The zero value
// is that of a record that never was, and older than any.
type Stamp struct {
	Time uint64 // milliseconds since 1970 in the upper 48 bits, a count in the lower 16
	Node string // 1 to 64 bytes
	Gone bool   // it was deleted
	Sum  uint32 // of the value
}

// Compare answers which is newer: above 0, s is. All nodes agree on that. It is 0
// for the same change alone.
func (s Stamp) Compare(o Stamp) int {
	gone := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(s.Time, o.Time), cmp.Compare(s.Node, o.Node), cmp.Compare(gone(s.Gone), gone(o.Gone)), cmp.Compare(s.Sum, o.Sum))
}

// At is the time of the change by its node's clock.
func (s Stamp) At() time.Time { return time.UnixMilli(int64(s.Time >> 16)) }

// Marks of the two kinds of stamps in their text.
const (
	markValue = "+"
	markGone  = "-"
)

// String is the stamp in text, empty for the zero value; [ParseStamp] reads it.
func (s Stamp) String() string {
	if s == (Stamp{}) {
		return ""
	}
	mark := markValue
	if s.Gone {
		mark = markGone
	}
	return fmt.Sprintf("%016x%s%08x%s", s.Time, mark, s.Sum, s.Node)
}

// ParseStamp reads the text of a stamp.
func ParseStamp(text string) (s Stamp, err error) {
	if text == "" {
		return Stamp{}, nil
	}
	const head = 16 + 1 + 8
	bad := errors.New("shared: no stamp")
	if len(text) <= head || len(text) > head+64 {
		return s, bad
	}
	mark := text[16:17]
	sum, err := strconv.ParseUint(text[17:head], 16, 32)
	if err != nil || mark != markValue && mark != markGone {
		return s, bad
	}
	at, err := strconv.ParseUint(text[:16], 16, 63)
	if err != nil || at == 0 {
		return s, bad
	}
	return Stamp{Time: at, Node: text[head:], Gone: mark == markGone, Sum: uint32(sum)}, nil
}

func sumOf(value []byte) uint32 { return crc32.ChecksumIEEE(value) }

// clock gives the times of stamps. It follows the wall clock, and is never behind a
// stamp that it has seen: so whoever changes what he has read is newer.
type clock struct {
	now  func() time.Time
	last uint64
}

func (c *clock) next() uint64 {
	c.last = max(uint64(max(c.now().UnixMilli(), 0))<<16, c.last+1)
	return c.last
}

func (c *clock) saw(s Stamp) { c.last = max(c.last, s.Time) }
