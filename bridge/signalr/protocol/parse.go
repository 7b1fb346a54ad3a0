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
func (jsonCodec) Parse(record []byte) (m Message, err error) {
	if err := legible(record); err != nil {
		return m, err
	}
	c := checker{b: record}
	if c.space(); c.next() != '{' {
		if err := c.check(); err != nil {
			return m, err
		}
		return m, invalid("expected a JSON object")
	}
	var seen fields
	more, ok := c.open('}')
	for more {
		var key, value []byte
		if key, value, more, ok = c.member(1); ok && err == nil {
			err = m.set(name(key), value, &seen)
		}
	}
	if wrong := c.end(ok); wrong != nil { // whatever is wrong with what came before
		return m, wrong
	}
	if err == nil && !seen.has(fieldType) {
		err = missing("type")
	}
	if err == nil {
		err = m.check(seen)
	}
	return m, err
}

// wellFormed checks all that must hold before the bytes are walked.
func wellFormed(record []byte) error {
	if err := legible(record); err != nil {
		return err
	}
	c := checker{b: record}
	return c.check()
}

// legible says whether a record is text at all.
func legible(record []byte) error {
	switch {
	case len(record) == 0:
		return invalid("empty message")
	case !utf8.Valid(record):
		// A client that gets these bytes in a text frame must drop its socket, so
		// they are stopped where they come in.
		return invalid("message is not valid UTF-8")
	}
	return nil
}

// set stores one property. A property that does not belong to the type of the
// message is read all the same: the type may come last.
func (m *Message) set(name []byte, value json.RawMessage, seen *fields) error {
	switch string(name) {
	case "type":
		*seen |= fieldType
		n, err := integer("type", value)
		m.Type = Type(n)
		return err
	case "invocationId":
		return text("invocationId", value, &m.ID)
	case "target":
		return text("target", value, &m.Target)
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
		return text("error", value, &m.Error)
	case "allowReconnect":
		return boolean("allowReconnect", value, &m.AllowReconnect)
	case "sequenceId":
		*seen |= fieldSequence
		n, err := integer("sequenceId", value)
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
