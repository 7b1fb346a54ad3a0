package protocol

import "bytes"

// Splitter cuts a stream of bytes into records. It keeps the part of a record
// that has come so far, never more than its limit. It is not safe for
// concurrent use.
type Splitter struct {
	limit  int
	binary bool // records have a length prefix instead of a separator
	rest   []byte
}

// NewSplitter makes a splitter for records of at most limit bytes: of text with
// the separator, of MessagePack without the length prefix. It begins with text,
// which the handshake is in every encoding.
func NewSplitter(limit int) *Splitter { return &Splitter{limit: limit} }

// Use makes the splitter cut as c has it. It may be called from take, when the
// record was the handshake: what follows is cut the new way.
func (s *Splitter) Use(c Codec) { s.binary = c.Binary() }

// Reset forgets the part of a record that has come: the peer begins anew with a
// whole one.
func (s *Splitter) Reset() { s.rest = nil }

// Feed takes the next bytes of the stream and hands each record that is now
// complete to take, without its framing and in order. A record is valid only
// during the call of take. Feed ends with take's first error, with
// [ErrTooLarge] when a record is longer than the limit, which is found out
// before it is kept, and with an error that wraps [ErrInvalid] when a length is
// none; the splitter is of no use after an error.
func (s *Splitter) Feed(p []byte, take func(record []byte) error) error {
	for len(p) > 0 {
		feed := s.text
		if s.binary {
			feed = s.packed
		}
		n, err := feed(p, take)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// text takes the bytes up to the end of one record, or all of them when it has
// no end yet.
func (s *Splitter) text(p []byte, take func([]byte) error) (int, error) {
	i := bytes.IndexByte(p, Separator)
	if i < 0 {
		// A record without an end that already fills the limit can only become too
		// long.
		return len(p), s.keep(p, s.limit-1)
	}
	if len(s.rest)+i+1 > s.limit {
		return 0, ErrTooLarge
	}
	return i + 1, s.emit(p[:i], 0, take)
}

// packed is text for records with a length prefix.
func (s *Splitter) packed(p []byte, take func([]byte) error) (int, error) {
	if len(s.rest) == 0 { // nothing is copied when a whole record came at once
		prefix, n, err := readPrefix(p, s.limit)
		if err != nil {
			return 0, err
		}
		if prefix > 0 && len(p) >= prefix+n {
			return prefix + n, take(p[prefix : prefix+n])
		}
	}
	prefix, n, _ := readPrefix(s.rest, s.limit) // was checked when its last byte came
	if prefix == 0 {
		s.rest = append(s.rest, p[0])
		_, _, err := readPrefix(s.rest, s.limit)
		return 1, err
	}
	used := prefix + n - len(s.rest)
	if used > len(p) {
		return len(p), s.keep(p, s.limit+prefixSpace)
	}
	return used, s.emit(p[:used], prefix, take)
}

// readPrefix reads a length: seven bits a byte, lowest first. prefix is 0 when
// its end has not come yet.
func readPrefix(b []byte, limit int) (prefix, n int, err error) {
	for i := 0; i < len(b) && i < prefixSpace; i++ {
		if i == prefixSpace-1 && b[i] > 7 {
			return 0, 0, invalid("messages over 2GB in size are not supported")
		}
		n |= int(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 != 0 {
			continue
		}
		switch {
		case n == 0:
			return 0, 0, invalid("message of no length")
		case n > limit:
			return 0, 0, ErrTooLarge
		}
		return i + 1, n, nil
	}
	return 0, 0, nil
}

// emit hands over a record whose last part is p, without the first bytes.
func (s *Splitter) emit(p []byte, skip int, take func([]byte) error) error {
	if len(s.rest) == 0 {
		return take(p[skip:])
	}
	record := append(s.rest, p...)
	s.rest = nil // an idle connection holds no buffer
	return take(record[skip:])
}

// keep stores the beginning of a record.
func (s *Splitter) keep(p []byte, limit int) error {
	if len(s.rest)+len(p) > limit {
		return ErrTooLarge
	}
	s.rest = append(s.rest, p...)
	return nil
}
