package protocol

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tinylib/msgp/msgp"
)

// decodePack stores a MessagePack value in what into points to, if that is one
// of the types that need no detour over JSON; done says so.
func decodePack(raw []byte, into any) (done bool, err error) {
	switch into := into.(type) {
	case *Value:
		*into = Value{form: formPack, raw: raw}
		return true, nil
	case *any:
		*into = packNatural(raw)
		return true, nil
	case *[]any:
		return packInto(raw, into), nil
	case *map[string]any:
		return packInto(raw, into), nil
	case *map[any]any:
		return packAnyKeys(raw, into), nil
	case *[]byte:
		v, _, err := msgp.ReadBytesBytes(raw, nil)
		if err == nil {
			*into = v
		}
		return err == nil, nil
	case *time.Time:
		v, ok := packTime(raw)
		if ok {
			*into = v
		}
		return ok, nil
	case *string:
		v, _, err := msgp.ReadStringBytes(raw)
		if err == nil {
			*into = v
		}
		return err == nil, nil
	}
	return false, nil
}

func packInto[T any](raw []byte, into *T) bool {
	v, ok := packNatural(raw).(T)
	if ok {
		*into = v
	}
	return ok
}

func packAnyKeys(raw []byte, into *map[any]any) bool {
	switch v := packNatural(raw).(type) {
	case map[any]any:
		*into = v
	case map[string]any:
		*into = make(map[any]any, len(v))
		for k, e := range v {
			(*into)[k] = e
		}
	default:
		return false
	}
	return true
}

// packTime reads a timestamp.
func packTime(raw []byte) (time.Time, bool) {
	if e := packExt(raw); e.Type != msgp.MsgTimeExtension {
		return time.Time{}, false
	}
	t, _, err := msgp.ReadTimeUTCBytes(raw)
	return t, err == nil
}

// packExt reads an extension; a value that is none has type 0 and no data.
func packExt(raw []byte) Extension {
	h, err := readHead(raw)
	if err != nil || h.kind != kindExt {
		return Extension{}
	}
	return Extension{Type: int8(raw[h.size-1]), Data: raw[h.size : h.size+h.n]}
}

// packNatural gives the Go value that Value.Decode names. The text of strings
// and bytes is copied.
func packNatural(raw []byte) any {
	h, _ := readHead(raw)
	switch h.kind {
	case kindBool:
		return raw[0] == 0xc3
	case kindInt, kindUint:
		return packInteger(raw)
	case kindFloat:
		return packFloat(raw)
	case kindString:
		return string(raw[h.size : h.size+h.n])
	case kindBinary:
		return append([]byte{}, raw[h.size:h.size+h.n]...)
	case kindArray:
		list := make([]any, 0, h.n)
		eachPacked(raw, h, func(e []byte) { list = append(list, packNatural(e)) })
		return list
	case kindMap:
		return packNaturalMap(raw, h)
	case kindExt:
		if t, ok := packTime(raw); ok {
			return t
		}
		e := packExt(raw)
		e.Data = append([]byte{}, e.Data...)
		return e
	}
	return nil
}

// eachPacked calls f for every element of an array; of a map, for keys and
// values in turn.
func eachPacked(raw []byte, h head, f func(e []byte)) {
	n := h.n
	if h.kind == kindMap {
		n *= 2
	}
	rest := raw[h.size:]
	for range n {
		size := packLen(rest)
		f(rest[:size:size])
		rest = rest[size:]
	}
}

// packInteger gives an int64, or a uint64 above its range.
func packInteger(raw []byte) any {
	if i, _, err := msgp.ReadInt64Bytes(raw); err == nil {
		return i
	}
	u, _, _ := msgp.ReadUint64Bytes(raw)
	return u
}

func packFloat(raw []byte) float64 {
	if raw[0] == 0xca {
		f, _, _ := msgp.ReadFloat32Bytes(raw)
		return float64(f)
	}
	f, _, _ := msgp.ReadFloat64Bytes(raw)
	return f
}

// packNaturalMap gives a map[string]any when all keys are strings. Keys that no
// Go map takes are replaced by their JSON.
func packNaturalMap(raw []byte, h head) any {
	named, loose := make(map[string]any, h.n), map[any]any(nil)
	var at any
	isKey := true
	eachPacked(raw, h, func(e []byte) {
		if isKey = !isKey; !isKey {
			at = packNatural(e)
			return
		}
		if name, ok := at.(string); ok && loose == nil {
			named[name] = packNatural(e)
			return
		}
		if loose == nil {
			loose = make(map[any]any, h.n)
			for k, v := range named {
				loose[k] = v
			}
		}
		loose[hashable(at)] = packNatural(e)
	})
	if loose != nil {
		return loose
	}
	return named
}

func hashable(v any) any {
	switch v := v.(type) {
	case []byte, []any, map[string]any, map[any]any, Extension:
		b, err := appendJSON(nil, Of(v))
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(b)
	}
	return v
}

// packToJSON appends MessagePack as JSON: binary as base64, a timestamp as RFC
// 3339, keys as text; what JSON has no word for (infinity, no number) is null,
// as JavaScript writes it.
func packToJSON(b, raw []byte) []byte {
	h, _ := readHead(raw)
	data := raw[h.size : h.size+dataSize(h)]
	switch h.kind {
	case kindBool:
		return strconv.AppendBool(b, raw[0] == 0xc3)
	case kindInt, kindUint:
		return fmt.Append(b, packInteger(raw))
	case kindFloat:
		return appendFloat(b, raw)
	case kindString:
		return appendText(b, string(data))
	case kindBinary:
		return appendBase64(b, data)
	case kindExt:
		if t, ok := packTime(raw); ok {
			return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
		}
		return appendBase64(b, data)
	case kindArray:
		b = append(b, '[')
		eachPacked(raw, h, func(e []byte) { b = append(packToJSON(b, e), ',') })
		return closed(b, ']')
	case kindMap:
		return packMapToJSON(append(b, '{'), raw, h)
	}
	return append(b, "null"...)
}

func dataSize(h head) int {
	if h.kind == kindArray || h.kind == kindMap {
		return 0
	}
	return h.n
}

func packMapToJSON(b, raw []byte, h head) []byte {
	isKey := true
	eachPacked(raw, h, func(e []byte) {
		if isKey {
			b = append(packKeyToJSON(b, e), ':')
		} else {
			b = append(packToJSON(b, e), ',')
		}
		isKey = !isKey
	})
	return closed(b, '}')
}

// closed ends a list whose last element has a comma behind it.
func closed(b []byte, end byte) []byte {
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, end)
}

// packKeyToJSON appends a key: what is no string is quoted.
func packKeyToJSON(b, raw []byte) []byte {
	text := packToJSON(nil, raw)
	if text[0] == '"' {
		return append(b, text...)
	}
	return appendText(b, string(text))
}

func appendBase64(b, data []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), data), '"')
}

// appendFloat writes what encoding/json writes.
func appendFloat(b, raw []byte) []byte {
	f, bits := packFloat(raw), 64
	if raw[0] == 0xca {
		bits = 32
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, bits)
}
