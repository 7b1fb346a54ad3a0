package history

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// A segment is everything that came in one window: the blocks of its series one
// after the other, behind them the index (keys and places of the blocks,
// deflated), and the footer: place, length and checksum of the index, and the
// mark. Its name says when the window began and ended, in Unix milliseconds. It
// never changes.

// The kinds of segments, as their names end.
const (
	kindRaw  = "raw"
	kindMean = "mean"
)

const (
	segmentMark = "TACH1\n\x00\x00"
	footerSize  = 8 + 4 + 4 + len(segmentMark)
	maxIndex    = 16 << 20 // bytes of an index, inflated
	maxKeyText  = 256      // bytes of one part of a key
)

var errSegment = errors.New("damaged segment")

// segment is one that is there.
type segment struct {
	kind     string
	from, to int64 // when what is in it came, in Unix milliseconds
	size     int64
	path     string // empty: in memory
	data     io.ReaderAt
	close    func() error
	places   []place // by id
}

// place is where the block of a series is.
type place struct {
	id             uint32
	off, len, sum  uint32
	oldest, newest int64 // of its points
}

// keyed is the points of one series on their way into a segment.
type keyed struct {
	key    Key
	id     uint32
	points []sum
}

// encodeSegment writes a segment and answers the places of its blocks.
func encodeSegment(all []keyed) ([]byte, []place) {
	var out, index []byte
	var places []place
	for _, one := range all {
		off := len(out)
		out = appendBlock(out, one.points)
		p := place{id: one.id, off: uint32(off), len: uint32(len(out) - off), sum: crc32.ChecksumIEEE(out[off:]), oldest: one.points[0].ts, newest: one.points[len(one.points)-1].ts}
		places = append(places, p)
		for _, text := range []string{string(one.key.Device), one.key.Metric, one.key.Channel} {
			index = appendText(index, text)
		}
		index = binary.AppendUvarint(index, uint64(p.off))
		index = binary.AppendUvarint(index, uint64(p.len))
		index = binary.LittleEndian.AppendUint32(index, p.sum)
		index = binary.AppendVarint(index, p.oldest)
		index = binary.AppendVarint(index, p.newest)
	}
	packed := deflate(index)
	at := len(out)
	out = append(out, packed...)
	out = binary.LittleEndian.AppendUint64(out, uint64(at))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(packed)))
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(packed))
	sortPlaces(places)
	return append(out, segmentMark...), places
}

func sortPlaces(places []place) {
	slices.SortFunc(places, func(a, b place) int { return compare(int64(a.id), int64(b.id)) })
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func deflate(b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("history: a buffer in memory does not take bytes: " + err.Error())
	}
	return out.Bytes()
}

// readIndex reads the index of a segment; idOf gives each key its id.
func readIndex(data io.ReaderAt, size int64, idOf func(Key) uint32) ([]place, error) {
	if size < int64(footerSize) {
		return nil, errSegment
	}
	footer := make([]byte, footerSize)
	if _, err := data.ReadAt(footer, size-int64(footerSize)); err != nil {
		return nil, err
	}
	at, n, sum := binary.LittleEndian.Uint64(footer), binary.LittleEndian.Uint32(footer[8:]), binary.LittleEndian.Uint32(footer[12:])
	if string(footer[16:]) != segmentMark || n > maxIndex || at > uint64(size) || at+uint64(n)+uint64(footerSize) != uint64(size) {
		return nil, errSegment
	}
	packed := make([]byte, n)
	if _, err := data.ReadAt(packed, int64(at)); err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(packed) != sum {
		return nil, errSegment
	}
	index, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxIndex))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSegment, err)
	}
	return parseIndex(index, uint32(at), idOf)
}

func parseIndex(index []byte, end uint32, idOf func(Key) uint32) (places []place, err error) {
	c := cursor{b: index}
	for len(c.b) > 0 && !c.bad {
		k := Key{Device: area.DeviceID(c.text(maxKeyText)), Metric: c.text(maxKeyText), Channel: c.text(maxKeyText)}
		p := place{off: uint32(c.uvarint()), len: uint32(c.uvarint())}
		if len(c.b) < 4 {
			return nil, errSegment
		}
		p.sum, c.b = binary.LittleEndian.Uint32(c.b), c.b[4:]
		p.oldest, p.newest = c.varint(), c.varint()
		if c.bad || uint64(p.off)+uint64(p.len) > uint64(end) {
			return nil, errSegment
		}
		p.id = idOf(k)
		places = append(places, p)
	}
	if c.bad {
		return nil, errSegment
	}
	sortPlaces(places)
	return places, nil
}

// read is the points of a series, where it has some from from to to.
func (g *segment) read(id uint32, from, to int64) ([]sum, error) {
	i := sort.Search(len(g.places), func(i int) bool { return g.places[i].id >= id })
	if i == len(g.places) || g.places[i].id != id || g.places[i].newest < from || g.places[i].oldest >= to {
		return nil, nil
	}
	p := g.places[i]
	b := make([]byte, p.len)
	if _, err := g.data.ReadAt(b, int64(p.off)); errors.Is(err, os.ErrClosed) {
		return nil, nil // it has gone meanwhile
	} else if err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(b) != p.sum {
		return nil, errBlock
	}
	return readBlock(b)
}

// segmentName is the name of a segment's file.
func segmentName(from, to int64, kind string) string { return fmt.Sprintf("%d-%d.%s", from, to, kind) }

// parseSegmentName undoes segmentName.
func parseSegmentName(name string) (from, to int64, kind string, ok bool) {
	kind = strings.TrimPrefix(filepath.Ext(name), ".")
	a, b, dash := strings.Cut(strings.TrimSuffix(name, "."+kind), "-")
	from, err := strconv.ParseInt(a, 10, 64)
	to, err2 := strconv.ParseInt(b, 10, 64)
	return from, to, kind, dash && err == nil && err2 == nil && from <= to && (kind == kindRaw || kind == kindMean)
}
