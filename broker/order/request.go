package order

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
)

// faults gathers what is wrong with a request, field by field.
type faults struct {
	bad   []area.FieldError // cannot be read
	wrong []area.FieldError // can be read, but is no good
}

// Bounds of what is said back to a stranger.
const (
	maxFaults = 32
	maxField  = 128 // bytes
)

func (f *faults) addBad(field, message string) { f.bad = f.with(f.bad, field, message) }

func (f *faults) add(field, message string) { f.wrong = f.with(f.wrong, field, message) }

func (f *faults) with(list []area.FieldError, field, message string) []area.FieldError {
	if len(list) >= maxFaults {
		return list
	}
	if len(field) > maxField {
		field = strings.ToValidUTF8(field[:maxField], "") + "…"
	}
	return append(list, area.FieldError{Field: field, Message: message})
}

func (f *faults) has(field string) bool {
	at := func(e area.FieldError) bool { return e.Field == field }
	return slices.ContainsFunc(f.bad, at) || slices.ContainsFunc(f.wrong, at)
}

// err is nil, bad_request where something could not be read, else invalid; with
// every fault.
func (f *faults) err() error {
	code, all := area.CodeInvalid, f.wrong
	if len(f.bad) > 0 {
		code, all = area.CodeBadRequest, slices.Concat(f.bad, f.wrong)
	}
	if len(all) == 0 {
		return nil
	}
	texts := make([]string, len(all))
	for i, e := range all {
		texts[i] = e.Field + ": " + e.Message
	}
	e := area.Errorf(code, "%s", strings.Join(texts, "; "))
	e.Fields = all
	return e
}

// Decode reads the JSON of an order's request and checks it as [Check] does.
// Its error is an [area.Error] with every fault that it found: bad_request for
// what is no JSON, no UTF-8, an unknown field (names are exact) or a wrong
// type, else invalid. A field that is null counts as left out.
func Decode(b []byte) (area.OrderRequest, error) {
	keys, err := object(b)
	if err != nil {
		return area.OrderRequest{}, err
	}
	var r area.OrderRequest
	var f faults
	readKeys(keys, &r, &f, true)
	check(r, &f, false)
	return r, f.err()
}

// object reads the top level of a JSON object.
func object(b []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(b) {
		return nil, area.Errorf(area.CodeBadRequest, "the JSON is not UTF-8")
	}
	var keys map[string]json.RawMessage
	if err := area.DecodeRequest(b, &keys); err != nil {
		return nil, err
	}
	if keys == nil {
		return nil, area.Errorf(area.CodeBadRequest, "null stands where an order is expected")
	}
	return keys, nil
}

// readKeys reads each key into its field of r.
func readKeys(keys map[string]json.RawMessage, r *area.OrderRequest, f *faults, strict bool) {
	into := map[string]any{
		"id": &r.ID, "kind": &r.Kind, "message": &r.Message, "clip": &r.Clip, "chime": &r.Chime, "languages": &r.Languages,
		"priority": &r.Priority, "volume": &r.Volume, "repeat": &r.Repeat, "not_before": &r.NotBefore, "expires": &r.Expires, "if_busy": &r.IfBusy,
	}
	for _, k := range sorted(keys) {
		p, known := into[k]
		switch {
		case k == "to":
			readTo(keys[k], &r.To, f, strict)
		case known:
			readKey(k, keys[k], p, f)
		case strict:
			f.addBad(k, "unknown field")
		}
	}
}

func readTo(raw json.RawMessage, to *area.To, f *faults, strict bool) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		f.addBad("to", "not an object such as {\"area\":\"north\"}")
		return
	}
	into := map[string]any{"area": &to.Area, "location": &to.Location, "device": &to.Device, "each": &to.Each}
	for _, k := range sorted(keys) {
		if p, known := into[k]; known {
			readKey("to."+k, keys[k], p, f)
		} else if strict {
			f.addBad("to."+k, "unknown field")
		}
	}
}

// readKey reads one value. What the type itself refuses is wrong, what it is
// not at all is bad.
func readKey(field string, raw json.RawMessage, into any, f *faults) {
	err := json.Unmarshal(raw, into)
	if err == nil {
		return
	}
	if e, ok := errors.AsType[*area.Error](err); ok {
		f.add(field, e.Detail)
		return
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(t.Value, " ") // without the value
		f.addBad(field, "cannot be this "+kind)
		return
	}
	f.addBad(field, strings.TrimPrefix(err.Error(), "json: "))
}

func sorted(keys map[string]json.RawMessage) []string {
	names := make([]string, 0, len(keys))
	for k := range keys {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}
