package protocol

import (
	"encoding/json"
	"errors"
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

// Parse implements Codec. Property order is free, names are case-sensitive,
// unknown properties are ignored, and the last of several equal properties
// counts.
func (jsonCodec) Parse(record []byte) (Message, error) {
	var m Message
	if err := wellFormed(record); err != nil {
		return m, err
	}
	var seen fields
	err := walk(record, func(name []byte, value json.RawMessage) error {
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

// wellFormed checks all that must hold before the bytes are walked.
func wellFormed(record []byte) error {
	switch {
	case len(record) == 0:
		return invalid("empty message")
	case !utf8.Valid(record):
		// A client that gets these bytes in a text frame must drop its socket, so
		// they are stopped where they come in.
		return invalid("message is not valid UTF-8")
	}
	c := checker{b: record}
	switch {
	case c.valid():
		return nil
	case c.deep:
		return invalid("message is nested deeper than %d", MaxDepth)
	}
	return invalid("error reading JSON")
}

// set stores one property. A property that does not belong to the type of the
// message is read all the same: the type may come last.
func (m *Message) set(name []byte, value json.RawMessage, seen *fields) error {
	switch string(name) {
	case "type":
		*seen |= fieldType
		n, err := integer(string(name), value)
		m.Type = Type(n)
		return err
	case "invocationId":
		return text(string(name), value, &m.ID)
	case "target":
		return text(string(name), value, &m.Target)
	case "arguments":
		*seen |= fieldArguments
		return m.setArguments(value)
	case "streamIds":
		return m.setStreams(value)
	case "item":
		m.Item = Value{form: formJSON, raw: value}
	case "result":
		m.Result = Value{form: formJSON, raw: value}
	case "error":
		m.Failed = string(value) != "null"
		return text(string(name), value, &m.Error)
	case "allowReconnect":
		return boolean(string(name), value, &m.AllowReconnect)
	case "sequenceId":
		*seen |= fieldSequence
		n, err := integer(string(name), value)
		m.SequenceID = uint64(max(n, 0))
		return err
	}
	return nil
}

func (m *Message) setStreams(value json.RawMessage) error {
	if string(value) == "null" {
		return nil
	}
	m.StreamIDs = nil
	return elements("streamIds", value, func(e json.RawMessage) error {
		var id string
		err := text("streamIds", e, &id)
		m.StreamIDs = append(m.StreamIDs, id)
		return errors.Join(err, roomy(len(m.StreamIDs)))
	})
}

func (m *Message) setArguments(value json.RawMessage) error {
	m.Args = m.Args[:0]
	return elements("arguments", value, func(e json.RawMessage) error {
		m.Args = append(m.Args, Value{form: formJSON, raw: e})
		return roomy(len(m.Args))
	})
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
	*into = key(value)
	return nil
}

func boolean(name string, value json.RawMessage, into *bool) error {
	if s := string(value); s != "true" && s != "false" {
		return invalid("expected '%s' to be of type Boolean", name)
	}
	*into = value[0] == 't'
	return nil
}

// elements calls each for every value of an array, without decoding them.
func elements(name string, value json.RawMessage, each func(json.RawMessage) error) error {
	if value[0] != '[' {
		return invalid("expected '%s' to be of type Array", name)
	}
	for i := space(value, 1); value[i] != ']'; {
		end := skip(value, i)
		if err := each(value[i:end:end]); err != nil {
			return err
		}
		if i = space(value, end); value[i] == ',' {
			i = space(value, i+1)
		}
	}
	return nil
}
