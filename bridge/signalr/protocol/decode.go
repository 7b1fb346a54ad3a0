package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
)

var errNull = errors.New("null for a value that cannot be null")

// decodeJSON stores JSON text in what into points to.
func decodeJSON(raw []byte, into any) error {
	switch into := into.(type) {
	case *Value:
		*into = Value{form: formJSON, raw: raw}
		return nil
	case *string:
		if len(raw) > 1 && raw[0] == '"' && raw[len(raw)-1] == '"' {
			*into = key(raw)
			return nil
		}
	case *any:
		v, err := natural(raw)
		*into = v
		return err
	case *[]any:
		return decodeAs(raw, into)
	case *map[string]any:
		return decodeAs(raw, into)
	}
	if bytes.Equal(raw, []byte("null")) && !nullable(into) {
		return errNull
	}
	return json.Unmarshal(raw, into)
}

// decodeAs decodes into a T whose elements are of any kind.
func decodeAs[T any](raw []byte, into *T) error {
	v, err := natural(raw)
	if err != nil {
		return err
	}
	if t, ok := v.(T); ok || v == nil {
		*into = t
		return nil
	}
	return json.Unmarshal(raw, into) // for its error
}

func nullable(into any) bool {
	t := reflect.TypeOf(into)
	if t == nil || t.Kind() != reflect.Pointer {
		return true // the decoder has a better error
	}
	switch t.Elem().Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return false
	}
	return true
}

// natural decodes JSON text into the Go values that Value.Decode names.
func natural(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return numbers(v), nil
}

// numbers replaces each json.Number inside v.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return number(v)
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// number gives the value of a JSON number, or n itself when Go has no such
// number.
func number(n json.Number) any {
	s := string(n)
	if i, err := strconv.ParseInt(s, 10, 64); err == nil && s != "-0" {
		return i
	}
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return u
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && !longInteger(s) {
		return f
	}
	return n
}

// longInteger says that s is an integer which a float64 would round.
func longInteger(s string) bool {
	for _, c := range s {
		if c != '-' && (c < '0' || c > '9') {
			return false
		}
	}
	return s != "-0"
}
