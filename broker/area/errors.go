package area

import (
	"errors"
	"fmt"
	"net/http"
)

// Code names a fault on the wire: in problem documents of REST, in errors of
// hub calls, in MQTT answers. The list is DESIGN.md §3.6, Errors.
type Code string

// The codes.
const (
	CodeBadRequest          Code = "bad_request"          // the request cannot be read
	CodeUnauthorized        Code = "unauthorized"         // who is asking is not known
	CodeForbidden           Code = "forbidden"            // known, but without the right
	CodeNotFound            Code = "not_found"            // no such thing for this caller
	CodeMethod              Code = "method"               // not that verb
	CodeExists              Code = "exists"               // the id is taken
	CodeConfigured          Code = "configured"           // the configuration file defines it
	CodeEnded               Code = "ended"                // the order has its end already
	CodeConflict            Code = "conflict"             // at odds with the present state
	CodeVersionConflict     Code = "version_conflict"     // changed since it was read
	CodeTooLarge            Code = "too_large"            // over a size limit
	CodeMediaType           Code = "media_type"           // not a type that is read here
	CodeInvalid             Code = "invalid"              // readable, but a value is wrong
	CodeUnknownArea         Code = "unknown_area"         // no such area
	CodeUnknownLocation     Code = "unknown_location"     // no such location
	CodeUnknownDevice       Code = "unknown_device"       // no such device
	CodeLocationConflict    Code = "location_conflict"    // the location is in another area
	CodeIdempotencyMismatch Code = "idempotency_mismatch" // same key, other body
	CodeRate                Code = "rate"                 // too many, too fast
	CodeInternal            Code = "internal"             // our fault
	CodeDegraded            Code = "degraded"             // a part is away
	CodeDraining            Code = "draining"             // going down
	CodeNoAnswer            Code = "no_answer"            // a client did not answer in time
	CodeDiskFull            Code = "disk_full"            // nothing more can be kept
	CodeTimeout             Code = "timeout"              // a classic claim waited 60 s
	CodeNotRegistered       Code = "not_registered"       // a device call before registration
	CodeRevoked             Code = "revoked"              // the token is no longer a right
	CodeTaken               Code = "taken"                // another device does the work
	CodeExpired             Code = "expired"              // too late
)

var statusOf = map[Code]int{
	CodeBadRequest: http.StatusBadRequest, CodeUnauthorized: http.StatusUnauthorized, CodeForbidden: http.StatusForbidden,
	CodeNotFound: http.StatusNotFound, CodeMethod: http.StatusMethodNotAllowed,
	CodeExists: http.StatusConflict, CodeConfigured: http.StatusConflict, CodeEnded: http.StatusConflict, CodeConflict: http.StatusConflict,
	CodeVersionConflict: http.StatusPreconditionFailed, CodeTooLarge: http.StatusRequestEntityTooLarge, CodeMediaType: http.StatusUnsupportedMediaType,
	CodeInvalid: http.StatusUnprocessableEntity, CodeUnknownArea: http.StatusUnprocessableEntity, CodeUnknownLocation: http.StatusUnprocessableEntity,
	CodeUnknownDevice: http.StatusUnprocessableEntity, CodeLocationConflict: http.StatusUnprocessableEntity, CodeIdempotencyMismatch: http.StatusUnprocessableEntity,
	CodeRate: http.StatusTooManyRequests, CodeInternal: http.StatusInternalServerError,
	CodeDegraded: http.StatusServiceUnavailable, CodeDraining: http.StatusServiceUnavailable, CodeNoAnswer: http.StatusGatewayTimeout, CodeDiskFull: http.StatusInsufficientStorage,
	CodeTimeout: http.StatusGatewayTimeout, CodeNotRegistered: http.StatusConflict, CodeRevoked: http.StatusConflict, CodeTaken: http.StatusConflict, CodeExpired: http.StatusConflict,
}

// Status is the HTTP status of the code; an unknown code is 500.
func (c Code) Status() int {
	if s, ok := statusOf[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// FieldError says what is wrong with one field of a request. Field is a path
// such as "to.area".
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is a fault with its code. Its text is "code: detail".
type Error struct {
	Code   Code
	Detail string
	Fields []FieldError // may be empty
}

// Errorf makes an [Error]. The detail is lower case and without a full stop.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Detail: fmt.Sprintf(format, args...)}
}

// InvalidField is an [Error] of code [CodeInvalid] about one field.
func InvalidField(field, format string, args ...any) *Error {
	m := fmt.Sprintf(format, args...)
	return &Error{Code: CodeInvalid, Detail: field + ": " + m, Fields: []FieldError{{Field: field, Message: m}}}
}

// Error is "code: detail".
func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

// Is makes errors.Is(err, &Error{Code: c}) true for every error of code c.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Detail == ""
}

// CodeOf is the code of err: that of the [Error] it wraps, else
// [CodeInternal]; the empty code for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// ErrorPayload is an error as an MQTT answer carries it:
// {"error":{"code":…,"detail":…}}. What is not an [Error] shows no detail.
func ErrorPayload(err error) []byte {
	var w struct {
		Error struct {
			Code   Code   `json:"code"`
			Detail string `json:"detail"`
		} `json:"error"`
	}
	w.Error.Code = CodeOf(err)
	if e, ok := errors.AsType[*Error](err); ok {
		w.Error.Detail = e.Detail
	}
	return encode(w)
}
