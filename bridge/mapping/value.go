package mapping

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// verdict is what became of one payload or leaf.
type verdict struct {
	value any    // float64, bool or string; nil where bad
	bad   bool   // not what the metric promised
	why   Reason // why it is bad or no reading at all
}

func (v verdict) reading() bool { return v.bad || v.why == Fine }

// number reads decimal text; hexadecimal and Go's underscores are none.
func number(s string) (float64, verdict, bool) {
	if lower := strings.ToLower(strings.TrimLeft(s, "+-")); strings.HasPrefix(lower, "nan") || lower == "inf" || lower == "infinity" {
		return 0, verdict{why: NotFinite}, false
	}
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, verdict{why: Text}, false
	}
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || math.IsInf(f, 0):
		return 0, verdict{why: NotFinite}, false
	case err != nil:
		return 0, verdict{why: Text}, false
	}
	return f, verdict{}, true
}

// state reads the words of two-state metrics.
func state(s string) (on, ok bool) {
	switch strings.ToLower(s) {
	case "on", "true", "open":
		return true, true
	case "off", "false", "closed":
		return false, true
	}
	return false, false
}

// errTrailing is JSON with something behind it.
var errTrailing = errors.New("more than one JSON value")

// ofPayload is what a payload that is one value says of a metric.
func ofPayload(metric string, p []byte) verdict {
	switch {
	case len(p) == 0:
		return verdict{why: Empty}
	case p[0] == '[':
		return verdict{why: List}
	case p[0] == '{':
		return verdict{why: Shape}
	case string(p) == "null":
		return verdict{why: Null}
	}
	return ofText(metric, string(p))
}

// ofText is what text says of a metric.
func ofText(metric, s string) verdict {
	on, isState := state(s)
	f, refused, isNumber := number(s)
	switch {
	case isNumber:
		return ofNumber(metric, f)
	case refused.why == NotFinite:
		return refused
	case twoState[metric] && isState:
		return verdict{value: on}
	case isKnown(metric):
		return verdict{bad: true, why: Text}
	case isState && (strings.EqualFold(s, "true") || strings.EqualFold(s, "false")):
		return verdict{value: on}
	case isState:
		return verdict{value: s}
	}
	return refused
}

// ofNumber is what a number says of a metric.
func ofNumber(metric string, f float64) verdict {
	if twoState[metric] && (f == 0 || f == 1) {
		return verdict{value: f == 1}
	}
	return verdict{value: f}
}

// ofJSON is what a leaf of a JSON object says of a metric.
func ofJSON(metric string, leaf any) verdict {
	switch v := leaf.(type) {
	case json.Number:
		f, refused, ok := number(v.String())
		if !ok {
			return refused
		}
		return ofNumber(metric, f)
	case bool:
		if unitOf[metric] != "" {
			return verdict{bad: true, why: Text}
		}
		return verdict{value: v}
	case string:
		return ofText(metric, strings.TrimSpace(v))
	case []any:
		return verdict{why: List}
	case nil:
		return verdict{why: Null}
	}
	return verdict{why: Shape}
}
