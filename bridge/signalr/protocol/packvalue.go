package protocol

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tinylib/msgp/msgp"
)

// appendPack appends v as MessagePack; no value is nil.
func appendPack(b []byte, v Value) ([]byte, error) {
	switch v.form {
	case formPack:
		return append(b, v.raw...), nil
	case formJSON:
		return jsonToPack(b, v.raw)
	}
	return packGo(b, v.val, MaxDepth)
}

// packGo appends a Go value. What encoding/json would make text of stays what
// it is where MessagePack can say it: []byte is binary, time.Time a timestamp,
// keys of any kind are keys of that kind.
func packGo(b []byte, v any, depth int) ([]byte, error) {
	if depth < 0 {
		return b, errDeep
	}
	switch v := v.(type) {
	case nil:
		return append(b, packNil), nil
	case bool:
		return msgp.AppendBool(b, v), nil
	case int:
		return packInt(b, int64(v)), nil
	case int64:
		return packInt(b, v), nil
	case uint64:
		return msgp.AppendUint64(b, v), nil
	case float64:
		return msgp.AppendFloat64(b, v), nil
	case string:
		return packText(b, v), nil
	case []byte:
		return packBytes(b, v), nil
	case time.Time:
		return msgp.AppendTimeExt(b, v), nil
	case json.Number:
		return packNumber(b, string(v))
	case json.RawMessage:
		return jsonToPack(b, v)
	case Value:
		return appendPack(b, v)
	case Extension:
		return packExtension(b, v), nil
	case []any:
		return packList(b, v, depth)
	case map[string]any:
		return packMap(b, v, depth)
	case map[any]any:
		return packAnyMap(b, v, depth)
	}
	return packOther(b, v, depth)
}

var errDeep = fmt.Errorf("value is nested deeper than %d", MaxDepth)

// packOther is for values that encode themselves, and for everything else.
func packOther(b []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case msgp.Marshaler:
		return v.MarshalMsg(b)
	case json.Marshaler:
		text, err := json.Marshal(v)
		if err != nil {
			return b, err
		}
		return jsonToPack(b, text)
	case encoding.TextMarshaler:
		text, err := json.Marshal(v) // which knows of nil pointers
		if err != nil {
			return b, err
		}
		return jsonToPack(b, text)
	}
	return packReflect(b, v, depth)
}

// packInt takes the shortest form, as the vendor's encoder does.
func packInt(b []byte, i int64) []byte {
	if i >= 0 {
		return msgp.AppendUint64(b, uint64(i))
	}
	return msgp.AppendInt64(b, i)
}

// packText replaces what is no UTF-8, as the other encoding does.
func packText(b []byte, s string) []byte {
	return msgp.AppendString(b, strings.ToValidUTF8(s, "\ufffd"))
}

func packBytes(b, v []byte) []byte {
	if v == nil {
		return append(b, packNil)
	}
	return msgp.AppendBytes(b, v)
}

func packList(b []byte, v []any, depth int) (_ []byte, err error) {
	if v == nil {
		return append(b, packNil), nil
	}
	b = msgp.AppendArrayHeader(b, uint32(len(v)))
	for _, e := range v {
		if b, err = packGo(b, e, depth-1); err != nil {
			return b, err
		}
	}
	return b, nil
}

// packMap writes keys in order, so that equal values are equal bytes.
func packMap(b []byte, v map[string]any, depth int) (_ []byte, err error) {
	if v == nil {
		return append(b, packNil), nil
	}
	b = msgp.AppendMapHeader(b, uint32(len(v)))
	for _, k := range slices.Sorted(maps.Keys(v)) {
		if b, err = packGo(msgp.AppendString(b, k), v[k], depth-1); err != nil {
			return b, err
		}
	}
	return b, nil
}

func packAnyMap(b []byte, v map[any]any, depth int) (_ []byte, err error) {
	if v == nil {
		return append(b, packNil), nil
	}
	b = msgp.AppendMapHeader(b, uint32(len(v)))
	for k, e := range v {
		if b, err = packGo(b, k, depth-1); err != nil {
			return b, err
		}
		if b, err = packGo(b, e, depth-1); err != nil {
			return b, err
		}
	}
	return b, nil
}

func packExtension(b []byte, e Extension) []byte {
	n := len(e.Data)
	switch {
	case n <= math.MaxUint8:
		b = append(b, 0xc7, byte(n))
	case n <= math.MaxUint16:
		b = append(b, 0xc8, byte(n>>8), byte(n))
	default:
		b = append(b, 0xc9, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(append(b, byte(e.Type)), e.Data...)
}

// packNumber appends a JSON number: an integer where it is written as one and
// fits, else a float. An integer beyond 64 bits has no MessagePack but as a
// rounded float, as in every client of the vendor.
func packNumber(b []byte, s string) ([]byte, error) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil && s != "-0" {
		return packInt(b, i), nil
	}
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return msgp.AppendUint64(b, u), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return b, fmt.Errorf("%q is no number", s)
	}
	return msgp.AppendFloat64(b, f), nil
}

// jsonToPack appends JSON text as MessagePack.
func jsonToPack(b []byte, text []byte) ([]byte, error) {
	if len(text) == 0 {
		return append(b, packNil), nil
	}
	if err := wellFormed(text); err != nil {
		return b, err
	}
	i := space(text, 0)
	return jsonValueToPack(b, text[i:skip(text, i)])
}

// jsonValueToPack appends one value of text that wellFormed has accepted.
func jsonValueToPack(b []byte, text []byte) ([]byte, error) {
	switch text[0] {
	case 'n':
		return append(b, packNil), nil
	case 't', 'f':
		return msgp.AppendBool(b, text[0] == 't'), nil
	case '"':
		return msgp.AppendString(b, key(text)), nil
	case '[':
		return jsonListToPack(b, text)
	case '{':
		return jsonObjectToPack(b, text)
	}
	return packNumber(b, string(text))
}

func jsonListToPack(b []byte, text []byte) ([]byte, error) {
	n := 0
	if err := elements("array", text, func(json.RawMessage) error { n++; return nil }); err != nil {
		return b, err
	}
	b = msgp.AppendArrayHeader(b, uint32(n))
	err := elements("array", text, func(e json.RawMessage) (err error) {
		b, err = jsonValueToPack(b, e)
		return err
	})
	return b, err
}

func jsonObjectToPack(b []byte, text []byte) ([]byte, error) {
	n := 0
	if err := walk(text, func([]byte, json.RawMessage) error { n++; return nil }); err != nil {
		return b, err
	}
	b = msgp.AppendMapHeader(b, uint32(n))
	err := walk(text, func(name []byte, value json.RawMessage) (err error) {
		b, err = jsonValueToPack(msgp.AppendStringFromBytes(b, name), value)
		return err
	})
	return b, err
}
