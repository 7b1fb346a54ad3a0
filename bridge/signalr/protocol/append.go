package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// jsonCodec is the JSON encoding.
type jsonCodec struct{}

// Name implements Codec.
func (jsonCodec) Name() string { return NameJSON }

// Binary implements Codec.
func (jsonCodec) Binary() bool { return false }

// Append implements Codec.
func (jsonCodec) Append(dst []byte, m *Message) (_ []byte, err error) {
	b := append(dst, `{"type":`...)
	b = strconv.AppendInt(b, int64(m.Type), 10)
	switch m.Type {
	case Invocation, StreamInvocation:
		b, err = appendCall(appendID(b, m.ID), m)
	case StreamItem:
		b, err = appendJSON(append(appendID(b, m.ID), `,"item":`...), m.Item)
	case Completion:
		b, err = appendCompletion(appendID(b, m.ID), m)
	case CancelInvocation:
		b = appendID(b, m.ID)
	case Ping:
	case Close:
		b = appendClose(b, m)
	case Ack, Sequence:
		b = strconv.AppendUint(append(b, `,"sequenceId":`...), m.SequenceID, 10)
	default:
		err = unknownType(m.Type)
	}
	if err != nil {
		return dst, err
	}
	return append(b, '}', Separator), nil
}

func unknownType(t Type) error { return fmt.Errorf("message of unknown type %d", t) }

func argumentError(i int, target string, err error) error {
	return fmt.Errorf("argument %d of %s: %w", i, target, err)
}

func appendCall(b []byte, m *Message) (_ []byte, err error) {
	b = appendText(append(b, `,"target":`...), m.Target)
	b = append(b, `,"arguments":[`...)
	for i, arg := range m.Args {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendJSON(b, arg); err != nil {
			return b, argumentError(i, m.Target, err)
		}
	}
	b = append(b, ']')
	if len(m.StreamIDs) == 0 {
		return b, nil
	}
	b = append(b, `,"streamIds":[`...)
	for _, id := range m.StreamIDs {
		b = append(appendText(b, id), ',')
	}
	return closed(b, ']'), nil
}

func appendCompletion(b []byte, m *Message) ([]byte, error) {
	switch {
	case m.Failed:
		return appendText(append(b, `,"error":`...), m.Error), nil
	case m.Result.Present():
		return appendJSON(append(b, `,"result":`...), m.Result)
	}
	return b, nil
}

func appendClose(b []byte, m *Message) []byte {
	if m.Error != "" {
		b = appendText(append(b, `,"error":`...), m.Error)
	}
	if m.AllowReconnect {
		b = append(b, `,"allowReconnect":true`...)
	}
	return b
}

func appendID(b []byte, id string) []byte {
	if id == "" {
		return b
	}
	return appendText(append(b, `,"invocationId":`...), id)
}

// appendJSON appends v as JSON; no value is null.
func appendJSON(b []byte, v Value) ([]byte, error) {
	switch v.form {
	case formGo:
		return appendValue(b, v.val)
	case formJSON:
		return append(b, v.raw...), nil
	case formPack:
		return packToJSON(b, v.raw), nil
	}
	return append(b, "null"...), nil
}

// appendValue appends v as JSON. HTML characters stay as they are, and bytes
// that are no UTF-8 (a json.RawMessage can hold them) are replaced: a text
// frame must not carry them.
func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case uint64:
		return strconv.AppendUint(b, v, 10), nil
	case string:
		return appendText(b, v), nil
	case Value:
		return appendJSON(b, v)
	case json.RawMessage:
		if asItIs(v) {
			return append(b, v...), nil
		}
	case []any:
		return appendList(b, v)
	case map[string]any:
		return appendObject(b, v)
	case map[any]any:
		return appendAnyObject(b, v)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return b, err
	}
	text := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\ufffd"))
	}
	return append(b, text...), nil
}

// asItIs tells whether JSON that somebody made can stand in a message without
// encoding/json's help: it is one value, UTF-8, and has no line breaks, which
// server-sent events could not carry.
func asItIs(raw []byte) bool {
	c := checker{b: raw}
	return utf8.Valid(raw) && bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 && c.check() == nil
}

const hex = "0123456789abcdef"

// appendText appends s as a JSON string. Most need no escapes.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	begin := len(b)
	b = append(b, s...)
	if clean(b[begin:]) == len(s) && utf8.Valid(b[begin:]) {
		return append(b, '"')
	}
	return appendEscapes(b[:begin], s)
}

// appendEscapes is appendText for everything behind the first quote.
func appendEscapes(b []byte, s string) []byte {
	done := 0 // what is before is appended; from here on it can be, as it is
	for i := 0; i < len(s); {
		if c := s[i]; c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r >= utf8.RuneSelf && (r != utf8.RuneError || n > 1) {
			i += n
			continue
		}
		b = appendEscaped(append(b, s[done:i]...), r)
		i += n
		done = i
	}
	return append(append(b, s[done:]...), '"')
}

// appendEscaped appends what a JSON string cannot have as it is; an invalid byte
// becomes U+FFFD.
func appendEscaped(b []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(b, '\\', byte(r))
	case r == '\n':
		return append(b, '\\', 'n')
	case r < 0x20:
		return append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
	}
	return utf8.AppendRune(b, r)
}
