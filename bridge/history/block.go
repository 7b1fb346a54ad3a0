package history

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
)

// A block is the points of one series in one segment: how many, then the three
// columns. Times are the second differences, runs of equal ones as one; counts
// are runs. Values that are decimal numbers, as those of most sensors, are whole
// numbers of their last digit, and their differences; a mean has two digits more.
// Of others a value is its bits exclusive-or those of the value before, so that
// what is alike is short: 32 bits where these hold every value to its last digit,
// or it is a mean, else 64.

var errBlock = errors.New("damaged block")

const (
	flag64      = 1 << iota // values of 64 bits
	flagSteady              // times are runs
	flagDecimal             // values are decimal numbers; how many decimals follows
)

// maxBlock is the most points of a block that is read.
const maxBlock = 1 << 16

// maxDecimals is the most decimals of a value that is kept as a decimal number.
const maxDecimals = 8

// appendBlock encodes points.
func appendBlock(b []byte, points []sum) []byte {
	decimals, decimal := decimalsOf(points)
	flags := byte(0)
	switch {
	case decimal:
		flags |= flagDecimal
	case !fit32(points):
		flags |= flag64
	}
	if steady(points) {
		flags |= flagSteady
	}
	b = append(b, flags, byte(decimals))
	b = binary.AppendUvarint(b, uint64(len(points)))
	b = appendTimes(b, points, flags&flagSteady != 0)
	b = appendCounts(b, points)
	if decimal {
		return appendDecimals(b, points, decimals)
	}
	var before uint64
	for _, p := range points {
		bits := uint64(math.Float32bits(float32(p.total / p.n)))
		if flags&flag64 != 0 {
			bits = math.Float64bits(p.total / p.n)
		}
		b = binary.AppendUvarint(b, bits^before)
		before = bits
	}
	return b
}

// decimalsOf is how many decimals the values have, two more where some are
// means; false where that are too many, or they are too large.
func decimalsOf(points []sum) (decimals int, ok bool) {
	for _, p := range points {
		for ; !isDecimal(p.total, decimals); decimals++ {
			if decimals == maxDecimals-2 {
				return 0, false
			}
		}
	}
	for _, p := range points {
		if p.n > 1 {
			decimals += 2
			break
		}
	}
	for _, p := range points {
		if math.Abs(p.total/p.n)*powers[decimals] > 1<<52 {
			return 0, false
		}
	}
	return decimals, true
}

var powers = [maxDecimals + 1]float64{1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}

// isDecimal tells whether a value has no more decimals than that, but for what
// adding up in binary does to it.
func isDecimal(v float64, decimals int) bool {
	return math.Abs(math.Round(v*powers[decimals])/powers[decimals]-v) <= 1e-12*math.Abs(v)
}

func appendDecimals(b []byte, points []sum, decimals int) []byte {
	before := int64(0)
	for _, p := range points {
		v := int64(math.Round(p.total / p.n * powers[decimals]))
		b = binary.AppendVarint(b, v-before)
		before = v
	}
	return b
}

// fit32 tells whether 32 bits hold every value but means to its last digit.
func fit32(points []sum) bool {
	for _, p := range points {
		if v := p.total / p.n; p.n == 1 && widen(float32(v)) != v {
			return false
		}
	}
	return true
}

// widen is the decimal number that 32 bits stand for: 21.37, not 21.3700008.
func widen(f float32) float64 {
	if v := float64(f); v == math.Trunc(v) {
		return v
	}
	v, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64)
	if err != nil {
		return float64(f)
	}
	return v
}

// steady tells whether runs of equal differences make the times shorter.
func steady(points []sum) bool {
	runs := 0
	for i := 2; i < len(points); i++ {
		if dod(points, i) != dod(points, i-1) {
			runs++
		}
	}
	return runs*2 < len(points)
}

// dod is the second difference of the times at i; at 0 the time itself, at 1 the
// first difference.
func dod(points []sum, i int) int64 {
	switch i {
	case 0:
		return points[0].ts
	case 1:
		return points[1].ts - points[0].ts
	}
	return points[i].ts - 2*points[i-1].ts + points[i-2].ts
}

func appendTimes(b []byte, points []sum, runs bool) []byte {
	for i := 0; i < len(points); {
		d, n := dod(points, i), 1
		b = binary.AppendVarint(b, d)
		if runs {
			for i+n < len(points) && dod(points, i+n) == d {
				n++
			}
			b = binary.AppendUvarint(b, uint64(n))
		}
		i += n
	}
	return b
}

func appendCounts(b []byte, points []sum) []byte {
	for i := 0; i < len(points); {
		n := 1
		for i+n < len(points) && points[i+n].n == points[i].n {
			n++
		}
		b = binary.AppendUvarint(b, uint64(points[i].n))
		b = binary.AppendUvarint(b, uint64(n))
		i += n
	}
	return b
}

// cursor reads numbers; bad is set at the first that is not there.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.b = c.b[n:]
	return v
}

// text reads a length and so many bytes.
func (c *cursor) text(most uint64) string {
	n := c.uvarint()
	if n > most || n > uint64(len(c.b)) {
		c.bad = true
		return ""
	}
	s := string(c.b[:n])
	c.b = c.b[n:]
	return s
}

// readBlock decodes a block.
func readBlock(b []byte) ([]sum, error) {
	if len(b) < 2 || b[1] > maxDecimals {
		return nil, errBlock
	}
	flags, decimals, c := b[0], int(b[1]), cursor{b: b[2:]}
	n := c.uvarint()
	if c.bad || n > maxBlock {
		return nil, errBlock
	}
	points := make([]sum, n)
	readTimes(&c, points, flags&flagSteady != 0)
	readCounts(&c, points)
	if flags&flagDecimal != 0 {
		readDecimals(&c, points, decimals)
	} else {
		readBits(&c, points, flags&flag64 != 0)
	}
	if c.bad || len(c.b) != 0 {
		return nil, errBlock
	}
	return points, nil
}

func readDecimals(c *cursor, points []sum, decimals int) {
	v := int64(0)
	for i := range points {
		v += c.varint()
		points[i].total = float64(v) / powers[decimals] * points[i].n
	}
}

func readBits(c *cursor, points []sum, long bool) {
	var bits uint64
	for i := range points {
		bits ^= c.uvarint()
		v := widen(math.Float32frombits(uint32(bits)))
		if long {
			v = math.Float64frombits(bits)
		}
		points[i].total = v * points[i].n
	}
}

func readTimes(c *cursor, points []sum, runs bool) {
	for i := 0; i < len(points) && !c.bad; {
		d, n := c.varint(), uint64(1)
		if runs {
			n = c.uvarint()
		}
		if n == 0 || n > uint64(len(points)-i) {
			c.bad = true
			return
		}
		for range n {
			points[i].ts = timeAt(points, i, d)
			i++
		}
	}
}

// timeAt undoes dod.
func timeAt(points []sum, i int, d int64) int64 {
	switch i {
	case 0:
		return d
	case 1:
		return points[0].ts + d
	}
	return d + 2*points[i-1].ts - points[i-2].ts
}

func readCounts(c *cursor, points []sum) {
	for i := 0; i < len(points) && !c.bad; {
		count, n := c.uvarint(), c.uvarint()
		if n == 0 || n > uint64(len(points)-i) || count == 0 || count > 1<<32 {
			c.bad = true
			return
		}
		for range n {
			points[i].n = float64(count)
			i++
		}
	}
}
