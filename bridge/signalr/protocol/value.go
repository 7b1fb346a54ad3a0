package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Value is an argument, an item or a result: a Go value that is to be written,
// or bytes that came, in the encoding in which they came. A value that came by
// one encoding can be written by the other: see doc.go. The zero Value is none,
// which is not the same as null.
type Value struct {
	form form
	raw  []byte
	val  any
}

// form says what a Value holds.
type form uint8

const (
	formNone form = iota
	formGo
	formJSON
	formPack
)

// Of makes a Value of a Go value; nil is null. A Value stays as it is.
func Of(v any) Value {
	if v, ok := v.(Value); ok {
		return v
	}
	return Value{form: formGo, val: v}
}

// Values makes Values of Go values.
func Values(args ...any) []Value {
	list := make([]Value, len(args))
	for i, a := range args {
		list[i] = Of(a)
	}
	return list
}

// Present says whether there is a value at all; null is one.
func (v Value) Present() bool { return v.form != formNone }

// Null says whether the value is null.
func (v Value) Null() bool {
	switch v.form {
	case formGo:
		return v.val == nil
	case formJSON:
		return string(v.raw) == "null"
	case formPack:
		return len(v.raw) == 1 && v.raw[0] == packNil
	}
	return false
}

// Size is how many bytes the value took on the wire; 0 for a Go value.
func (v Value) Size() int { return len(v.raw) }

// JSON returns the value as JSON, nil when there is none: as it came when it
// came as JSON. A Go value that has no JSON gives nil, too.
func (v Value) JSON() json.RawMessage {
	if v.form == formNone {
		return nil
	}
	b, err := appendJSON(nil, v)
	if err != nil {
		return nil
	}
	return b
}

// MarshalJSON implements json.Marshaler; no value is null.
func (v Value) MarshalJSON() ([]byte, error) { return appendJSON(nil, v) }

// UnmarshalJSON implements json.Unmarshaler.
func (v *Value) UnmarshalJSON(b []byte) error {
	*v = Value{form: formJSON, raw: bytes.Clone(b)}
	return nil
}

// Decode stores the value in what into points to, by the rules of
// encoding/json, with these differences: null is refused for numbers and bools,
// as the vendor's server does; []byte and time.Time take MessagePack's own
// forms, too; a *Value gets the value as it came; and *any (also as elements of
// *[]any and *map[string]any) gets, whatever the encoding, nil, bool, int64,
// uint64 above its range, float64, string, []any, map[string]any, and from
// MessagePack also []byte, time.Time, map[any]any and [Extension]. A JSON number
// that fits none of them becomes a json.Number.
func (v Value) Decode(into any) error {
	switch v.form {
	case formNone:
		return fmt.Errorf("no value")
	case formPack:
		if done, err := decodePack(v.raw, into); done {
			return err
		}
		return decodeJSON(v.JSON(), into)
	case formJSON:
		return decodeJSON(v.raw, into)
	}
	b, err := appendJSON(nil, v)
	if err != nil {
		return err
	}
	return decodeJSON(b, into)
}

// Extension is an application's own MessagePack type. JSON has none: there it is
// the base64 text of its data.
type Extension struct {
	Type int8   // from 0; the negative ones are MessagePack's own
	Data []byte // what it means is the application's
}

// MarshalJSON implements json.Marshaler.
func (e Extension) MarshalJSON() ([]byte, error) { return json.Marshal(e.Data) }
