package mapping

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestExpression(t *testing.T) {
	const payload = `{"t":21.456,"s":"12.5","on":true,"n":null,"list":[{"x":1},{"x":2}],"a b":{"c":3},"text":"warm"}`
	for name, c := range map[string]struct{ template, want string }{
		"payload":               {"", payload},
		"value":                 {"{{ value }}", payload},
		"field":                 {"{{ value_json.t }}", "21.456"},
		"no space":              {"{{value_json.t}}", "21.456"},
		"trimmed":               {"{{- value_json.t -}}", "21.456"},
		"key in quotes":         {`{{ value_json["a b"].c }}`, "3"},
		"key and list":          {"{{ value_json['list'][1].x }}", "2"},
		"round":                 {"{{ value_json.t | round(1) }}", "21.5"},
		"round to ten":          {"{{ value_json.t | round(-1) }}", "20"},
		"round to whole":        {"{{ value_json.t | round }}", "21"},
		"float of text":         {"{{ value_json.s | float }}", "12.5"},
		"int":                   {"{{ value_json.s|int }}", "12"},
		"multiply":              {"{{ value_json.t | float | multiply(0.1) | round(2) }}", "2.15"},
		"default is not needed": {"{{ value_json.t | default(0) }}", "21.456"},
		"default":               {"{{ value_json.x | default(7) }}", "7"},
		"default of text":       {"{{ value_json.x | d('none') }}", "none"},
		"default of null":       {"{{ value_json.n | default(7) }}", "7"},
		"float's default":       {"{{ value_json.text | float(1.5) }}", "1.5"},
		"named default":         {"{{ value_json.text | float(default=1.5) }}", "1.5"},
		"boolean":               {"{{ value_json.on }}", "true"},
		"not there":             {"{{ value_json.x }}", "undefined"},
		"is defined":            {"{{ value_json.x | is_defined }}", "undefined"},
		"of a list":             {"{{ value_json.list[9].x }}", "undefined"},
		"text is no number":     {"{{ value_json.text | float }}", "value"},
		"not there, rounded":    {"{{ value_json.x | round(1) }}", "undefined"},

		"statement":       {"{% if value %}1{% endif %}", "?"},
		"text beside it":  {"T {{ value }}", "?"},
		"arithmetic":      {"{{ value_json.t * 2 }}", "?"},
		"other filter":    {"{{ value | regex_replace('a','b') }}", "?"},
		"call":            {"{{ value_json.get('t') }}", "?"},
		"other name":      {"{{ states('x') }}", "?"},
		"two":             {"{{ value }}{{ value }}", "?"},
		"condition":       {"{{ 1 if value_json.on else 0 }}", "?"},
		"no argument":     {"{{ value | multiply }}", "?"},
		"too many":        {"{{ value | is_defined(1) }}", "?"},
		"text to round":   {"{{ value | round('a') }}", "?"},
		"open":            {"{{ value", "?"},
		"open text":       {"{{ value_json['t }}", "?"},
		"long":            {"{{ value " + strings.Repeat("| float ", 200) + "}}", "?"},
		"many filters":    {"{{ value " + strings.Repeat("|int", 50) + "}}", "?"},
		"argument open":   {"{{ value | round(1 }}", "?"},
		"nothing":         {"{{ }}", "?"},
		"end of argument": {"{{ value | float(", "?"},
	} {
		t.Run(name, func(t *testing.T) {
			whole, err := parse([]byte(payload))
			if err != nil {
				t.Fatal(err)
			}
			e, err := parseExpression(c.template)
			got := "?"
			if err == nil {
				v, err := e.eval(payload, whole)
				switch {
				case errors.Is(err, errUndefined):
					got = "undefined"
				case err != nil:
					got = "value"
				default:
					got = rendered(v)
				}
			}
			if got != c.want {
				t.Errorf("%s: got %s (%v), want %s", c.template, got, err, c.want)
			}
		})
	}
}

func TestExpressionNamesWhatItDoesNotUnderstand(t *testing.T) {
	for template, want := range map[string]string{
		"{{ value | regex_replace('x','y') }}": "regex_replace", "{{ value_json.a * 2 }}": "* 2", "{{ value_json.get('x') }}": "get", "{% set x = 1 %}": "{% set",
	} {
		if _, err := parseExpression(template); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not name %s", template, err, want)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{"{{ value }}", "{{ value_json.a['b'][0] | float(1) | round(2) | default('x') }}", "{{ value | multiply(1e308) }}", "{{ value_json[99999999999] }}"} {
		f.Add(s, `{"a":{"b":[1.5]}}`)
	}
	f.Fuzz(func(t *testing.T, template, payload string) {
		e, err := parseExpression(template)
		if err != nil {
			if len(err.Error()) > 400 {
				t.Errorf("%q: %d bytes of error", template, len(err.Error()))
			}
			return
		}
		whole, _ := parse([]byte(payload))
		v, err := e.eval(payload, whole)
		if again, _ := e.eval(payload, whole); err == nil && fmt.Sprint(v) != fmt.Sprint(again) {
			t.Errorf("%q of %q: %v, then %v", template, payload, v, again)
		}
	})
}
