package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bounds of a template of Home Assistant.
const (
	maxExpression = 1024 // bytes
	maxSteps      = 16   // fields, and filters
)

// errUndefined is a template whose field is not in the message: no fault, there
// is nothing to read.
var errUndefined = errors.New("field is not there")

// errValue is a value that a filter cannot take.
var errValue = errors.New("value does not fit its filter")

// expression is a value template of Home Assistant of the simple kind: a field
// of the payload and filters behind it, "{{ value_json.a['b'][0] | float |
// round(1) }}". The empty expression is the payload itself.
type expression struct {
	ofJSON  bool // value_json, else value
	path    []string
	filters []filter
}

// filter is one step behind a field.
type filter struct {
	name string
	arg  any // float64, string, bool or nil
	has  bool
}

// lastField is the last field that the template names; empty: none.
func (e expression) lastField() string {
	for i := len(e.path) - 1; i >= 0; i-- {
		if _, err := strconv.Atoi(e.path[i]); err != nil {
			return e.path[i]
		}
	}
	return ""
}

// parseExpression reads a template. Its error names what is not understood.
func parseExpression(text string) (expression, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return expression{}, nil
	}
	if len(text) > maxExpression {
		return expression{}, fmt.Errorf("template of more than %d bytes", maxExpression)
	}
	body, ok := strings.CutPrefix(text, "{{")
	if !ok || !strings.HasSuffix(body, "}}") {
		return expression{}, fmt.Errorf("template %s", clip(text))
	}
	p := parser{rest: strings.TrimSuffix(body, "}}")}
	p.rest = strings.TrimSuffix(strings.TrimPrefix(p.rest, "-"), "-")
	e, err := p.expression()
	if err == nil && p.skip() != "" {
		err = fmt.Errorf("%s", clip(p.rest))
	}
	return e, err
}

// clip is foreign text as it stands in a note.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}

// parser takes the inside of {{ }} apart.
type parser struct{ rest string }

// skip drops white space and answers what is left.
func (p *parser) skip() string {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	return p.rest
}

// take drops a token where it is next.
func (p *parser) take(token string) bool {
	rest, ok := strings.CutPrefix(p.skip(), token)
	if ok {
		p.rest = rest
	}
	return ok
}

// word takes an identifier; empty: there is none.
func (p *parser) word() string {
	p.skip()
	n := 0
	for n < len(p.rest) && (p.rest[n] == '_' || p.rest[n] >= 'a' && p.rest[n] <= 'z' || p.rest[n] >= 'A' && p.rest[n] <= 'Z' || n > 0 && p.rest[n] >= '0' && p.rest[n] <= '9') {
		n++
	}
	w := p.rest[:n]
	p.rest = p.rest[n:]
	return w
}

func (p *parser) expression() (e expression, err error) {
	switch w := p.word(); w {
	case "value":
	case "value_json":
		e.ofJSON = true
	default:
		return e, fmt.Errorf("%s", clip(w+p.rest))
	}
	for e.ofJSON && len(e.path) < maxSteps {
		field, more, err := p.field()
		if err != nil {
			return e, err
		}
		if !more {
			break
		}
		e.path = append(e.path, field)
	}
	for len(e.filters) < maxSteps && p.take("|") {
		f, err := p.filter()
		if err != nil {
			return e, err
		}
		e.filters = append(e.filters, f)
	}
	return e, nil
}

// field takes ".name", "['name']" or "[0]".
func (p *parser) field() (field string, more bool, err error) {
	switch {
	case strings.HasPrefix(p.rest, "."):
		p.rest = p.rest[1:]
		if field = p.word(); field == "" {
			return "", false, fmt.Errorf("%s", clip("."+p.rest))
		}
		if strings.HasPrefix(p.rest, "(") {
			return "", false, fmt.Errorf("call of %s", clip(field))
		}
		return field, true, nil
	case p.take("["):
		arg, err := p.literal()
		if err != nil || !p.take("]") {
			return "", false, fmt.Errorf("%s", clip("["+p.rest))
		}
		switch v := arg.(type) {
		case string:
			return v, true, nil
		case float64:
			if v == math.Trunc(v) && v >= 0 && v < 1e6 {
				return strconv.Itoa(int(v)), true, nil
			}
		}
		return "", false, errors.New("index of a list")
	}
	return "", false, nil
}

// filters that are known, and how many arguments each may have.
var filterArgs = map[string]struct{ least, most int }{
	"float": {0, 1}, "int": {0, 1}, "round": {0, 1}, "default": {0, 1}, "d": {0, 1}, "multiply": {1, 1}, "is_defined": {0, 0},
}

