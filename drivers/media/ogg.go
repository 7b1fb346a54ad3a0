package media

import (
	"errors"
	"io"
)

const (
	pageHead   = 27
	pageLast   = 4        // flag of the last page of a stream
	mostPacket = mostHead // bytes; one of sound has a few thousand
)

var errNoPage = errors.New("no page where one should be")

// page is a page of an Ogg file [RFC 3533, 6]: its head, the sizes of its
// segments, and their bytes.
type page []byte

// readPage reads a page. It ends with io.EOF where there is none.
func readPage(r io.Reader) (page, error) {
	p := make(page, pageHead, 8<<10)
	if _, err := io.ReadFull(r, p); err != nil {
		return nil, err
	}
	if string(p[:4]) != "OggS" || p[pageHead-1] == 0 {
		return nil, errNoPage
	}
	p, err := p.more(r, int(p[pageHead-1]))
	if err != nil {
		return nil, err
	}
	total := 0
	for _, s := range p.sizes() {
		total += int(s)
	}
	return p.more(r, total)
}

func (p page) more(r io.Reader, n int) (page, error) {
	p = append(p, make([]byte, n)...)
	if _, err := io.ReadFull(r, p[len(p)-n:]); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return p, nil
}

func (p page) sizes() []byte { return p[pageHead:][:p[pageHead-1]] }
func (p page) body() []byte  { return p[pageHead+int(p[pageHead-1]):] }
func (p page) last() bool    { return p[5]&pageLast != 0 }

// pages hands out the pages of one stream. It ends with the last of them: behind
// it the decoder calls itself for each packet that adds nothing, as deep as there
// are such packets. A packet that does not end is an error, before it has filled
// the memory.
type pages struct {
	r      io.Reader
	left   page // of the present page
	ended  bool
	packet int // bytes of the packet that goes on in the next page
}

func (p *pages) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		if err := p.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.left)
	p.left = p.left[n:]
	return n, nil
}

func (p *pages) next() error {
	if p.ended {
		return io.EOF
	}
	next, err := readPage(p.r)
	if err != nil {
		return err
	}
	for _, s := range next.sizes() {
		if p.packet += int(s); p.packet > mostPacket {
			return errors.New("a packet is too long")
		}
		if s < 255 {
			p.packet = 0
		}
	}
	p.left, p.ended = next, next.last()
	return nil
}
