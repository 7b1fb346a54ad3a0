package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// Problem is a problem document (RFC 9457, DESIGN.md §3.6, Errors).
type Problem struct {
	Type     string            `json:"type"`
	Code     area.Code         `json:"code"`
	Title    string            `json:"title"`
	Status   int               `json:"status"`
	Detail   string            `json:"detail"`
	Instance string            `json:"instance"` // id of the request, also in X-Request-Id
	Errors   []area.FieldError `json:"errors"`
}

// problemOf is what the outside learns of an error: nothing of one that is not
// an [area.Error].
func problemOf(err error, instance string) Problem {
	e, ok := errors.AsType[*area.Error](err)
	switch {
	case ok:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = area.Errorf(area.CodeDegraded, "the request ended before its answer was there")
	default:
		e = area.Errorf(area.CodeInternal, "a fault of the hub; its log has it under this instance")
	}
	title := strings.ReplaceAll(string(e.Code), "_", " ")
	p := Problem{
		Type: "urn:tacet:error:" + string(e.Code), Code: e.Code, Title: strings.ToUpper(title[:1]) + title[1:],
		Status: e.Code.Status(), Detail: e.Detail, Instance: instance, Errors: e.Fields,
	}
	p.bound()
	return p
}

// Bounds of a problem document: it may repeat what a stranger sent.
const (
	maxText   = 1000 // bytes of a text
	maxErrors = 32
)

func (p *Problem) bound() {
	p.Detail = short(p.Detail)
	errs := p.Errors[:min(len(p.Errors), maxErrors)]
	p.Errors = make([]area.FieldError, len(errs))
	for i, e := range errs {
		p.Errors[i] = area.FieldError{Field: short(e.Field), Message: short(e.Message)}
	}
}

// advise says by headers what the caller can do about an error: show a token, or
// wait.
func advise(h http.Header, code area.Code, err error) {
	switch code {
	case area.CodeUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="tacet"`)
	case area.CodeRate:
		wait := time.Second
		if d, ok := auth.RetryAfter(err); ok {
			wait = max(wait, d)
		}
		h.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
}

func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// refuse writes an error.
func (a *API) refuse(c *call, err error) {
	p := problemOf(err, c.id)
	switch p.Code {
	case area.CodeUnauthorized:
		a.count.unauthorized.Add(1)
	case area.CodeForbidden:
		a.count.forbidden.Add(1)
	}
	if p.Status >= 500 && p.Code != area.CodeNoAnswer { // that is no fault of the hub
		a.count.failed.Add(1)
		a.log.Error("a request failed", "err", fmt.Errorf("%s %s, instance %s: %w", c.Method, c.Pattern, c.id, err))
	} else {
		a.count.refused.Add(1)
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/problem+json")
	advise(h, p.Code, err)
	if p.Code == area.CodeTooLarge {
		h.Set("Connection", "close") // the rest of the body is not read
	}
	c.w.WriteHeader(p.Status)
	body, _ := json.Marshal(p) // strings and numbers only
	if c.Method != http.MethodHead {
		_, _ = c.w.Write(body)
	}
}
