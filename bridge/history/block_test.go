package history

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"reflect"
	"testing"
)

func TestBlock(t *testing.T) {
	for name, points := range map[string][]sum{
		"one":       {{ts: 1, total: 2.5, n: 1}},
		"steady":    {{1000, 20.1, 1}, {2000, 20.1, 1}, {3000, 20.2, 1}, {4000, 20.3, 1}, {5000, 20.4, 1}},
		"jitter":    {{1003, 20, 1}, {1998, 21, 1}, {3010, 19, 1}},
		"negative":  {{-5, -1.25, 1}, {0, 0, 1}, {7, 1e9, 1}},
		"counts":    {{0, 30, 3}, {10_000, 20, 2}},
		"64 bits":   {{0, math.Pi, 1}, {1, math.E, 1}},
		"32 bits":   {{0, 1.0000001e-20, 1}, {1, 3e20, 1}},
		"large":     {{0, 123456789.123, 1}, {1, 123456789.124, 1}},
		"far apart": {{0, 1, 1}, {1 << 50, 1, 1}},
	} {
		got, err := readBlock(appendBlock(nil, points))
		if err != nil || !reflect.DeepEqual(got, points) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, points)
		}
	}
}

func FuzzBlock(f *testing.F) {
	f.Add(appendBlock(nil, []sum{{1000, 20.1, 1}, {2000, 20.1, 2}}))
	f.Add(appendBlock(nil, []sum{{1000, 20.1, 1}, {2000, 123456789.123, 2}, {3000, math.Pi, 1}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		points, err := readBlock(b)
		if err == nil && len(points) > maxBlock {
			t.Errorf("%d points", len(points))
		}
	})
}

func FuzzSegment(f *testing.F) {
	b, _ := encodeSegment([]keyed{{key: Key{Device: "a", Metric: "m", Channel: "c"}, points: []sum{{1, 2, 1}}}})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		next := uint32(0)
		places, err := readIndex(bytes.NewReader(b), int64(len(b)), func(Key) uint32 { next++; return next })
		if err != nil {
			return
		}
		g := segment{data: bytes.NewReader(b), places: places}
		for _, p := range places {
			_, _ = g.read(p.id, -1<<62, 1<<62)
		}
	})
}

func FuzzJournal(f *testing.F) {
	record := func(body string) string {
		head := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
		return string(binary.LittleEndian.AppendUint32(head, crc32.ChecksumIEEE([]byte(body)))) + body
	}
	f.Add("\x00\x01a\x01b\x00\x01\x02\x01\x00\x00\x00\x00\x00\x00\xf0\x3f")
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > maxRecord {
			return
		}
		_ = replayJournal(bytes.NewReader([]byte(journalMark+record(body))), func(k Key, p sum) {
			if p.n == 0 || p.total != p.total {
				t.Errorf("%+v", p)
			}
		})
	})
}
