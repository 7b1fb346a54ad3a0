package protocol

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// fields is the set of properties that a record had.
type fields uint16

const (
	fieldType fields = 1 << iota
	fieldArguments
	fieldSequence
)

func (f fields) has(x fields) bool { return f&x != 0 }

// Parse reads one JSON record, separator removed. Property order is free,
// names are case-sensitive, unknown properties are ignored, and the last of
// several equal properties counts. The message points into record. Errors wrap
// [ErrInvalid].
func Parse(record []byte) (Message, error) {
	var m Message
	if err := wellFormed(record); err != nil {
		return m, err
	}
	var seen fields
	err := walk(record, func(name string, value json.RawMessage) error {
		return m.set(name, value, &seen)
	})
	if err != nil {
		return m, err
	}
	if !seen.has(fieldType) {
		return m, missing("type")
	}
	return m, m.check(seen)
}

// wellFormed checks all that must hold before the bytes are walked: depth
// first, because it bounds what the syntax check may recurse into.
func wellFormed(record []byte) error {
	switch {
	case len(record) == 0:
		return invalid("empty message")
	case !utf8.Valid(record):
		// A client that gets these bytes in a text frame must drop its socket, so
		// they are stopped where they come in.
		return invalid("message is not valid UTF-8")
	case depth(record) > MaxDepth:
		return invalid("message is nested deeper than %d", MaxDepth)
	case !json.Valid(record):
		return invalid("error reading JSON")
	}
	return nil
}

// set stores one property. A property that does not belong to the type of the
// message is read all the same: the type may come last.
func (m *Message) set(name string, value json.RawMessage, seen *fields) error {
	switch name {
	case "type":
		*seen |= fieldType
		n, err := integer(name, value)
		m.Type = Type(n)
		return err
	case "invocationId":
		return text(name, value, &m.ID)
	case "target":
		return text(name, value, &m.Target)
	case "arguments":
		*seen |= fieldArguments
		return elements(name, value, &m.Args)
	case "streamIds":
		return m.setStreams(value)
	case "item":
		m.Item = value
	case "result":
		m.Result = value
	case "error":
		m.Failed = string(value) != "null"
		return text(name, value, &m.Error)
	case "allowReconnect":
		return boolean(name, value, &m.AllowReconnect)
	case "sequenceId":
		*seen |= fieldSequence
		n, err := integer(name, value)
		m.SequenceID = uint64(max(n, 0))
		return err
	}
	return nil
}

func (m *Message) setStreams(value json.RawMessage) error {
	if string(value) == "null" {
		return nil
	}
	var ids []json.RawMessage
	if err := elements("streamIds", value, &ids); err != nil {
		return err
	}
	m.StreamIDs = make([]string, len(ids))
	for i, id := range ids {
		if err := text("streamIds", id, &m.StreamIDs[i]); err != nil {
			return err
		}
	}
	return nil
}

func integer(name string, value []byte) (int64, error) {
	if c := value[0]; c != '-' && (c < '0' || c > '9') {
		return 0, invalid("expected '%s' to be of type Number", name)
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0, invalid("expected '%s' to be an integer", name)
	}
	return n, nil
}

// text reads a string; null is the empty one.
func text(name string, value json.RawMessage, into *string) error {
	if string(value) == "null" {
		*into = ""
		return nil
	}
	if value[0] != '"' {
		return invalid("expected '%s' to be of type String", name)
	}
	return json.Unmarshal(value, into)
}

func boolean(name string, value json.RawMessage, into *bool) error {
	if s := string(value); s != "true" && s != "false" {
		return invalid("expected '%s' to be of type Boolean", name)
	}
	*into = value[0] == 't'
	return nil
}

// elements cuts an array into its values, without decoding them.
func elements(name string, value json.RawMessage, into *[]json.RawMessage) error {
	if value[0] != '[' {
		return invalid("expected '%s' to be of type Array", name)
	}
	list := (*into)[:0]
	for i := space(value, 1); value[i] != ']'; {
		end := skip(value, i)
		list = append(list, value[i:end:end])
		if i = space(value, end); value[i] == ',' {
			i = space(value, i+1)
		}
	}
	*into = list
	return nil
}
