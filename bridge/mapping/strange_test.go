package mapping

import (
	"strings"
	"testing"
)

// noted is what an outcome says of a device's templates; false: nothing.
func noted(out Outcome) (what string, ok bool) {
	for _, s := range out.Sights {
		if w, there := s.Attributes[NotUnderstood]; there {
			what, ok = w, true
		}
	}
	return what, ok
}

// TestStrangeTemplatesAreNamed: a device's note names every template that is not
// understood, within its bound, and loses those that are announced anew.
func TestStrangeTemplatesAreNamed(t *testing.T) {
	table, err := Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader()
	config := func(object, template, more string) string {
		t.Helper()
		out := r.Read(table, Message{Topic: "homeassistant/sensor/" + object + "/config", Payload: []byte(`{"state_topic":"s/` + object + `","value_template":"` + template + `","device":{"ids":["d"]}` + more + `}`)})
		what, ok := noted(out)
		if !ok {
			t.Errorf("%s: nothing is noted", object)
		}
		return what
	}
	const odd = "{{ value | regex_replace('a','b') }}"
	for _, c := range []struct{ what, object, template, more, want string }{
		{"none", "a", "{{ value | float }}", "", ""},
		{"one", "b", odd, "", `b: filter "regex_replace"`},
		{"two", "c", "{% if x %}1{% endif %}", "", `b: filter "regex_replace"; c: template "{% if x %}1{% endif %}"`},
		{"one anew", "c", "{{ value_json.x }}", "", `b: filter "regex_replace"`},
		{"availability", "a", "", `,"availability_topic":"s/there","availability_template":"` + odd + `"`, `availability: filter "regex_replace"; b: filter "regex_replace"`},
		{"availability anew", "a", "", `,"availability_topic":"s/here"`, `b: filter "regex_replace"`},
		{"none again", "b", "{{ value }}", "", ""},
	} {
		if got := config(c.object, c.template, c.more); got != c.want {
			t.Errorf("%s: noted %q, want %q", c.what, got, c.want)
		}
	}
	for i := range 20 {
		if got := config(strings.Repeat("x", i+1), odd, ""); len(got) > maxNote || got == "" {
			t.Errorf("%d bytes are noted: %q", len(got), got)
		}
	}
}
