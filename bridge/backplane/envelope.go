package backplane

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits of the wire.
const (
	// MaxEnvelope bounds the body of an envelope with its target and its
	// exceptions, in bytes.
	MaxEnvelope = 1 << 20
	// MaxBatch bounds a batch: the envelopes of one origin that go over one channel
	// together.
	MaxBatch = MaxEnvelope + 64<<10
	maxText  = 1 << 10
	maxList  = 10_000
)

// Envelope is one message from node to node. What Kind, Flags, Target and Body
// mean is its user's business.
type Envelope struct {
	Kind   byte
	Flags  byte
	Target string   // at most 1 KiB
	Except []string // who is left out; at most 10,000 of 1 KiB each
	Body   []byte

	Origin string // on receipt: the node that sent it
}

// size is what e takes in a batch at most.
func (e *Envelope) size() int {
	n := 2 + 3*binary.MaxVarintLen32 + len(e.Target) + len(e.Body)
	for _, x := range e.Except {
		n += binary.MaxVarintLen32 + len(x)
	}
	return n
}

// Check tells whether e can be sent.
func (e *Envelope) Check() error {
	long := len(e.Target) > maxText || len(e.Except) > maxList
	for _, x := range e.Except {
		long = long || len(x) > maxText
	}
	if long || e.size() > MaxEnvelope {
		return ErrTooLarge
	}
	return nil
}

// Batch is envelopes of one origin on one channel, numbered on from First. One
// without envelopes tells what the next number is.
type Batch struct {
	Origin string
	Life   uint64
	First  uint64 // number of the first envelope; from 1
	List   []Envelope
}

const batchVersion = 1

// errBatch is what every fault of a batch is.
var errBatch = errors.New("backplane: malformed batch")

// Room tells whether a batch of n bytes takes e as well.
func Room(n int, e *Envelope) bool { return n+e.size() <= MaxBatch }

// AppendBatch appends the wire form of b: version, origin, life, first number,
// how many, then each envelope. Lengths are unsigned varints.
func AppendBatch(to []byte, b *Batch) []byte {
	to = append(to, batchVersion)
	to = appendText(to, b.Origin)
	to = binary.LittleEndian.AppendUint64(to, b.Life)
	to = binary.AppendUvarint(to, b.First)
	to = binary.AppendUvarint(to, uint64(len(b.List)))
	for i := range b.List {
		e := &b.List[i]
		to = appendText(append(to, e.Kind, e.Flags), e.Target)
		to = binary.AppendUvarint(to, uint64(len(e.Except)))
		for _, x := range e.Except {
			to = appendText(to, x)
		}
		to = binary.AppendUvarint(to, uint64(len(e.Body)))
		to = append(to, e.Body...)
	}
	return to
}

func appendText(to []byte, s string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

// ParseBatch reads a batch. Bodies are parts of b, which must not be changed
// afterwards.
func ParseBatch(b []byte) (Batch, error) {
	if len(b) > MaxBatch+maxText {
		return Batch{}, fmt.Errorf("%w: %d bytes", errBatch, len(b))
	}
	r := reader{b: b}
	if v := r.byte(); v != batchVersion {
		return Batch{}, fmt.Errorf("%w: version %d", errBatch, v)
	}
	out := Batch{Origin: r.text(maxText), Life: r.uint64(), First: r.number(1 << 53)}
	n := r.number(uint64(len(r.b)) / 5) // an envelope has at least five bytes
	if r.bad || out.Origin == "" || out.First == 0 {
		return Batch{}, errBatch
	}
	if n > 0 {
		out.List = make([]Envelope, 0, n)
	}
	for range n {
		e := Envelope{Kind: r.byte(), Flags: r.byte(), Target: r.text(maxText), Origin: out.Origin}
		if k := r.number(min(maxList, uint64(len(r.b)))); k > 0 && !r.bad {
			e.Except = make([]string, k)
			for i := range e.Except {
				e.Except[i] = r.text(maxText)
			}
		}
		e.Body = r.bytes(MaxEnvelope)
		if r.bad {
			return Batch{}, errBatch
		}
		out.List = append(out.List, e)
	}
	if len(r.b) > 0 {
		return Batch{}, errBatch
	}
	return out, nil
}

// reader takes a batch apart; after the first fault everything is empty.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	p := r.take(1)
	if p == nil {
		return 0
	}
	return p[0]
}

func (r *reader) uint64() uint64 {
	p := r.take(8)
	if p == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(p)
}

func (r *reader) number(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 || v > most {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text(most uint64) string  { return string(r.take(r.number(most))) }
func (r *reader) bytes(most uint64) []byte { return r.take(r.number(most)) }

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}
