package protocol

import (
	"maps"
	"slices"
)

// The values that Value.Decode gives, written as JSON without the detour over
// encoding/json, which has no map[any]any and does not know how deep it may go.

func appendList(b []byte, v []any) (_ []byte, err error) {
	if v == nil {
		return append(b, "null"...), nil
	}
	b = append(b, '[')
	for _, e := range v {
		if b, err = appendValue(b, e); err != nil {
			return b, err
		}
		b = append(b, ',')
	}
	return closed(b, ']'), nil
}

func appendObject(b []byte, v map[string]any) (_ []byte, err error) {
	if v == nil {
		return append(b, "null"...), nil
	}
	b = append(b, '{')
	for _, k := range slices.Sorted(maps.Keys(v)) {
		if b, err = appendValue(append(appendText(b, k), ':'), v[k]); err != nil {
			return b, err
		}
		b = append(b, ',')
	}
	return closed(b, '}'), nil
}

// appendAnyObject writes the keys as text.
func appendAnyObject(b []byte, v map[any]any) (_ []byte, err error) {
	if v == nil {
		return append(b, "null"...), nil
	}
	named := make(map[string]any, len(v))
	for k, e := range v {
		text, err := appendValue(nil, k)
		if err != nil {
			return b, err
		}
		if text[0] == '"' {
			text = []byte(key(text))
		}
		named[string(text)] = e
	}
	return appendObject(b, named)
}
