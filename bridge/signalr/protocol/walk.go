package protocol

import (
	"bytes"
	"encoding/json"
)

// The functions of this file walk over JSON text that wellFormed has accepted;
// they find edges and check nothing.

// walk calls each for every property of the object in record.
func walk(record []byte, each func(name []byte, value json.RawMessage) error) error {
	i := space(record, 0)
	if record[i] != '{' {
		return invalid("expected a JSON object")
	}
	for i = space(record, i+1); record[i] != '}'; {
		end := skip(record, i)
		name := name(record[i:end])
		i = space(record, space(record, end)+1) // over the colon
		end = skip(record, i)
		if err := each(name, record[i:end:end]); err != nil {
			return err
		}
		if i = space(record, end); record[i] == ',' {
			i = space(record, i+1)
		}
	}
	return nil
}

// name gives what a quoted string says. Escapes are legal in names.
func name(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return nil
	}
	return []byte(s)
}

// key is name as a string of its own.
func key(quoted []byte) string { return string(name(quoted)) }

// space gives the index of the first byte from i on that is not white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skip gives the index behind the value that begins at i.
func skip(b []byte, i int) int {
	switch b[i] {
	case '"':
		return quoted(b, i)
	case '{', '[':
		return nested(b, i)
	}
	for i < len(b) && !ends(b[i]) {
		i++
	}
	return i
}

// ends says whether c ends a number or a literal.
func ends(c byte) bool {
	switch c {
	case ',', ']', '}', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}

func quoted(b []byte, i int) int {
	if end := bytes.IndexByte(b[i+1:], '"'); end >= 0 && bytes.IndexByte(b[i+1:i+1+end], '\\') < 0 {
		return i + end + 2 // no escapes: most strings
	}
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

func nested(b []byte, i int) int {
	for level := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = quoted(b, i) - 1
		case '{', '[':
			level++
		case '}', ']':
			if level--; level == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}
