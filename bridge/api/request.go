package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// maxBody is the most bytes that a body has (DESIGN.md §3.6, REST).
const maxBody = 1 << 20

// call is one request on its way.
type call struct {
	*http.Request
	w   http.ResponseWriter
	id  string // names the request in answers and logs
	who auth.Principal
}

// spill is how much of a body that is too long is read all the same: a client that
// is answered while it still sends may find its connection reset, and no answer.
const spill = 128 << 10

// read reads the bytes of a request. One that says that it has far too many is not
// waited for.
func (c *call) read() ([]byte, error) {
	tooLarge := area.Errorf(area.CodeTooLarge, "the body has more than %d bytes", maxBody)
	if c.ContentLength > maxBody+spill {
		return nil, tooLarge
	}
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	if err != nil {
		return nil, area.Errorf(area.CodeBadRequest, "the body cannot be read, or comes too slowly")
	}
	return b, nil
}

// body reads the JSON of a request.
func (c *call) body() ([]byte, error) {
	b, err := c.read()
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, area.Errorf(area.CodeBadRequest, "the body is empty, JSON expected")
	}
	kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	patch := c.Method == http.MethodPatch && kind == "application/merge-patch+json"
	if err != nil || kind != "application/json" && !patch {
		return nil, area.Errorf(area.CodeMediaType, "the body must be application/json")
	}
	if !utf8.Valid(b) {
		return nil, area.Errorf(area.CodeBadRequest, "the body is not UTF-8")
	}
	return b, nil
}

// decode reads the JSON of a request into v; unknown fields are refused.
func (c *call) decode(v any) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	return area.DecodeRequest(b, v)
}

// query gathers the faults of a query.
type query struct {
	call *call
	bad  []area.FieldError
}

func (c *call) query() *query { return &query{call: c} }

func (q *query) fault(field, message string) {
	q.bad = append(q.bad, area.FieldError{Field: field, Message: message})
}

func (q *query) text(field string) string {
	s := q.call.URL.Query().Get(field)
	if !utf8.ValidString(s) {
		q.fault(field, "not UTF-8")
	}
	return s
}

// id reads the id of an area, a location or the like; empty: not given.
func (q *query) id(field string) string {
	s := q.text(field)
	if s != "" && !area.IsID(s) {
		q.fault(field, "not 1 to 64 of A-Z a-z 0-9 _ -")
	}
	return s
}

func (q *query) number(field string, low, high, unset int) int {
	s := q.text(field)
	if s == "" {
		return unset
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		q.fault(field, "not "+strconv.Itoa(low)+" to "+strconv.Itoa(high))
		return unset
	}
	return n
}

func (q *query) flag(field string, unset bool) bool {
	switch q.text(field) {
	case "":
		return unset
	case "true":
		return true
	case "false":
		return false
	}
	q.fault(field, "neither true nor false")
	return unset
}

func (q *query) instant(field string) area.Time {
	s := q.text(field)
	if s == "" {
		return area.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		q.fault(field, "not an RFC 3339 instant such as 2026-11-21T10:00:34.000Z")
	}
	return area.At(t)
}

func (q *query) duration(field string, low, high, unset time.Duration) time.Duration {
	s := q.text(field)
	if s == "" {
		return unset
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < low || d > high {
		q.fault(field, "not "+area.Duration(low).String()+" to "+area.Duration(high).String()+", such as 60s")
		return unset
	}
	return d
}

// err has every fault of the query.
func (q *query) err() error { return invalid(q.bad) }

// invalid is an error of all faults; nil where there are none.
func invalid(faults []area.FieldError) error {
	if len(faults) == 0 {
		return nil
	}
	detail := ""
	for i, f := range faults {
		if i > 0 {
			detail += "; "
		}
		detail += f.Field + ": " + f.Message
	}
	e := area.Errorf(area.CodeInvalid, "%s", detail)
	e.Fields = faults
	return e
}