func (p *parser) filter() (filter, error) {
	f := filter{name: p.word()}
	count, known := filterArgs[f.name]
	if !known {
		return f, fmt.Errorf("filter %s", clip(f.name))
	}
	if p.take("(") && !p.take(")") {
		if w := strings.TrimLeft(p.skip(), " "); strings.HasPrefix(w, "default=") || strings.HasPrefix(w, "default =") {
			p.word()
			p.take("=")
		}
		var err error
		if f.arg, err = p.literal(); err != nil {
			return f, err
		}
		f.has = true
		if !p.take(")") {
			return f, fmt.Errorf("filter %s with %s", f.name, clip(p.rest))
		}
	}
	if f.has && count.most == 0 || !f.has && count.least > 0 {
		return f, fmt.Errorf("arguments of filter %s", f.name)
	}
	if _, isNumber := f.arg.(float64); f.has && !isNumber && (f.name == "round" || f.name == "multiply") {
		return f, fmt.Errorf("argument of filter %s", f.name)
	}
	return f, nil
}

// literal takes text in quotes, a number, true, false or none.
func (p *parser) literal() (any, error) {
	rest := p.skip()
	if rest == "" {
		return nil, errors.New("end of the template")
	}
	if q := rest[0]; q == '\'' || q == '"' {
		text, after, ok := strings.Cut(rest[1:], string(q))
		if !ok || strings.Contains(text, `\`) {
			return nil, fmt.Errorf("text %s", clip(rest))
		}
		p.rest = after
		return text, nil
	}
	n := len(rest) - len(strings.TrimLeft(rest, "0123456789.+-eE"))
	if f, err := strconv.ParseFloat(rest[:n], 64); n > 0 && err == nil {
		p.rest = rest[n:]
		return f, nil
	}
	switch w := p.word(); strings.ToLower(w) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "none":
		return nil, nil
	}
	return nil, fmt.Errorf("%s", clip(rest))
}

// eval is what the template makes of a payload: a float64, a bool, a string, or
// a list or an object as they are. whole is the payload as JSON, nil where it is
// none. Its errors are errUndefined and errValue.
func (e expression) eval(payload string, whole any) (any, error) {
	value, defined := any(payload), true
	if e.ofJSON {
		value, defined = dig(whole, e.path)
	}
	for _, f := range e.filters {
		var err error
		if value, defined, err = f.apply(value, defined); err != nil {
			return nil, err
		}
	}
	if !defined || value == nil {
		return nil, errUndefined
	}
	return value, nil
}

// dig follows a path through JSON.
func dig(whole any, path []string) (any, bool) {
	for _, key := range path {
		switch v := whole.(type) {
		case map[string]any:
			below, ok := v[key]
			if !ok {
				return nil, false
			}
			whole = below
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			whole = v[i]
		default:
			return nil, false
		}
	}
	if n, ok := whole.(json.Number); ok {
		f, refused, ok := number(n.String())
		if !ok || refused.why != Fine {
			return nil, false
		}
		return f, true
	}
	return whole, whole != nil
}

// apply is one filter. float and int take the place of a value that is none
// from their argument, default where there is no value.
func (f filter) apply(value any, defined bool) (any, bool, error) {
	switch f.name {
	case "default", "d":
		if defined {
			return value, true, nil
		}
		return f.arg, f.has && f.arg != nil, nil
	case "is_defined":
		if !defined {
			return nil, false, errUndefined
		}
		return value, true, nil
	}
	x, ok := toFloat(value)
	switch {
	case !defined && !f.has || !defined && f.name != "float" && f.name != "int":
		return nil, false, errUndefined
	case !ok && f.has && (f.name == "float" || f.name == "int"):
		return f.arg, f.arg != nil, nil
	case !ok:
		return nil, false, errValue
	}
	switch f.name {
	case "int":
		x = math.Trunc(x)
	case "multiply":
		x *= f.arg.(float64)
	case "round":
		x = roundTo(x, f.arg)
	}
	return x, true, nil
}

// toFloat is a value as a number.
func toFloat(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string:
		f, _, ok := number(strings.TrimSpace(v))
		return f, ok
	}
	return 0, false
}

// roundTo rounds to so many decimals.
func roundTo(x float64, decimals any) float64 {
	n, _ := decimals.(float64)
	if n < -15 || n > 15 {
		return x
	}
	f, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', max(0, int(n)), 64), 64)
	if n < 0 || err != nil {
		scale := math.Pow(10, -n)
		return math.Round(x/scale) * scale
	}
	return f
}
