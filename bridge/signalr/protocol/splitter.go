package protocol

import "bytes"

// Splitter cuts a stream of bytes into records. It keeps the part of a record
// that has come so far, never more than its limit. It is not safe for
// concurrent use.
type Splitter struct {
	limit int
	rest  []byte
}

// NewSplitter makes a splitter for records of at most limit bytes, separator
// included.
func NewSplitter(limit int) *Splitter { return &Splitter{limit: limit} }

// Feed takes the next bytes of the stream and hands each record that is now
// complete to take, without its separator and in order. A record is valid only
// during the call of take. Feed ends with take's first error, or with
// [ErrTooLarge] when a record is longer than the limit; the splitter is of no
// use after an error.
func (s *Splitter) Feed(p []byte, take func(record []byte) error) error {
	for {
		i := bytes.IndexByte(p, Separator)
		if i < 0 {
			return s.keep(p)
		}
		if len(s.rest)+i+1 > s.limit {
			return ErrTooLarge
		}
		if err := s.emit(p[:i], take); err != nil {
			return err
		}
		p = p[i+1:]
	}
}

// emit hands over a record whose last part is p.
func (s *Splitter) emit(p []byte, take func([]byte) error) error {
	if len(s.rest) == 0 {
		return take(p)
	}
	record := append(s.rest, p...)
	s.rest = nil // an idle connection holds no buffer
	return take(record)
}

// keep stores the beginning of a record. A record without an end that already
// fills the limit can only become too long.
func (s *Splitter) keep(p []byte) error {
	if len(s.rest)+len(p) >= s.limit {
		return ErrTooLarge
	}
	if len(p) > 0 {
		s.rest = append(s.rest, p...)
	}
	return nil
}
