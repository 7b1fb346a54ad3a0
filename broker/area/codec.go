package area

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
)

// MaxControl is the most bytes that a payload of the control plane may have
// (hello, want, done, take, busy, grant, status); a submit may have
// [MaxSubmit].
const (
	MaxControl = 8 << 10
	MaxSubmit  = 64 << 10
)

// MaxCounter bounds boot, claim, seq, term and token, so that every JavaScript
// program reads them exactly.
const MaxCounter = 1<<53 - 1

// decodeLoose reads a payload of the control plane: unknown fields are ignored
// (COORDINATION.md §3), anything after the value is not.
func decodeLoose(what string, b []byte, most int, v any) error {
	if len(b) > most {
		return Errorf(CodeTooLarge, "%s has %d bytes, at most %d", what, len(b), most)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return Errorf(CodeBadRequest, "%s: %s", what, jsonFault(err))
	}
	return nil
}

// DecodeRequest reads the JSON of a REST request or of a hub call's argument.
// An unknown field, a second value or a value of the wrong type is an [Error]
// of code [CodeBadRequest] that names the field; what a type itself refuses
// keeps its own code.
func DecodeRequest(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			return e
		}
		return badJSON(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Errorf(CodeBadRequest, "something follows the JSON value")
	}
	return nil
}

func badJSON(err error) error {
	e := Errorf(CodeBadRequest, "%s", jsonFault(err))
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		e.Fields = []FieldError{{Field: t.Field, Message: jsonFault(err)}}
	}
	if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
		e.Fields = []FieldError{{Field: strings.Trim(name, `"`), Message: "unknown field"}}
	}
	return e
}

// jsonFault says what is wrong with JSON without the library's prefix.
func jsonFault(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if t.Field == "" {
			return "a " + t.Value + " stands where the whole is no " + t.Value
		}
		return "field " + quote(t.Field) + " cannot be a " + t.Value
	}
	if err == io.EOF {
		return "empty, JSON expected"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func counter(what, field string, n int64) (uint64, error) {
	if n < 0 || n > MaxCounter {
		return 0, Errorf(CodeInvalid, "%s: %s %d is not 0 to 2^53-1", what, field, n)
	}
	return uint64(n), nil
}

func shortText(what, field, s string) error {
	if len(s) > maxSensor {
		return Errorf(CodeInvalid, "%s: %s has %d bytes, at most %d", what, field, len(s), maxSensor)
	}
	return nil
}

func duration(what, field string, ms int64) (time.Duration, error) {
	d, err := fromMillis(field, ms)
	if err != nil {
		return 0, Errorf(CodeInvalid, "%s: %s", what, err)
	}
	return d, nil
}

// ptr is a pointer to v, for the fields that are null where there is nothing.
func ptr[T any](v T) *T { return &v }

// encode writes a value that cannot fail to be written.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("area: a payload of our own types does not encode: " + err.Error())
	}
	return b
}
