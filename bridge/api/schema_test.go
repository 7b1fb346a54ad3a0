package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tacet-hub/tacet/broker/auth"
)

// spec is openapi.yaml, as far as the tests read it: enough of JSON Schema to
// hold answers against.
type spec struct{ root map[string]any }

func readSpec(t testing.TB) *spec {
	t.Helper()
	s, err := parsed()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return s
}

// parsed is the file, which is read once.
var parsed = sync.OnceValues(func() (*spec, error) {
	var s spec
	err := yaml.Unmarshal(contract, &s.root)
	return &s, err
})

// at follows keys and references.
func (s *spec) at(v any, keys ...string) any {
	for _, k := range append(keys, "") {
		m, _ := v.(map[string]any)
		if ref, ok := m["$ref"].(string); ok {
			v = s.at(s.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			m, _ = v.(map[string]any)
		}
		if k != "" {
			v = m[k]
		}
	}
	return v
}

// check says how an answer departs from the contract; empty: it does not.
func (s *spec) check(method, pattern string, res *http.Response, body []byte) string {
	if method == http.MethodHead {
		return ""
	}
	op := s.at(s.root, "paths", strings.TrimPrefix(pattern, Prefix), strings.ToLower(method))
	if op == nil {
		switch res.StatusCode {
		case http.StatusMethodNotAllowed, http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden:
			op = s.at(s.root, "paths", "/stop", "post") // the problem document of any
		default:
			return "not in the contract"
		}
	}
	answer := s.at(op, "responses", strconv.Itoa(res.StatusCode))
	if answer == nil && res.StatusCode >= 400 {
		answer = s.at(op, "responses", "default")
	}
	switch {
	case res.StatusCode == http.StatusNotModified:
		return ""
	case answer == nil:
		return fmt.Sprintf("status %d is not in the contract", res.StatusCode)
	}
	kinds, _ := s.at(answer, "content").(map[string]any)
	kind := res.Header.Get("Content-Type")
	if len(kinds) == 0 {
		if len(body) > 0 {
			return "a body where the contract has none"
		}
		return ""
	}
	if kinds[kind] == nil {
		return "media type " + kind + " is not in the contract"
	}
	if kind == "application/yaml" || kind == "application/gzip" {
		return ""
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err.Error()
	}
	return s.fault(s.at(kinds[kind], "schema"), v, "$")
}

// fault says where v departs from a schema.
func (s *spec) fault(schema, v any, path string) string {
	schema = s.at(schema)
	m, _ := schema.(map[string]any)
	if any, ok := m["oneOf"].([]any); ok {
		var all []string
		for _, one := range any {
			f := s.fault(one, v, path)
			if f == "" {
				return ""
			}
			all = append(all, f)
		}
		return strings.Join(all, " / ")
	}
	if among, ok := m["enum"].([]any); ok && !slices.ContainsFunc(among, func(x any) bool { return reflect.DeepEqual(x, v) }) {
		return fmt.Sprintf("%s: %v is none of %v", path, v, among)
	}
	if want := typesOf(m["type"]); len(want) > 0 && !slices.Contains(want, typeOf(v)) && (typeOf(v) != "integer" || !slices.Contains(want, "number")) {
		return fmt.Sprintf("%s: %s where %v is said", path, typeOf(v), want)
	}
	switch v := v.(type) {
	case string:
		if p, ok := m["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			return fmt.Sprintf("%s: %q does not match %s", path, v, p)
		}
		if m["format"] == "date-time" && !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(v) {
			return fmt.Sprintf("%s: %q is no instant of ours", path, v)
		}
	case []any:
		for i, x := range v {
			if f := s.fault(m["items"], x, fmt.Sprintf("%s[%d]", path, i)); f != "" {
				return f
			}
		}
	case map[string]any:
		return s.objectFault(m, v, path)
	}
	return ""
}

func (s *spec) objectFault(m, v map[string]any, path string) string {
	needed, _ := m["required"].([]any)
	for _, k := range needed {
		if _, ok := v[k.(string)]; !ok {
			return fmt.Sprintf("%s: no %s", path, k)
		}
	}
	known, _ := m["properties"].(map[string]any)
	for k, x := range v {
		sub, ok := known[k]
		if !ok {
			if m["additionalProperties"] == false {
				return fmt.Sprintf("%s: %s is not in the contract", path, k)
			}
			sub = m["additionalProperties"]
		}
		if f := s.fault(sub, x, path+"."+k); f != "" {
			return f
		}
	}
	return ""
}

func typesOf(v any) (all []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			all = append(all, x.(string))
		}
	}
	return all
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

func TestContractAndRoutesAgree(t *testing.T) {
	s := readSpec(t)
	served := map[string]auth.Action{}
	for _, r := range routes() {
		served[r.method+" "+r.path] = r.needs
	}
	paths, _ := s.at(s.root, "paths").(map[string]any)
	described := map[string]bool{}
	for path, ops := range paths {
		for method, op := range ops.(map[string]any) {
			if method == "parameters" {
				continue
			}
			name := strings.ToUpper(method) + " " + path
			described[name] = true
			if _, ok := served[name]; !ok {
				t.Errorf("%s is described, but not served", name)
			}
			if s.at(op, "operationId") == nil || s.at(op, "responses", "default") == nil {
				t.Errorf("%s has no operationId or no default response", name)
			}
			needs, _ := s.at(op, "x-needs").(string)
			if needs != served[name].String() {
				t.Errorf("%s: the contract says that it needs %q, the route says %q", name, needs, served[name])
			}
			if _, free := op.(map[string]any)["security"]; free != (needs == "") {
				t.Errorf("%s needs %q, and its security is at odds with that", name, needs)
			}
		}
	}
	for name := range served {
		if !described[name] {
			t.Errorf("%s is served, but not described", name)
		}
	}
}

func TestReferencesHold(t *testing.T) {
	s := readSpec(t)
	var walk func(v any, path string)
	walk = func(v any, path string) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok && s.at(s.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...) == nil {
				t.Errorf("%s: %s is nowhere", path, ref)
			}
			for k, x := range v {
				walk(x, path+"/"+k)
			}
		case []any:
			for i, x := range v {
				walk(x, fmt.Sprintf("%s/%d", path, i))
			}
		}
	}
	walk(s.root, "")
}
